"""The figures of a result that rules are made for, by their names."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesim.gates.histogram import times_ms
from edgesim.options import Execution
from edgesim.results.run_result import Distribution, LifecycleSection, Restart, RunResult

# What is a time of whatever ran: of an emulator it says nothing about the board.
_TIMES = ("latency_ms.", "service_time_ms.", "throughput_qps", "cold_start_s", "cpu_seconds_per_request")
PERCENTILES: Mapping[str, float] = {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "p99_9": 99.9}
_OF_A_DISTRIBUTION = ("min", "mean", *PERCENTILES, "max")

NAMES = (
    *(f"device_time_ms.{name}" for name in ("p50", "low", "high")),
    *(f"{time}.{name}" for time in ("latency_ms", "service_time_ms") for name in _OF_A_DISTRIBUTION),
    "throughput_qps",
    "cold_start_s",
    "cpu_seconds_per_request",
    "memory_peak_bytes",
    "memory_anon_bytes",
    "artifact_bytes",
    "accuracy",
    "energy_j",
    "failed_requests",
)


# Of a scaled run, what is of the host that it runs on.
UNSCALED = frozenset(("cold_start_s", "cpu_seconds_per_request"))
HIGHER_IS_BETTER = frozenset(("throughput_qps", "accuracy"))
# Of the model and its answers alone: the same again in every run.
_STEADY = frozenset(("artifact_bytes", "accuracy", "failed_requests"))
# What the device time is, and what the energy goes by, where it was measured and not predicted.
_MEASURED_AS: Mapping[str, str] = {
    "device_time_ms.p50": "service_time_ms.p50",
    "device_time_ms.low": "service_time_ms.min",
    "device_time_ms.high": "service_time_ms.max",
    "energy_j": "service_time_ms.p50",
}


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One figure; `value` is None where the result has it not, `low` to `high` what it may as well be.

    `sure` is what that is: the band of a prediction, or the interval of what was measured.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    sure: str = ""


def is_time(name: str) -> bool:
    """Whether it is a time that was measured, and not predicted."""
    return name.startswith(_TIMES)


def is_steady(result: RunResult, name: str) -> bool:
    """Whether a metric is the same again in every run, so that any change of it is one."""
    return name in _STEADY or (name in _MEASURED_AS and result.execution != "native")


def measured_as(execution: Execution, name: str) -> str:
    """The metric of times that this one is, or goes by, in an execution; its own name where it is none such."""
    return _MEASURED_AS.get(name, name) if execution == "native" else name


def metric(result: RunResult, name: str) -> Metric:
    """One of `NAMES`.

    What a scaled run was emulated beside is where its memory and its answers are from.
    """
    board = result.emulated if result.emulated is not None else result
    section, _, key = name.partition(".")
    if section == "device_time_ms":
        return _device_time(result, name, key)
    if section in ("latency_ms", "service_time_ms"):
        return Metric(name=name, value=_number(getattr(getattr(result, section), key)))
    answered = result.requests.ok
    values: Mapping[str, float | None] = {
        "throughput_qps": result.throughput_qps,
        "cold_start_s": _cold_start_s(result.lifecycle_s),
        "cpu_seconds_per_request": (
            result.resources.cpu_seconds / answered if result.resources.cpu_seconds is not None and answered else None
        ),
        "memory_peak_bytes": board.resources.memory_peak_bytes,
        "memory_anon_bytes": board.resources.memory_anon_bytes,
        "artifact_bytes": result.model.size_bytes,
        "accuracy": board.agreement.accuracy_device if board.agreement is not None else None,
        "energy_j": result.energy_j.per_inference if result.energy_j is not None else None,
        "failed_requests": result.requests.failed + (board.requests.failed if board is not result else 0),
    }
    return Metric(name=name, value=_number(values[name]))


def _device_time(result: RunResult, name: str, key: str) -> Metric:
    """With its band where it is a prediction, and with the median's interval where it was measured."""
    time, sure = result.device_time_ms, ""
    bounds: tuple[float | None, float | None] = (None, None)
    if key == "p50" and result.execution != "native":
        bounds, sure = (time.low, time.high), "80 % band"
    elif key == "p50" and "p50" in result.service_time_ms.intervals:
        bounds, sure = result.service_time_ms.intervals["p50"], "95 % interval"
    low, high = map(_number, bounds)
    return Metric(name=name, value=_number(getattr(time, key)), low=low, high=high, sure=sure)


def _cold_start_s(times: LifecycleSection) -> float | None:
    """From when the container was told to start (a process: was made) to the first answer.

    Part of what the server does to be ready it may do before the start is over, so neither says much alone.
    """
    if times.first_inference is None:
        return None
    return (times.start if times.start is not None else times.create) + times.ready + times.first_inference


def _answered(result: RunResult, restart: Restart) -> int:
    own = result.samples[restart.first_sample : restart.first_sample + restart.samples]
    return sum(sample.ok for sample in own) if own else restart.latency_ms.samples


def _number(value: float | None) -> float | None:
    """Without what is no number: it is as good as missing."""
    return float(value) if value is not None and math.isfinite(value) else None


def times(result: RunResult, name: str) -> list[np.ndarray] | None:
    """What a metric of times is of, in milliseconds: each container's answered requests, shape (requests,) each.

    From the samples, or where they were not kept from the histograms. None of any other metric.
    """
    section = measured_as(result.execution, name).partition(".")[0]
    if section not in ("latency_ms", "service_time_ms"):
        return None
    if result.samples:
        parts = [(restart.first_sample, restart.samples) for restart in result.restarts] or [(0, len(result.samples))]
        return [
            np.array([getattr(sample, section) for sample in result.samples[first : first + count] if sample.ok])
            for first, count in parts
        ]
    kept: list[Distribution] = [getattr(restart, section) for restart in result.restarts] or [getattr(result, section)]
    return [times_ms(distribution) for distribution in kept]


def statistic(times_ms: np.ndarray, name: str) -> float | None:
    """What a metric of times says of some of them; None of none."""
    if not len(times_ms):
        return None
    key = name.partition(".")[2]
    if key in PERCENTILES:
        return float(np.percentile(times_ms, PERCENTILES[key]))
    reduce: Mapping[str, Callable[[np.ndarray], Any]] = {"min": np.min, "mean": np.mean, "max": np.max}
    return float(reduce[key](times_ms))


def per_container(result: RunResult, name: str, kept: list[np.ndarray] | None = None) -> list[float | None]:
    """A metric of each container by itself, in their order; empty where the result tells none apart.

    `kept` is what `times` gives, where it was asked already.
    """
    if (kept := kept if kept is not None else times(result, name)) is not None:
        return [statistic(part, measured_as(result.execution, name)) for part in kept]
    found: list[float | None] = []
    for restart in result.restarts:
        cpu_s, answered = restart.cpu_seconds, _answered(result, restart)
        values: Mapping[str, float | None] = {
            "throughput_qps": restart.throughput_qps,
            "cold_start_s": _cold_start_s(restart.lifecycle_s),
            "cpu_seconds_per_request": cpu_s / answered if cpu_s is not None and answered else None,
            # Of a run that was both, memory is that of the emulated board, which these were not.
            "memory_peak_bytes": restart.memory_peak_bytes if result.emulated is None else None,
            "memory_anon_bytes": restart.memory_anon_bytes if result.emulated is None else None,
        }
        if name not in values:
            return []
        found.append(_number(values[name]))
    return found


def figure(name: str, value: float) -> str:
    """A metric's value in words."""
    return f"{value:,.0f}" if name.endswith(("_bytes", "_requests")) else f"{value:.4g}"
