"""The prediction's band for a figure of a slowed-down server, which is as uncertain as the predicted device time."""

from dataclasses import replace

from edgesim.gates.predicted_change import has_prediction
from edgesim.gates.result_metrics import HIGHER_IS_BETTER, Metric
from edgesim.results.run_result import RunResult

# The interval around a figure that follows from a predicted device time.
BAND_OF_THE_PREDICTION = "80 % band of the prediction"
# These metrics have their own band.
_PREDICTIONS = ("device_time_ms.", "targets.")


def with_band(result: RunResult, metric: Metric) -> Metric:
    """Return a metric with the band of the prediction that the metric follows; return any other metric unchanged.

    Times and energy scale with the device time. In the server scenario, a board that answers each request before the
    next one arrives has the throughput of the schedule.
    """
    time, value = result.device_time_ms, metric.value
    slowed_down = result.time_origin == "slowed down host"
    if metric.name.startswith(_PREDICTIONS) or not has_prediction(
        metric.name, result.execution, slowed_down=slowed_down
    ):
        return metric
    if value is None or not time.p50 or not time.low or not time.high:
        return metric
    low, high = time.low / time.p50, time.high / time.p50
    if metric.name in HIGHER_IS_BETTER:
        low, high = 1 / high, 1 / low
    low, high = value * low, value * high
    if metric.name == "throughput_qps" and result.scenario.name == "server":
        low, high = min(value, max(low, 1e3 / time.high)), value
    return replace(metric, low=low, high=high, interval_kind=BAND_OF_THE_PREDICTION)
