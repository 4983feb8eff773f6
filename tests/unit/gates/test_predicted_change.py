"""What of a verdict on times is the prediction's, and what becomes of the verdict then."""

from typing import Literal

import pytest

from edgesim.gates import Rules, judge
from edgesim.results.run_result import RunResult
from edgesim.results.sections import DeviceTimeSection, InterleavedSection, PredictedRatio
from edgesim.results.verdict import Item
from tests.unit.gates.test_judge import run

WIDE = PredictedRatio(ratio=0.75, low=0.5, high=1.1, reasons=("int8 makes 0 and 90 % of it",))
NARROW = PredictedRatio(
    ratio=0.75, low=0.7, high=0.8, reasons=("5 % of the time is in nodes that one model has alone",)
)
SAME = PredictedRatio(ratio=1.0, low=1.0, high=1.0)


def pair(result: RunResult, ratio: PredictedRatio | None, measured: float) -> list[RunResult]:
    """Return both sides of a scaled paired run whose times are as 1 to `measured`."""
    places: tuple[tuple[Literal["base", "candidate"], float], ...] = (("base", 1.0), ("candidate", measured))
    sides = []
    for side, factor in places:
        place = InterleavedSection(job="a", side=side, looks=(6,), requests=100, predicted=ratio)
        time = DeviceTimeSection(p50=20 * factor, low=10 * factor, high=40 * factor, method="predicted")
        update = {"execution": "scaled", "interleaved": place, "device_time_ms": time}
        sides.append(run(result, 20.0 * factor).model_copy(update=update))
    return sides


def judged(sides: list[RunResult], rule: str) -> Item:
    base, candidate = sides
    return judge(candidate, Rules.of([rule]), base).items[-1]


@pytest.mark.parametrize("rule", ["latency_ms.p50: +5 %", "device_time_ms.p50: +5 %"])
def test_prediction_that_does_not_carry_the_verdict_makes_it_inconclusive(result: RunResult, rule: str) -> None:
    item = judged(pair(result, WIDE, 0.75), rule)
    assert item.verdict == "INCONCLUSIVE"
    assert "the prediction makes -25.0 % (80 % band -50.0 to +10.0 %): int8 makes 0 and 90 % of it" in item.finding
    assert "PASS by the figures alone" in item.finding


@pytest.mark.parametrize(
    ("ratio", "measured", "word"), [(NARROW, 0.75, "PASS"), (SAME, 1.0, "PASS"), (None, 0.75, "PASS")]
)
def test_verdict_that_the_prediction_carries_stays(
    result: RunResult, ratio: PredictedRatio | None, measured: float, word: str
) -> None:
    assert judged(pair(result, ratio, measured), "latency_ms.p50: +5 %").verdict == word


def test_failure_that_the_prediction_does_not_carry_is_inconclusive(result: RunResult) -> None:
    doubtful = PredictedRatio(ratio=1.2, low=0.9, high=1.6, reasons=("fp16 makes 0 and 80 % of it",))
    assert judged(pair(result, doubtful, 1.2), "latency_ms.p50: +5 %").verdict == "INCONCLUSIVE"


def test_part_of_the_prediction_is_said_even_where_it_decides_nothing(result: RunResult) -> None:
    finding = judged(pair(result, NARROW, 0.75), "latency_ms.p50: +5 %").finding
    assert "of this the prediction makes -25.0 % (80 % band -30.0 to -20.0 %)" in finding
    assert "prediction" not in judged(pair(result, SAME, 1.0), "latency_ms.p50: +5 %").finding


@pytest.mark.parametrize("rule", ["cold_start_s: +5 %", "artifact_bytes: +0 %", "failed_requests: +0 %"])
def test_prediction_has_no_part_in_metrics_that_are_not_scaled(result: RunResult, rule: str) -> None:
    assert "predict" not in judged(pair(result, WIDE, 0.75), rule).finding


def test_measured_times_of_a_native_pair_have_no_prediction_in_them(result: RunResult) -> None:
    sides = [side.model_copy(update={"execution": "native"}) for side in pair(result, None, 0.75)]
    assert "predict" not in judged(sides, "latency_ms.p50: +5 %").finding


def test_doubt_of_one_side_alone_makes_a_baseline_inconclusive(result: RunResult) -> None:
    base, candidate = (side.model_copy(update={"interleaved": None}) for side in pair(result, None, 0.75))
    notes = {"notes": ("int8 is counted by a handful of published pairs",)}
    doubtful = candidate.model_copy(update={"device_time_ms": candidate.device_time_ms.model_copy(update=notes)})
    assert judged([base, candidate], "device_time_ms.p50: +5 %").verdict == "PASS"
    item = judged([base, doubtful], "device_time_ms.p50: +5 %")
    assert item.verdict == "INCONCLUSIVE"
    assert "int8 is counted by a handful of published pairs, on one side alone" in item.finding
