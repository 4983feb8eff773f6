"""The gate: what passes, what fails, and that nothing empty, broken or incomparable ever passes."""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesim.errors import UsageError
from edgesim.gates import Rules, judge
from edgesim.gates.comparable import differences, identity
from edgesim.gates.judge import refuse
from edgesim.gates.metric_change import MetricChange, metric_change
from edgesim.gates.result_metrics import statistic, statistics
from edgesim.recording import Sample
from edgesim.results.run_result import RunResult
from edgesim.results.sections import (
    HOST_CORE,
    AgreementSection,
    DetectionRowSection,
    DetectionsSection,
    DeviceTimeSection,
    Distribution,
    EmulatorSection,
    EnergySection,
    InterleavedSection,
    LimitSection,
    Restart,
    RuntimeSection,
    ScalingSection,
    TargetSection,
    ValiditySection,
)
from tests.support import results
from tests.support.command_line import exit_code_of

VALID = ValiditySection(valid=True, reasons=())


def run(result: RunResult, median_ms: float, *, containers: int = 6, seed: int = 0, each: int = 100) -> RunResult:
    """A valid native run over some containers that are not quite alike."""
    generator = np.random.default_rng(seed)
    samples: list[Sample] = []
    restarts = []
    for _ in range(containers):
        level = median_ms * math.exp(0.005 * generator.standard_normal())
        times = level * np.exp(0.03 * generator.standard_normal(each))
        restarts.append(
            Restart(
                lifecycle_s=result.lifecycle_s,
                first_sample=len(samples),
                samples=each,
                latency_ms=Distribution(),
                service_time_ms=Distribution(),
            )
        )
        samples += [Sample(0, 0, round(time * 1e6), "ok") for time in times]
    latencies = [sample.latency_ms for sample in samples]
    return results.on_the_board(result).model_copy(
        update={
            "samples": tuple(samples),
            "restarts": tuple(restarts) if containers > 1 else (),
            "requests": result.requests.model_copy(update={"ok": len(samples), "sent": len(samples)}),
            "latency_ms": Distribution(p50=float(np.median(latencies)), mean=float(np.mean(latencies))),
            "validity": VALID,
        }
    )


def verdict(result: RunResult, *rules: str, baseline: RunResult | None = None) -> str:
    return judge(result, Rules.of(rules), baseline).word


@pytest.fixture
def good(result: RunResult) -> RunResult:
    return run(result, 20.0)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("latency_ms.p50 <= 25", "PASS"),
        ("latency_ms.p50 <= 15", "FAIL"),
        ("memory_peak_bytes <= 512MiB", "PASS"),
        ("memory_peak_bytes <= 100MiB", "FAIL"),
        ("artifact_bytes <= 1", "PASS"),
        ("failed_requests <= 0", "PASS"),
        ("throughput_qps >= 0.3", "PASS"),
        ("throughput_qps >= 0.5", "FAIL"),
        ("latency_ms.p99 <= 1000000", "FAIL"),
        ("accuracy >= 0", "FAIL"),
        ("energy_j <= 1000", "FAIL"),
    ],
)
def test_an_absolute_rule_passes_or_fails_and_a_missing_figure_fails_it(
    good: RunResult, rule: str, expected: str
) -> None:
    assert verdict(good, rule) == expected


def test_a_percentile_of_too_few_requests_is_inconclusive_and_says_how_many_it_takes(good: RunResult) -> None:
    few = run(good, 20.0, containers=1)
    times = few.latency_ms.model_copy(update={"needs_samples": {"p99": 662}})
    few = few.model_copy(update={"latency_ms": times})
    for baseline, rule in ((None, "latency_ms.p99 <= 500"), (few, "latency_ms.p99: +5 %")):
        judged = judge(few, Rules.of([rule]), baseline)
        assert judged.word == "INCONCLUSIVE"
        finding = "latency_ms.p99 takes 662 answered requests, and 100 were answered: `requests=662`"
        assert judged.items[-1].finding == finding


def test_a_percentile_that_failed_requests_make_infinite_fails_with_that_reason(good: RunResult) -> None:
    times = good.latency_ms.model_copy(update={"infinite": ("p99",)})
    judged = judge(good.model_copy(update={"latency_ms": times}), Rules.of(["latency_ms.p99 <= 500"]))
    assert (judged.word, judged.items[-1].finding) == (
        "FAIL",
        "latency_ms.p99 reaches into the failed requests, whose time is infinite",
    )


@pytest.mark.parametrize(("limit", "expected"), [(130, "PASS"), (100, "INCONCLUSIVE"), (70, "FAIL")])
def test_a_limit_within_the_band_of_a_prediction_is_inconclusive(good: RunResult, limit: int, expected: str) -> None:
    time = DeviceTimeSection(p50=100.0, low=80.0, high=125.0, method="predicted")
    predicted = good.model_copy(update={"execution": "scaled", "device_time_ms": time})
    assert verdict(predicted, f"device_time_ms.p50 <= {limit}") == expected


@pytest.mark.parametrize(("sign", "sure", "doubtful"), [("<=", "high", "low"), (">=", "low", "high")])
def test_the_finding_on_a_limit_within_the_band_names_the_rules_that_decide(
    good: RunResult, sign: str, sure: str, doubtful: str
) -> None:
    time = DeviceTimeSection(p50=100.0, low=80.0, high=125.0, method="predicted")
    predicted = good.model_copy(update={"execution": "scaled", "device_time_ms": time})
    finding = judge(predicted, Rules.of([f"device_time_ms.p50 {sign} 110.5"])).items[-1].finding
    sure_rule, doubtful_rule = (f"device_time_ms.{end} {sign} 110.5" for end in (sure, doubtful))
    assert f"{sure_rule} passes only if the whole band keeps the limit" in finding
    assert f"{doubtful_rule} fails only if no part of the band does" in finding
    assert verdict(predicted, sure_rule) == "FAIL"
    assert verdict(predicted, doubtful_rule) == "PASS"


@pytest.fixture
def with_targets(good: RunResult) -> RunResult:
    """A run on a board whose GPU takes 3.25 ms in fp16, and has no fast path for int8."""
    fast = TargetSection(p50_ms=3.25, low_ms=2.5, high_ms=4.25, method="predicted")
    none = TargetSection(p50_ms=None, low_ms=None, high_ms=None, method="none: no fast path for int8")
    targets = {"cpu": fast, "gpu:tensorrt-fp16": fast, "gpu:tensorrt-int8": none}
    return good.model_copy(update={"targets": targets})


@pytest.mark.parametrize(
    ("rule", "expected", "finding"),
    [
        ("targets.gpu:tensorrt-fp16.p50 <= 5", "PASS", "3.25, 80 % band 2.5 to 4.25"),
        ("targets.gpu:tensorrt-fp16.p50_ms <= 2", "FAIL", "3.25, 80 % band 2.5 to 4.25"),
        ("targets.gpu:tensorrt-fp16.p50 <= 4", "INCONCLUSIVE", "; targets.gpu:tensorrt-fp16.high <= 4 passes only if"),
        ("targets.gpu:tensorrt-fp16.high <= 4.25", "PASS", "4.25"),
        ("targets.gpu:tensorrt-int8.p50 <= 5", "INCONCLUSIVE", "not predicted: no fast path for int8"),
        ("targets.npu.p50 <= 5", "FAIL", "targets.npu.p50 is missing in this result, which has cpu, gpu:tensorrt-fp16"),
    ],
)
def test_the_predicted_time_of_a_target_is_judged_with_its_band(
    with_targets: RunResult, rule: str, expected: str, finding: str
) -> None:
    item = judge(with_targets, Rules.of([rule])).items[-1]
    assert item.verdict == expected
    assert finding in item.finding


@pytest.mark.parametrize("key", ["p50", "high"])
def test_device_time_that_nothing_predicts_fails_no_model(good: RunResult, key: str) -> None:
    time = DeviceTimeSection(p50=None, low=None, high=None, method="none: it has the core of its host")
    result = good.model_copy(update={"execution": "host", "device_time_ms": time})
    item = judge(result, Rules.of([f"device_time_ms.{key} <= 20"])).items[-1]
    assert (item.verdict, item.finding) == ("INCONCLUSIVE", "not predicted: it has the core of its host")


def test_a_change_of_a_targets_time_is_a_change_of_the_prediction(with_targets: RunResult) -> None:
    slower = TargetSection(p50_ms=4.0, low_ms=3.0, high_ms=5.0, method="predicted")
    candidate = with_targets.model_copy(update={"targets": {**with_targets.targets, "gpu:tensorrt-fp16": slower}})
    rule = Rules.of(["targets.gpu:tensorrt-fp16.p50: +5 %"])
    assert judge(with_targets, rule, with_targets).items[-1].verdict == "PASS"
    item = judge(candidate, rule, with_targets).items[-1]
    assert item.verdict == "FAIL"
    assert "of this the prediction makes +23.1 %: these results tell no band of it" in item.finding


def test_runs_of_different_targets_are_not_compared(with_targets: RunResult) -> None:
    time = with_targets.device_time_ms.model_copy(update={"target": "gpu:tensorrt-fp16"})
    on_gpu = with_targets.model_copy(update={"device_time_ms": time})
    assert differences(with_targets, on_gpu) == ["target: cpu and gpu:tensorrt-fp16"]
    assert differences(on_gpu, with_targets) == ["target: gpu:tensorrt-fp16 and cpu"]
    assert differences(on_gpu, on_gpu) == []
    assert "target" not in identity(with_targets), "baselines of runs on the CPU keep their fingerprint"


@pytest.mark.parametrize(("limit", "expected"), [(23, "PASS"), (20.1, "INCONCLUSIVE"), (18, "FAIL")])
def test_a_measured_device_time_is_judged_by_the_interval_of_its_median(
    good: RunResult, limit: float, expected: str
) -> None:
    times = good.latency_ms.model_copy(update={"intervals": {"p50": (19.5, 20.5)}})
    time = DeviceTimeSection(p50=20.0, low=17.0, high=500.0, method="measured on this host, minimum to maximum")
    measured = good.model_copy(update={"device_time_ms": time, "service_time_ms": times})
    check = judge(measured, Rules.of([f"device_time_ms.p50 <= {limit}"]))
    assert (check.word, "95 % interval 19.5 to 20.5" in check.items[-1].finding) == (expected, True)


def test_a_measured_device_time_needs_containers_to_change_and_a_predicted_one_does_not(
    result: RunResult,
) -> None:
    def at(slower: float, seed: int, execution: str, containers: int) -> RunResult:
        time = DeviceTimeSection(p50=20 * slower, low=17.0, high=30.0, method="some")
        measured = run(result, 20.0 * slower, seed=seed, containers=containers)
        return measured.model_copy(update={"execution": execution, "device_time_ms": time})

    def judged(execution: str, slower: float, containers: int) -> str:
        sides = at(slower, 1, execution, containers), at(1.0, 0, execution, containers)
        return verdict(sides[0], "device_time_ms.p50: +5 %", baseline=sides[1])

    assert [judged("native", slower, 6) for slower in (1.0, 1.06, 1.2)] == ["PASS", "INCONCLUSIVE", "FAIL"]
    assert [judged("native", slower, 1) for slower in (1.0, 1.06, 1.2)] == ["INCONCLUSIVE"] * 3
    assert [judged("scaled", slower, 1) for slower in (1.0, 1.06, 1.2)] == ["PASS", "FAIL", "FAIL"]


def test_an_invalid_run_fails_no_rule_of_time_but_fails_rules_of_the_model(good: RunResult) -> None:
    invalid = good.model_copy(update={"validity": ValiditySection(valid=False, reasons=("scale held: 26 % off",))})
    assert verdict(invalid, "latency_ms.p50 <= 3") == "INCONCLUSIVE"
    assert verdict(invalid, "artifact_bytes <= 0") == "FAIL"
    assert verdict(run(good, 40.0), "latency_ms.p50: +5 %", baseline=good) == "FAIL"
    assert verdict(run(good, 40.0), "latency_ms.p50: +5 %", baseline=invalid) == "INCONCLUSIVE"


def test_a_baseline_with_fewer_requests_than_it_reports_is_inconclusive(good: RunResult) -> None:
    thinned = good.model_copy(update={"samples": good.samples[:-5]})
    check = judge(good, Rules.of(["latency_ms.p50: +50 %"]), thinned)
    assert check.word == "INCONCLUSIVE"
    assert "reports 600 answered requests, but has 595" in check.items[1].finding


def test_the_memory_of_one_container_says_nothing_about_the_next(good: RunResult) -> None:
    def of(size: int) -> RunResult:
        used = good.resources.model_copy(update={"memory_peak_bytes": size})
        return good.model_copy(update={"restarts": (), "resources": used})

    assert verdict(of(101_500_000), "memory_peak_bytes: +1 %", baseline=of(10**8)) == "INCONCLUSIVE"


def test_only_the_limits_that_differ_are_named(good: RunResult) -> None:
    def with_cpus(cpus: float) -> RunResult:
        limits = [
            LimitSection(name=name, requested=value, applied=value)
            for name, value in (("memory_bytes", 2**30), ("cpus", cpus))
        ]
        return good.model_copy(update={"device": good.device.model_copy(update={"limits": tuple(limits)})})

    assert differences(with_cpus(1), with_cpus(2.0)) == ["limits: cpus 1 and cpus 2"]


@pytest.mark.parametrize("metric", ["cold_start_s", "cpu_seconds_per_request"])
def test_a_scaled_run_has_no_absolute_rule_for_metrics_of_this_host(good: RunResult, metric: str) -> None:
    with pytest.raises(UsageError, match="this host's, not the board's"):
        verdict(good.model_copy(update={"execution": "scaled"}), f"{metric} <= 30")
    assert verdict(good, "cold_start_s <= 30") == "PASS"


def test_a_figure_that_only_the_baseline_lacks_is_inconclusive(good: RunResult) -> None:
    without = good.model_copy(update={"throughput_qps": None})
    full = good.model_copy(update={"throughput_qps": 50.0})
    assert verdict(full, "throughput_qps: -5 %", baseline=without) == "INCONCLUSIVE"
    assert verdict(without, "throughput_qps: -5 %", baseline=full) == "FAIL"


@pytest.mark.parametrize("execution", ["emulated", "host"])
def test_a_limit_for_a_time_that_is_not_the_boards_is_refused(good: RunResult, execution: str) -> None:
    with pytest.raises(UsageError, match="does not measure the board's time"):
        verdict(good.model_copy(update={"execution": execution}), "latency_ms.p50 <= 1000")


@pytest.mark.parametrize(
    ("slower", "expected"), [(1.0, "PASS"), (1.02, "PASS"), (1.05, "INCONCLUSIVE"), (1.1, "FAIL"), (0.8, "PASS")]
)
def test_a_change_is_judged_by_its_interval(result: RunResult, slower: float, expected: str) -> None:
    base, candidate = run(result, 20.0, containers=8), run(result, 20.0 * slower, containers=8, seed=1)
    assert verdict(candidate, "latency_ms.p50: +5 %", baseline=base) == expected


def test_change_of_a_metric_is_computed_once_for_all_its_rules(
    good: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[str] = []
    module = sys.modules[judge.__module__]

    def counted(base: RunResult, candidate: RunResult, name: str, *, tail: float) -> MetricChange:
        computed.append(name)
        return metric_change(base, candidate, name, tail=tail)

    monkeypatch.setattr(module, "metric_change", counted)
    rules = [f"latency_ms.p50: +{percent} %" for percent in range(5, 15)]
    assert verdict(good, *rules, "memory_peak_bytes: +5 %", baseline=good) == "INCONCLUSIVE"
    assert computed == ["latency_ms.p50", "memory_peak_bytes"]


def test_identical_models_hardly_ever_fail(result: RunResult) -> None:
    verdicts = [
        verdict(
            run(result, 20.0, seed=2 * seed, each=40),
            "latency_ms.p50: +2 %",
            baseline=run(result, 20.0, seed=2 * seed + 1, each=40),
        )
        for seed in range(10)
    ]
    assert "FAIL" not in verdicts
    assert "PASS" in verdicts


def test_one_container_per_side_says_nothing_about_the_next(result: RunResult) -> None:
    base, candidate = run(result, 20.0, containers=1), run(result, 40.0, containers=1, seed=1)
    assert metric_change(base, candidate, "latency_ms.p50").by == "requests"
    assert verdict(candidate, "latency_ms.p50: +5 %", baseline=base) == "INCONCLUSIVE"


def test_a_time_without_an_interval_is_inconclusive(good: RunResult) -> None:
    assert verdict(good, "throughput_qps: -5 %", baseline=good) == "INCONCLUSIVE"
    assert verdict(good, "cpu_seconds_per_request: +5 %", baseline=good) in ("FAIL", "INCONCLUSIVE")


def test_a_count_needs_no_interval(good: RunResult) -> None:
    larger = good.model_copy(update={"model": good.model.model_copy(update={"size_bytes": 3})})
    assert verdict(larger, "artifact_bytes: +100 %", baseline=good) == "FAIL"
    assert verdict(good, "artifact_bytes: +100 %", baseline=good) == "PASS"
    assert verdict(good, "failed_requests: +0 %", baseline=good) == "PASS"


def test_a_baseline_of_another_host_is_inconclusive_and_names_the_field(good: RunResult) -> None:
    other = good.model_copy(update={"host": good.host.model_copy(update={"cpu": "another"})})
    judged = judge(good, Rules.of(["latency_ms.p50: +5 %"]), other)
    assert judged.word == "INCONCLUSIVE"
    assert "host CPU: another and x" in judged.items[-1].finding
    assert differences(good, good) == []


def with_(**update: Any) -> Callable[[RunResult], RunResult]:
    return lambda result: result.model_copy(update=update)


def _all_failed(result: RunResult) -> RunResult:
    samples = tuple(sample._replace(outcome="connection: OSError") for sample in result.samples)
    requests = result.requests.model_copy(update={"ok": 0, "failed": len(samples)})
    return result.model_copy(update={"samples": samples, "requests": requests, "latency_ms": Distribution()})


NAN = Distribution(p50=math.nan, mean=math.nan)
EMPTY: dict[str, Callable[[RunResult], RunResult]] = {
    "no samples": with_(samples=(), restarts=()),
    "no samples in the containers": with_(samples=()),
    "all failed": _all_failed,
    "no median": with_(latency_ms=Distribution()),
    "a median that is no number": with_(latency_ms=NAN),
    "an infinite median": with_(latency_ms=Distribution(p50=math.inf)),
    "invalid": with_(validity=ValiditySection(valid=False, reasons=("too few",))),
    "cut short": with_(complete=False),
    "emulated beside a native baseline": with_(execution="scaled"),
    "another kernel": lambda r: r.model_copy(update={"host": r.host.model_copy(update={"kernel": "x"})}),
    "another engine": lambda r: r.model_copy(update={"host": r.host.model_copy(update={"engine": "x"})}),
    "another image": lambda r: r.model_copy(update={"image": r.image.model_copy(update={"id": "x"})}),
    "another profile": lambda r: r.model_copy(update={"profile": r.profile.model_copy(update={"sha256": "x"})}),
    "another rate": lambda r: r.model_copy(update={"scenario": r.scenario.model_copy(update={"qps": 5.0})}),
    "other threads": lambda r: r.model_copy(update={"device": r.device.model_copy(update={"intra_op_threads": 9})}),
    "one container": with_(restarts=()),
}


@pytest.mark.parametrize("side", ["candidate", "baseline"])
@pytest.mark.parametrize("how", EMPTY)
def test_no_empty_broken_or_incomparable_result_passes_a_rule_of_change(good: RunResult, how: str, side: str) -> None:
    changed = EMPTY[how](good)
    candidate, baseline = (changed, good) if side == "candidate" else (good, changed)
    assert verdict(candidate, "latency_ms.p50: +50 %", baseline=baseline) in ("FAIL", "INCONCLUSIVE")


def test_a_rule_of_change_without_a_baseline_is_inconclusive(good: RunResult) -> None:
    assert verdict(good, "latency_ms.p50: +5 %") == "INCONCLUSIVE"


def test_memory_and_answers_of_a_combined_run_are_those_of_the_emulated_run(good: RunResult) -> None:
    agreement = AgreementSection(compared=1, max_abs_difference=0.0, accuracy_device=0.9, accuracy_host=0.9)
    inside = good.model_copy(
        update={
            "agreement": agreement,
            "resources": good.resources.model_copy(update={"memory_peak_bytes": 2**30}),
        }
    )
    combined = good.model_copy(update={"execution": "scaled"}).with_emulated(inside)
    assert verdict(combined, "accuracy >= 0.8") == "PASS"
    assert verdict(combined, "memory_peak_bytes <= 512MiB") == "FAIL"


@pytest.mark.parametrize(("limit", "word"), [("90MiB", "PASS"), ("40MiB", "INCONCLUSIVE"), ("36MiB", "FAIL")])
@pytest.mark.parametrize("metric", ["memory_peak_bytes", "memory_unreclaimable_bytes"])
def test_memory_beyond_a_limit_fails_only_if_the_emulators_share_is_not_what_is_beyond(
    good: RunResult, metric: str, limit: str, word: str
) -> None:
    used = good.resources.model_copy(update={metric: 87 << 20})
    share = EmulatorSection(floor_bytes=80 << 20, native_bytes=30 << 20, share_bytes=50 << 20)
    emulated = good.model_copy(update={"execution": "emulated", "resources": used, "emulator_memory": share})
    item = judge(emulated, Rules.of([f"{metric} <= {limit}"])).items[-1]
    assert item.verdict == word
    assert "without and with the emulator's estimated share: 37.0 MiB to 87.0 MiB" in item.finding


@pytest.mark.parametrize(
    ("limit", "word"), [("3GiB", "INCONCLUSIVE"), ("5GiB", "PASS"), ("2GiB", "FAIL"), ("2400MiB", "INCONCLUSIVE")]
)
def test_peak_that_page_cache_has_filled_to_the_limit_is_decided_by_what_cannot_be_given_back(
    good: RunResult, limit: str, word: str
) -> None:
    used = good.resources.model_copy(
        update={
            "memory_peak_bytes": 4 << 30,
            "memory_limit_bytes": 4 << 30,
            "memory_unreclaimable_bytes": 2300 << 20,
        }
    )
    saturated = good.model_copy(update={"resources": used})
    assert verdict(saturated, f"memory_peak_bytes <= {limit}") == word
    assert verdict(saturated, "memory_unreclaimable_bytes <= 2300MiB") == "PASS"


@pytest.mark.parametrize("rule", ["memory_peak_bytes <= 1GiB", "memory_peak_bytes <= 1MiB", "accuracy >= 0.5"])
@pytest.mark.parametrize("execution", ["scaled", "host"])
def test_memory_and_accuracy_of_this_hosts_instructions_decide_nothing_about_the_board(
    good: RunResult, execution: str, rule: str
) -> None:
    agreement = AgreementSection(compared=1, max_abs_difference=0.0, accuracy_device=0.9, accuracy_host=0.9)
    device = good.device.model_copy(update={"architecture": "x86_64"})
    profile = good.profile.model_copy(update={"architecture": "arm64"})
    run = {"execution": execution, "agreement": agreement, "device": device, "profile": profile}
    item = judge(good.model_copy(update=run), Rules.of([rule])).items[-1]
    assert item.verdict == "INCONCLUSIVE"
    assert "`execution=emulated`" in item.finding, "the finding says what decides the rule"


def test_memory_of_a_process_of_the_boards_own_architecture_is_judged(good: RunResult) -> None:
    profile = good.profile.model_copy(update={"architecture": "arm64"})
    assert (
        verdict(good.model_copy(update={"execution": "host", "profile": profile}), "memory_peak_bytes <= 1MiB")
        == "FAIL"
    )


def test_change_of_a_scaled_servers_memory_is_inconclusive(good: RunResult) -> None:
    scaled = good.model_copy(update={"execution": "scaled"})
    assert verdict(scaled, "memory_peak_bytes: +5 %", baseline=scaled) == "INCONCLUSIVE"


@pytest.mark.parametrize(("candidate_bytes", "word"), [(10**8, "PASS"), (12 * 10**7, "FAIL")])
def test_change_of_memory_is_between_the_emulated_containers_of_both_sides(
    good: RunResult, candidate_bytes: int, word: str
) -> None:
    def side(size: int) -> RunResult:
        peaks = [size + i for i in range(3)]
        used = good.resources.model_copy(update={"memory_peak_bytes": max(peaks)})
        containers = zip(good.restarts, peaks, strict=False)
        restarts = tuple(one.model_copy(update={"memory_peak_bytes": peak}) for one, peak in containers)
        inside = good.model_copy(update={"execution": "emulated", "resources": used, "restarts": restarts})
        return good.model_copy(update={"execution": "scaled"}).with_emulated(inside)

    assert verdict(side(candidate_bytes), "memory_peak_bytes: +5 %", baseline=side(10**8)) == word


@pytest.mark.parametrize(
    ("rule", "problem", "fix"),
    [
        ("latency_ms.p5 <= 3", "no metric 'latency_ms.p5'; did you mean latency_ms.p95?", "rules.md"),
        ("memory <= 3", "no metric 'memory'; did you mean memory_peak_bytes?", "rules.md"),
        ("latency_ms.p50 < 3", "is not a rule", "latency_ms.p50: +5 %"),
        ("latency_ms.p50: 5 %", "is not a rule", "latency_ms.p50: +5 %"),
        ("latency_ms.p50: -5 %", "gets worse by +", "latency_ms.p50: +5 %"),
        ("throughput_qps: +5 %", "gets worse by -", "throughput_qps: -5 %"),
        ("latency_ms.p50 <= +5 %", "is a change", "latency_ms.p50: +5 %"),
        ("memory_peak_bytes <= many", "is not a limit for memory_peak_bytes", "memory_peak_bytes <= 512MiB"),
        ("latency_ms.p50 <= 5 parsecs", "is not a limit for latency_ms.p50", "latency_ms.p50 <= 120 or 120ms"),
        ("latency_ms.p50 <= inf", "is not a limit for latency_ms.p50", "latency_ms.p50 <= 120 or 120ms"),
        ("cold_start_s <= 1e999", "is not a limit for cold_start_s", "cold_start_s <= 1.5 or 1.5s"),
        ("accuracy >= high", "is not a limit for accuracy", "accuracy >= 0.96"),
        ("accuracy >= 96", "accuracy is between 0 and 1", "accuracy >= 0.96"),
    ],
)
def test_text_that_is_not_a_rule_is_refused_with_one_that_is(rule: str, problem: str, fix: str) -> None:
    with pytest.raises(UsageError) as caught:
        Rules.of([rule])
    assert problem in caught.value.problem
    assert caught.value.fix is not None
    assert fix in caught.value.fix


@pytest.mark.parametrize(
    ("rule", "limit"),
    [
        ("latency_ms.p50 <= 500ms", 500),
        ("device_time_ms.high <= 0.5 s", 500),
        ("targets.gpu:tensorrt-fp16.p50 <= 800us", 0.8),
        ("cold_start_s <= 1500ms", 1.5),
        ("latency_ms.p50 <= 1e2", 100),
        ("memory_peak_bytes <= 1KiB", 1024),
    ],
)
def test_limit_may_have_its_unit(rule: str, limit: float) -> None:
    assert Rules.of([rule]).everywhere[0].limit == pytest.approx(limit)


def test_a_rules_file_has_rules_for_all_boards_and_for_one(tmp_path: Path, good: RunResult) -> None:
    path = tmp_path / "edgesim-gate.yaml"
    path.write_text(
        "rules:\n  - artifact_bytes <= 1KiB\n"
        "profiles:\n  jetson-nano:\n    - latency_ms.p50: +5 %\n  other: [accuracy >= 1]\n"
    )
    rules = Rules.read(path)
    texts = [rule.text for rule in rules.of_board("jetson-nano", "MAXN")]
    assert texts == ["artifact_bytes <= 1KiB", "latency_ms.p50: +5 %"]
    assert [item.name for item in judge(good, rules, good).items] == [
        "the run",
        "the baseline",
        "artifact_bytes <= 1KiB",
        "latency_ms.p50: +5 %",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has only the keys rules and profiles"),
        ("- a", "has only the keys rules and profiles"),
        ("ruls: []", "has only the keys rules and profiles"),
        ("rules: []", "contains no rule"),
        ("rules: {a: b}", "must be a list of rules"),
        ("profiles: [a]", "must be a mapping"),
        ("rules: [", "not valid YAML"),
    ],
)
def test_a_rules_file_that_would_let_everything_pass_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(UsageError) as caught:
        Rules.read(tmp_path / "r.yaml")
    assert problem in caught.value.problem


@pytest.mark.parametrize(
    ("board", "code", "words"),
    [
        ("jetson-nano", 1, ""),
        ("jetson-nano:MAXN", 1, ""),
        ("jetson-nano:5w", 0, ""),
        ("raspberry-pi-5", 0, ""),
        ("jetsonnano", 2, "profiles: unknown profile 'jetsonnano'; did you mean 'jetson-nano'?"),
        ("raspberry-pi-5:TURBO", 2, "no power mode"),
        ("our-own-board", 0, "our-own-board is not a known board"),
    ],
)
def test_rules_for_one_board_apply_to_it_and_a_mistyped_name_is_refused(
    good: RunResult, tmp_path: Path, capsys: pytest.CaptureFixture[str], board: str, code: int, words: str
) -> None:
    good.write(tmp_path / "r.json")
    rules = tmp_path / "rules.yaml"
    rules.write_text(f"rules: [artifact_bytes <= 1KiB]\nprofiles:\n  '{board}': [latency_ms.p50 <= 1]\n")
    assert exit_code_of(["gate", str(tmp_path / "r.json"), "--rules", str(rules)]) == code
    shown = capsys.readouterr().err.replace("\n", " ")
    assert words in shown if words else shown == ""


def test_rules_for_other_boards_only_are_refused(good: RunResult) -> None:
    with pytest.raises(UsageError, match="no rule applies to jetson-nano"):
        judge(good, Rules(everywhere=(), by_profile={"other": ()}))


def test_the_command_line_has_an_exit_code_for_each_verdict(
    good: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    good.write(tmp_path / "r.json")
    EMPTY["invalid"](good).write(tmp_path / "invalid.json")
    other = good.model_copy(update={"host": good.host.model_copy(update={"cpu": "another"})})
    other.write(tmp_path / "other.json")
    document = json.loads((tmp_path / "r.json").read_text())
    (tmp_path / "newer.json").write_text(json.dumps(document | {"schema_version": 2}))
    (tmp_path / "half.json").write_text((tmp_path / "r.json").read_text()[:500])
    rule = ["--rule", "latency_ms.p50 <= 30"]
    change = ["--rule", "latency_ms.p50: +5 %"]
    expected = [
        (["gate", "r.json", *rule], 0),
        (["gate", "r.json", "--rule", "latency_ms.p50 <= 3"], 1),
        (["gate", "r.json", *change], 6),
        (["gate", "r.json", *change, "--inconclusive-ok"], 0),
        (["gate", "r.json", "--rule", "latency_ms.p50 <= 3", "--inconclusive-ok"], 1),
        (["gate", "invalid.json", *rule, "--inconclusive-ok"], 5),
        (["gate", "r.json", *change, "--baseline", "r.json"], 0),
        (["gate", "r.json", *change, "--baseline", "other.json"], 6),
        (["gate", "invalid.json", *rule], 5),
        (["gate", "missing.json", *rule], 2),
        (["gate", "newer.json", *rule], 2),
        (["gate", "half.json", *rule], 2),
        (["gate", "r.json"], 2),
        (["gate", "r.json", *rule, "--rules", "x.yaml"], 2),
        (["gate", "r.json", *rule, "--max-rounds", "8"], 2),
        (["gate", "r.json", *rule, "--engine", "docker"], 2),
        (["compare", "r.json", "r.json"], 0),
        (["compare", "r.json", "other.json"], 0),
        (["compare", "r.json", "r.json", "other.json"], 0),
        (["compare", "r.json", "r.json", "other.json", "--force"], 2),
        (["compare", "r.json", "other.json", "--force"], 0),
    ]
    assert [(arguments, exit_code_of(arguments)) for arguments, _ in expected] == expected
    shown = capsys.readouterr()
    assert "NOT COMPARABLE: host CPU: x and another" in shown.out
    assert "Traceback" not in shown.err
    assert exit_code_of(["gate", "r.json", *rule, "--junit", "j.xml", "--json"]) == 0
    assert 'failures="0"' in (tmp_path / "j.xml").read_text()
    assert exit_code_of(["compare", "r.json", "r.json", "--json"]) == 0


# --- a host of the board's architecture that is not the board ---------------------------------------------------------


def beside_the_board(good: RunResult, *, slowed_down: bool = False, **update: Any) -> RunResult:
    """Return the run as one on another host of the board's architecture, at that host's speed or slowed down."""
    scaling = (
        ScalingSection(share=0.5, quota_us=1, period_us=2, threads=1, method="", models=()) if slowed_down else None
    )
    beside = results.beside_the_board(good, None if slowed_down else "this host is too slow")
    time = DeviceTimeSection(p50=45.9, low=29.9, high=70.4, method="predicted from the graph")
    return beside.model_copy(update={"scaling": scaling, "device_time_ms": time} | update)


@pytest.mark.parametrize(
    ("rule", "at_its_own_speed", "slowed_down"),
    [
        ("latency_ms.p50 <= 35", "INCONCLUSIVE", "PASS"),
        ("latency_ms.p50 <= 12", "INCONCLUSIVE", "FAIL"),
        ("throughput_qps >= 0.1", "INCONCLUSIVE", "PASS"),
        ("cold_start_s <= 100", "INCONCLUSIVE", "INCONCLUSIVE"),
        ("device_time_ms.p50 <= 100", "PASS", "PASS"),
        ("artifact_bytes <= 1KiB", "PASS", "PASS"),
    ],
)
def test_time_of_another_host_than_the_board_passes_no_absolute_rule(
    good: RunResult, rule: str, at_its_own_speed: str, slowed_down: str
) -> None:
    judged = judge(beside_the_board(good), Rules.of([rule]))
    assert judged.word == at_its_own_speed
    if at_its_own_speed == "INCONCLUSIVE":
        assert judged.items[-1].finding == "this host's time, not the board's: this host is too slow"
    assert verdict(beside_the_board(good, slowed_down=True), rule) == slowed_down


def slowed_down(good: RunResult, execution: str, scenario: str = "single-stream", **figures: Any) -> RunResult:
    """Return a run whose median of 20 ms plays a prediction back that may be 25 % shorter, or twice as long."""
    time = DeviceTimeSection(p50=20.0, low=15.0, high=40.0, method="predicted from the graph")
    update = {"device_time_ms": time, "scenario": good.scenario.model_copy(update={"name": scenario})} | figures
    if execution == "same-architecture":
        return beside_the_board(good, slowed_down=True, **update)
    return good.model_copy(update={"execution": execution} | update)


@pytest.mark.parametrize("execution", ["scaled", "same-architecture"])
@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("latency_ms.p50 <= 41", "PASS"),
        ("latency_ms.p50 <= 39", "INCONCLUSIVE"),
        ("latency_ms.p50 <= 16", "INCONCLUSIVE"),
        ("latency_ms.p50 <= 14", "FAIL"),
        ("throughput_qps >= 24", "PASS"),
        ("throughput_qps >= 26", "INCONCLUSIVE"),
        ("throughput_qps >= 66", "INCONCLUSIVE"),
        ("throughput_qps >= 67", "FAIL"),
        ("energy_j <= 0.21", "PASS"),
        ("energy_j <= 0.19", "INCONCLUSIVE"),
        ("energy_j <= 0.07", "FAIL"),
    ],
)
def test_a_figure_that_plays_a_prediction_back_is_as_sure_as_the_prediction(
    good: RunResult, execution: str, rule: str, expected: str
) -> None:
    energy = EnergySection(per_inference=0.1, method="5 W")
    judged = judge(slowed_down(good, execution, throughput_qps=50.0, energy_j=energy), Rules.of([rule]))
    assert judged.word == expected
    assert "80 % band of the prediction" in judged.items[-1].finding
    assert ("edgesim calibrate" in judged.items[-1].finding) == (expected == "INCONCLUSIVE")


@pytest.mark.parametrize(("qps", "low"), [(10.0, 10.0), (25.0, 25.0), (40.0, 25.0), (100.0, 50.0)])
def test_requests_that_arrive_by_a_schedule_are_answered_unless_the_slowest_board_cannot_keep_up(
    good: RunResult, qps: float, low: float
) -> None:
    """At most 25 requests a second of 40 ms each; a server of batches answers half as many in twice the time."""
    run = slowed_down(good, "scaled", "server", throughput_qps=qps)
    assert verdict(run, f"throughput_qps >= {low}") == "PASS"
    assert verdict(run, f"throughput_qps >= {qps + 1}") == "FAIL"
    assert verdict(run, f"throughput_qps >= {low + 1}") == ("FAIL" if low == qps else "INCONCLUSIVE")


def test_a_time_that_was_measured_on_the_board_has_no_band_of_a_prediction(good: RunResult) -> None:
    judged = judge(slowed_down(good, "native"), Rules.of(["latency_ms.p50 <= 25"]))
    assert (judged.word, "band" in judged.items[-1].finding) == ("PASS", False)


def test_device_time_that_is_not_known_is_inconclusive_on_another_host_than_the_board(good: RunResult) -> None:
    unknown = DeviceTimeSection(p50=None, low=None, high=None, method="none: no figure of such a core")
    judged = judge(beside_the_board(good, device_time_ms=unknown), Rules.of(["device_time_ms.p50 <= 100"]))
    assert (judged.word, judged.items[-1].finding) == ("INCONCLUSIVE", "not known: no figure of such a core")


def test_rules_of_change_hold_on_any_host_but_not_between_a_host_and_one_that_is_slowed_down(good: RunResult) -> None:
    beside, slowed_down = beside_the_board(good), beside_the_board(good, slowed_down=True)
    assert verdict(beside, "latency_ms.p50: +5 %", baseline=beside) == "PASS"
    assert differences(beside, slowed_down) == ["slowed down: False and True"]
    assert differences(good, beside)[0] == "execution: native and same-architecture"


def test_paired_run_on_another_host_than_the_board_refuses_absolute_rules_for_times() -> None:
    (absolute,), (change,) = (Rules.of([rule]).everywhere for rule in ("latency_ms.p50 <= 5", "latency_ms.p50: +5 %"))
    refuse(change, "same-architecture")
    with pytest.raises(UsageError, match="`execution=same-architecture` does not measure the board's time"):
        refuse(absolute, "same-architecture")


def test_finding_on_a_profile_with_the_core_of_its_host_says_whose_time_it_is(good: RunResult) -> None:
    gateway = good.model_copy(update={"profile": good.profile.model_copy(update={"core": HOST_CORE})})
    judged = judge(gateway, Rules.of(["latency_ms.p50 <= 25", "artifact_bytes <= 1KiB"]))
    assert [item.verdict for item in judged.items] == ["PASS"] * 3
    assert judged.items[1].finding.endswith(" (this host's time)")
    assert not judged.items[2].finding.endswith(" (this host's time)")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("detections.more <= 1", "PASS"),
        ("detections.more <= 0", "FAIL"),
        ("detections.fewer <= 0", "PASS"),
        ("detections.min_iou >= 0.9", "PASS"),
        ("detections.max_score_difference <= 0.001", "FAIL"),
    ],
)
def test_rules_on_matched_detections(good: RunResult, rule: str, expected: str) -> None:
    row = DetectionRowSection(request=0, image=0, label=1, score=0.3, explained=True)
    found = DetectionsSection(
        layout="boxes in b", matched=3, min_iou=0.98, max_score_difference=0.01, more=(row,), verdict="PASS"
    )
    agreement = AgreementSection(compared=1, max_abs_difference=0.01, detections=found)
    assert verdict(good.model_copy(update={"agreement": agreement}), rule) == expected
    assert verdict(good, rule) == "FAIL"  # nothing was matched


def in_release(result: RunResult, release: str, *, side: str = "candidate") -> RunResult:
    """Return a side of a paired run of one model in two releases, each in an image of its own."""
    place = InterleavedSection(job="1", side=side, looks=(6,), requests=100, release=release)  # type: ignore[arg-type]
    device = result.device.model_copy(update={"runtime": RuntimeSection(name="onnxruntime", version=release)})
    image = result.image.model_copy(update={"id": f"sha256:{release}"})
    return result.model_copy(update={"interleaved": place, "device": device, "image": image})


@pytest.mark.parametrize(("slower", "expected"), [(1.0, "PASS"), (1.3, "FAIL")])
def test_two_releases_in_turns_are_judged_by_the_change_of_a_measured_time(
    result: RunResult, slower: float, expected: str
) -> None:
    base = in_release(run(result, 20.0), "1.16.3", side="base")
    candidate = in_release(run(result, 20.0 * slower, seed=1), "1.18.1")
    judged = judge(candidate, Rules.of(["latency_ms.p50: +10 %"]), base)
    assert judged.word == expected
    assert [name.rpartition(", ")[2] for _, name in judged.sides] == ["ONNX Runtime 1.16.3", "ONNX Runtime 1.18.1"]
    assert [item.name for item in judged.items[:2]] == ["the candidate", "the base"]  # none of them was saved before


def test_two_counts_that_were_just_made_are_a_base_and_a_candidate(good: RunResult) -> None:
    other = good.model_copy(update={"schema_version": good.schema_version + 1})
    assert good.profile.mode
    judged = judge(good, Rules.of(["latency_ms.p50: +5 %"]), other, paired=True)
    assert [item.name for item in judged.items[:2]] == ["the candidate", "the base"]
    assert judged.items[2].finding.startswith("cannot compare with the base: ")
    assert judged.board == f"{good.profile.title} ({good.profile.mode})"


def test_a_predicted_time_says_nothing_of_two_releases_and_memory_does(good: RunResult) -> None:
    scaling = ScalingSection.model_construct()
    sides = [in_release(good, release, side=side) for release, side in (("1.16.3", "base"), ("1.18.1", "candidate"))]
    base, candidate = (side.model_copy(update={"execution": "scaled", "scaling": scaling}) for side in sides)
    rules = Rules.of(["latency_ms.p50: +5 %", "device_time_ms.p50: +5 %", "artifact_bytes: +5 %"])
    judged = {item.name: item for item in judge(candidate, rules, base).items}
    for rule in ("latency_ms.p50: +5 %", "device_time_ms.p50: +5 %"):
        assert judged[rule].verdict == "INCONCLUSIVE"
        assert "both releases have the same predicted time" in judged[rule].finding
    assert judged["artifact_bytes: +5 %"].verdict == "PASS"


def test_results_of_two_releases_are_compared_only_when_that_is_wanted(good: RunResult) -> None:
    base, candidate = (
        in_release(good, release).model_copy(update={"interleaved": None}) for release in ("1.16.3", "1.18.1")
    )
    assert differences(base, candidate) == ["runtime: onnxruntime 1.16.3 and onnxruntime 1.18.1"]
    assert differences(base, candidate, across_runtimes=True) == []
    other = candidate.model_copy(update={"host": good.host.model_copy(update={"kernel": "Linux 7"})})
    assert differences(base, other, across_runtimes=True) == ["kernel: Linux and Linux 7"]


@pytest.mark.parametrize(
    "name", ["latency_ms.min", "latency_ms.mean", "latency_ms.p99", "latency_ms.max", "generation.tokens_per_second"]
)
def test_figures_of_many_resamples_are_those_of_each(name: str) -> None:
    rows = np.random.default_rng(1).exponential(5, size=(7, 30))
    assert statistics(rows, name).tolist() == [statistic(row, name) for row in rows]
