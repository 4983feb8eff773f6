"""The prediction's part in a change of time: two scaled or predicted sides differ as their predictions do."""

from dataclasses import dataclass

from edgesim.gates.comparable import are_paired
from edgesim.gates.result_metrics import HIGHER_IS_BETTER, UNSCALED, is_predicted, is_time, target_of
from edgesim.options import Execution
from edgesim.results.run_result import RunResult
from edgesim.results.sections import TargetSection

NO_RELEASE = "both releases have the same predicted time, which tells no release from another"


@dataclass(frozen=True, kw_only=True)
class PredictedChange:
    """How the predicted device times of two sides differ, as a change of a metric: candidate over base, less 1.

    Attributes:
        low, high: the 80 % band; None where the results do not tell it.
        words: what is not shared by both predictions; empty if both are the same.
    """

    change: float
    low: float | None
    high: float | None
    words: str

    def widen(self, low: float, high: float) -> tuple[float, float]:
        """Return an interval of the metric's change that has the prediction's band in it."""
        if self.low is None or self.high is None:
            return low, high
        return (
            (1 + low) * (1 + self.low) / (1 + self.change) - 1,
            (1 + high) * (1 + self.high) / (1 + self.change) - 1,
        )

    def __str__(self) -> str:
        known = self.low is not None and self.high is not None and self.low < self.high
        band = f" (80 % band {100 * (self.low or 0):+.1f} to {100 * (self.high or 0):+.1f} %)" if known else ""
        return f"of this the prediction makes {100 * self.change:+.1f} %{band}: {self.words}"


def has_prediction(name: str, execution: Execution, *, slowed_down: bool) -> bool:
    """Whether a metric has the predicted device time in it."""
    return is_predicted(name, execution) or (slowed_down and is_time(name) and name not in UNSCALED)


def hidden_release(result: RunResult, name: str) -> str:
    """Return why a paired run of two releases shows no change of a metric; empty if the run shows the change.

    A prediction is of the model's operations on the board's core, in whichever release.
    """
    slowed_down = result.execution == "scaled" or result.scaling is not None
    if result.interleaved is None or result.interleaved.release is None:
        return ""
    return NO_RELEASE if has_prediction(name, result.execution, slowed_down=slowed_down) else ""


def predicted_change(base: RunResult, candidate: RunResult, name: str) -> PredictedChange | None:
    """Return the prediction's part in the change of a metric; None if no prediction is in the metric.

    It is in a predicted device time and its energy, in the times of targets, and in the times of a scaled server, which
    is slowed down to it.
    Results that are not of one paired run tell no band of the ratio: it is then not known if the predictions have
    different doubts, such as of int8 on one side alone.
    """
    slowed_down = candidate.execution == "scaled" or candidate.scaling is not None
    target = target_of(name)
    times = _time(base, target), _time(candidate, target)
    in_metric = has_prediction(name, candidate.execution, slowed_down=slowed_down)
    if not in_metric or times[0].p50_ms is None or times[1].p50_ms is None:
        return None
    ratio = candidate.interleaved.predicted if candidate.interleaved and are_paired(base, candidate) else None
    if target not in (None, candidate.device_time_ms.target):
        ratio = None  # a paired run tells the band for the target that its sides run as
    if ratio is not None:
        ends = (ratio.low, ratio.ratio, ratio.high)
        low, change, high = (1 / end - 1 for end in ends[::-1]) if name in HIGHER_IS_BETTER else (e - 1 for e in ends)
        return PredictedChange(change=change, low=low, high=high, words="; ".join(ratio.reasons))
    change = times[1].p50_ms / times[0].p50_ms - 1
    if name in HIGHER_IS_BETTER:
        change = 1 / (1 + change) - 1
    if times[0] == times[1]:
        return PredictedChange(change=0.0, low=0.0, high=0.0, words="")
    different = sorted(set(times[0].notes) ^ set(times[1].notes))
    if different:
        words = f"{'; '.join(different)}, on one side alone"
        return PredictedChange(change=change, low=None, high=None, words=words)
    words = "these results tell no band of it; a new paired run does: edgesim gate --base REF --cand REF"
    return PredictedChange(change=change, low=change, high=change, words=words)


def _time(result: RunResult, target: str | None) -> TargetSection:
    """Return the predicted time of a target; None is the one of the result's device time."""
    if target is not None:
        return result.targets.get(target, TargetSection(p50_ms=None, low_ms=None, high_ms=None, method="none"))
    time = result.device_time_ms
    return TargetSection(p50_ms=time.p50, low_ms=time.low, high_ms=time.high, method=time.method, notes=time.notes)
