"""Paired runs: what a gate of two models in turns decides, how often it is wrong, and when it looks."""

import math

import numpy as np
import pytest

from edgesim.errors import UsageError
from edgesim.gates import Rules, judge, paired_statistics
from edgesim.gates.result_metrics import per_container
from edgesim.results.run_result import RunResult
from edgesim.results.sections import InterleavedSection, ScaledModelSection, ScalingSection
from tests.unit.gates.test_judge import run

DEFAULT_LIMIT = 0.05


def gate(ratios: np.ndarray) -> tuple[str, int]:
    """Return the verdict on the default rule and the rounds that it took, look by look, as a gate does."""
    looks = paired_statistics.looks()
    for rounds in looks:
        estimate = paired_statistics.estimate(
            np.ones(rounds), np.exp(ratios[:rounds]), paired_statistics.tail(len(looks))
        )
        assert estimate is not None
        worse = [figure > DEFAULT_LIMIT for figure in (estimate.low, estimate.high, estimate.median)]
        if all(worse) or not any(worse):
            return ("FAIL" if all(worse) else "PASS"), rounds
    return "INCONCLUSIVE", looks[-1]


def test_looks_grow_apart_and_end_at_the_last_round() -> None:
    assert paired_statistics.looks() == (5, 8, 12, 20)
    assert paired_statistics.looks(5) == (5,)
    for most in range(5, 60):
        looks = paired_statistics.looks(most)
        assert looks[-1] == most
        assert list(looks) == sorted(set(looks))


def test_errors_of_all_looks_and_rules_add_up_to_the_permitted_error() -> None:
    assert 4 * 3 * paired_statistics.tail(4, 3) == pytest.approx(1 / 300)


@pytest.mark.parametrize("shape", ["normal", "heavy tails", "a busy neighbour now and then"])
def test_a_change_just_at_the_limit_gets_a_false_verdict_once_in_300(shape: str) -> None:
    generator = np.random.default_rng(0)
    gates = 3000
    draws = {
        "normal": lambda: generator.standard_normal((gates, 20)),
        "heavy tails": lambda: generator.standard_t(2, (gates, 20)),
        "a busy neighbour now and then": lambda: (
            generator.standard_normal((gates, 20)) * np.where(generator.random((gates, 20)) < 0.2, 10, 1)
        ),
    }[shape]()
    verdicts = [gate(math.log1p(DEFAULT_LIMIT) + 0.02 * row)[0] for row in draws]
    # 10 are expected of 3,000 where it is exactly 1 in 300; more than 21 would be once in a thousand.
    assert verdicts.count("FAIL") <= 21
    assert verdicts.count("PASS") <= 21


def test_with_two_percent_of_scatter_ten_percent_fail_and_no_change_passes() -> None:
    generator = np.random.default_rng(1)
    changed = [gate(math.log1p(0.1) + 0.02 * generator.standard_normal(20)) for _ in range(300)]
    same = [gate(0.02 * generator.standard_normal(20)) for _ in range(300)]
    assert [verdict for verdict, _ in changed].count("FAIL") >= 285
    assert [verdict for verdict, _ in same].count("PASS") >= 285
    assert np.mean([rounds for _, rounds in changed]) < 12


def test_the_smallest_visible_change_passes_an_identical_model_19_times_in_20() -> None:
    generator = np.random.default_rng(2)
    scatter, probed = 0.02, 12
    limit = paired_statistics.smallest_visible(scatter, probed)
    error = paired_statistics.tail(len(paired_statistics.looks()))
    passed = 0
    for _ in range(400):
        estimate = paired_statistics.estimate(np.ones(20), np.exp(scatter * generator.standard_normal(20)), error)
        assert estimate is not None
        passed += estimate.high <= limit
    assert passed >= 380
    assert paired_statistics.smallest_visible(0.04, probed) > limit
    assert paired_statistics.smallest_visible(scatter, probed, 60) < limit


@pytest.mark.parametrize("change", [0.0, 0.1])
def test_two_disturbed_rounds_do_not_hide_what_eighteen_show(change: float) -> None:
    generator = np.random.default_rng(4)
    ratios = math.log1p(change) + 0.01 * generator.standard_normal(20)
    ratios[[3, 11]] += [0.7, -0.5]
    assert gate(ratios) == ("FAIL" if change else "PASS", 20)
    estimate = paired_statistics.estimate(np.ones(20), np.exp(ratios), paired_statistics.tail(4))
    assert estimate is not None
    assert estimate.high - estimate.low < 0.06
    # Three on the same side are more than the sign test leaves out there.
    ratios[[5, 7]] += 0.6
    assert gate(ratios)[0] == ("FAIL" if change else "INCONCLUSIVE")


@pytest.mark.parametrize(
    ("base", "candidate"),
    [([1.0] * 4, [1.0] * 4), ([1.0] * 5, [1.0] * 6), ([1.0] * 4 + [math.nan], [1.0] * 5), ([1.0] * 5, [0.0] * 5)],
)
def test_too_few_rounds_or_figures_without_a_ratio_give_no_estimate(base: list[float], candidate: list[float]) -> None:
    assert paired_statistics.estimate(base, candidate, 0.001) is None


def test_a_p_value_is_for_the_side_of_the_limit() -> None:
    base = np.ones(8)
    slower = paired_statistics.estimate(base, np.exp(0.1 + 0.01 * np.arange(8)), 0.001)
    fewer = paired_statistics.estimate(base, np.exp(-0.1 - 0.01 * np.arange(8)), 0.001)
    assert slower is not None
    assert fewer is not None
    assert slower.p_value(0.05) < 0.001 < 0.5 < slower.p_value(0.5)
    assert fewer.p_value(-0.05) < 0.001 < 0.5 < fewer.p_value(-0.5)


def pair(result: RunResult, change: float, *, rounds: int = 8, noise: float = 0.2) -> tuple[RunResult, RunResult]:
    """Return both sides of a paired run on a host so noisy that only pairs show the change."""
    base_rounds, candidate_rounds = [], []
    generator = np.random.default_rng(3)
    for i in range(rounds):
        level = 20.0 * math.exp(noise * generator.standard_normal())
        base_rounds.append(run(result, level, containers=1, seed=10 * i))
        candidate_rounds.append(run(result, level * (1 + change), containers=1, seed=10 * i + 1))
    section = InterleavedSection(job="j", side="base", looks=paired_statistics.looks(), requests=100)
    return (
        _joined(base_rounds, result).model_copy(update={"interleaved": section}),
        _joined(candidate_rounds, result).model_copy(
            update={"interleaved": section.model_copy(update={"side": "candidate"})}
        ),
    )


def _joined(rounds: list[RunResult], result: RunResult) -> RunResult:
    whole = run(result, 20.0, containers=len(rounds))
    samples = [sample for one in rounds for sample in one.samples]
    return whole.model_copy(update={"samples": tuple(samples)})


@pytest.mark.parametrize(("change", "expected"), [(0.0, "PASS"), (0.1, "FAIL"), (0.05, "INCONCLUSIVE"), (-0.3, "PASS")])
def test_host_noise_of_a_round_cancels(result: RunResult, change: float, expected: str) -> None:
    base, candidate = pair(result, change)
    check = judge(candidate, Rules.of(["latency_ms.p50: +5 %"]), base)
    assert check.word == expected
    assert check.items[-1].figures["rounds"] == 8
    assert check.items[-1].figures["change"] == pytest.approx(change, abs=0.02)
    assert "of 8 rounds" in check.items[-1].finding


def test_sides_of_different_jobs_or_in_the_wrong_order_are_not_paired(result: RunResult) -> None:
    base, candidate = pair(result, 0.1)
    assert base.interleaved is not None
    other = base.model_copy(update={"interleaved": base.interleaved.model_copy(update={"job": "k"})})
    rule = Rules.of(["latency_ms.p50: +5 %"])
    assert "rounds" not in judge(candidate, rule, other).items[-1].figures
    assert "rounds" not in judge(base, rule, candidate).items[-1].figures


def test_more_rules_make_each_harder_to_fail(result: RunResult) -> None:
    base, candidate = pair(result, 0.1)
    one = judge(candidate, Rules.of(["latency_ms.p50: +5 %"]), base).items[-1].figures
    many = judge(candidate, Rules.of(["latency_ms.p50: +5 %", "latency_ms.mean: +5 %"]), base).items[-2].figures
    assert many["low"] < one["low"]


def test_a_rule_of_change_for_emulated_time_is_refused(result: RunResult) -> None:
    emulated = run(result, 20.0).model_copy(update={"execution": "emulated"})
    with pytest.raises(UsageError, match="does not measure the board's time"):
        judge(emulated, Rules.of(["latency_ms.p50: +5 %"]), emulated)
    assert judge(emulated, Rules.of(["artifact_bytes: +5 %"]), emulated).word == "PASS"


def test_metrics_that_differ_between_containers_are_known_for_each(result: RunResult) -> None:
    measured = run(result, 20.0)
    assert len(per_container(measured, "latency_ms.p50")) == 6
    assert per_container(measured, "cold_start_s") == [5.7] * 6
    assert per_container(measured, "artifact_bytes") == []
    assert per_container(measured, "cpu_seconds_per_request") == [None] * 6


def test_a_side_that_missed_its_device_time_is_not_judged_slower_for_it(result: RunResult) -> None:
    base, candidate = pair(result, 0.08, noise=0.0)
    model = ScaledModelSection(name="net", target_ms=20.0, host_ms=1.0, host_cpu_ms=1.0, pace_ms=19.0, calibrated_ms=20)
    scaling = ScalingSection(share=0.1, quota_us=1, period_us=10, threads=1, method="by its share", models=(model,))
    times = base.latency_ms

    def scaled(side: RunResult, median: float, target: float) -> RunResult:
        section = scaling.model_copy(update={"models": (model.model_copy(update={"target_ms": target}),)})
        own = times.model_copy(update={"p50": median})
        return side.model_copy(update={"execution": "scaled", "service_time_ms": own, "scaling": section})

    rule = Rules.of(["latency_ms.p50: +5 %"])
    assert judge(scaled(candidate, 21.6, 21.6), rule, scaled(base, 20.0, 20.0)).word == "FAIL"
    assert judge(scaled(candidate, 21.6, 20.0), rule, scaled(base, 20.0, 20.0)).word == "INCONCLUSIVE"
    assert judge(scaled(candidate, 22.2, 21.6), rule, scaled(base, 20.6, 20.0)).word == "FAIL", (
        "both are late by the same factor"
    )


def test_a_difference_of_one_tick_of_the_cpu_clock_is_inconclusive(result: RunResult) -> None:
    def of(seconds: float, count: int) -> RunResult:
        measured = run(result, 20.0, containers=count, each=10).model_copy(update={"execution": "host"})
        own = tuple(restart.model_copy(update={"cpu_seconds": seconds}) for restart in measured.restarts)
        used = measured.resources.model_copy(update={"cpu_seconds": count * seconds})
        return measured.model_copy(update={"restarts": own, "resources": used})

    rule = Rules.of(["cpu_seconds_per_request: +5 %"])
    assert judge(of(0.16, 3), rule, of(0.15, 3)).word == "INCONCLUSIVE"
    assert judge(of(1.6, 3), rule, of(1.5, 3)).word == "FAIL"


def test_a_side_may_leave_a_size_open_that_the_other_fixes(result: RunResult) -> None:
    base, candidate = pair(result, 0.0)
    open_ = candidate.model.model_copy(update={"signature": "x: FP32 [?,4]"})
    rule = Rules.of(["latency_ms.p50: +5 %"])
    assert judge(candidate.model_copy(update={"model": open_}), rule, base).word == "PASS"
    alone = base.model_copy(update={"interleaved": None}), candidate.model_copy(update={"interleaved": None})
    assert judge(alone[1].model_copy(update={"model": open_}), rule, alone[0]).word == "INCONCLUSIVE"
