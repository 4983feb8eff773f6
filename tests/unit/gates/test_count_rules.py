"""Rules on counted instructions: judged by the counts' scatter, whatever the hosts are."""

import pytest

from edgesim.gates import Rules, baselines, judge
from edgesim.gates.comparable import differences
from edgesim.results.run_result import RunResult
from edgesim.results.verdict import VerdictWord
from tests.support.results import counted


def word(result: RunResult, baseline: RunResult, rule: str) -> VerdictWord:
    """Return the verdict on one rule of change."""
    return judge(result, Rules.of([rule]), baseline).items[-1].verdict


BASE = counted((999_900, 1_000_000, 1_000_100))


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        ((999_900, 1_000_000, 1_000_100), "PASS"),
        ((1_009_000, 1_009_100, 1_009_200), "PASS"),
        ((1_011_000, 1_011_100, 1_011_200), "FAIL"),
        ((1_009_000, 1_010_000, 1_011_000), "INCONCLUSIVE"),
    ],
)
def test_change_of_instructions_is_judged_by_the_scatter(candidate: tuple[int, int, int], expected: str) -> None:
    assert word(counted(candidate), BASE, "instructions: +1 %") == expected


def test_finding_has_hundredths_of_a_percent() -> None:
    verdict = judge(counted((1_000_400, 1_000_500, 1_000_600)), Rules.of(["instructions: +1 %"]), BASE)
    assert verdict.items[-1].finding.startswith("+0.05 % (by the counts' scatter +0.03 to +0.07 %)")


def test_counts_of_two_hosts_can_be_compared() -> None:
    other = BASE.model_copy(
        update={
            "host": BASE.host.model_copy(
                update={"cpu": "another", "cores": 64, "kernel": "Linux 1", "engine": "other"}
            ),
            "image": BASE.image.model_copy(update={"id": "sha256:12"}),
        }
    )
    assert differences(BASE, other) == []
    assert baselines.fingerprint(BASE) == baselines.fingerprint(other)


def test_counts_of_two_releases_can_be_compared() -> None:
    device = BASE.device.model_copy(update={"runtime": "onnxruntime 1.16.3"})
    other = BASE.model_copy(update={"device": device})
    assert differences(BASE, other) == []
    assert word(other, BASE, "instructions: +1 %") == "PASS"


@pytest.mark.parametrize("field", ["threads of an inference", "counted by", "emulated core"])
def test_counts_of_other_conditions_cannot_be_compared(field: str) -> None:
    assert BASE.instructions is not None
    device = BASE.device
    changes: dict[str, dict[str, object]] = {
        "threads of an inference": {"device": device.model_copy(update={"intra_op_threads": 4})},
        "counted by": {"instructions": BASE.instructions.model_copy(update={"method": "QEMU 11"})},
        "emulated core": {"device": device.model_copy(update={"qemu_cpu": "cortex-a76"})},
    }
    (difference,) = differences(BASE, BASE.model_copy(update=changes[field]))
    assert difference.startswith(field)


def test_count_cannot_be_compared_with_a_run_without_counts() -> None:
    assert differences(BASE.model_copy(update={"instructions": None}), BASE)


def test_rule_on_instructions_fails_where_nothing_was_counted() -> None:
    plain = BASE.model_copy(update={"instructions": None})
    item = judge(plain, Rules.of(["instructions <= 2000000"])).items[-1]
    assert (item.verdict, item.finding) == ("FAIL", "instructions is missing in this result; edgesim count counts it")


def test_instructions_are_those_of_a_request_where_the_server_marks_no_inference() -> None:
    assert BASE.instructions is not None
    unmarked = BASE.model_copy(update={"instructions": BASE.instructions.model_copy(update={"inference": None})})
    item = judge(unmarked, Rules.of(["instructions <= 1500000"])).items[-1]
    assert item.verdict == "FAIL"
    assert "2,000,000" in item.finding


def test_memory_of_a_counted_board_decides_no_rule() -> None:
    item = judge(BASE, Rules.of(["memory_peak_bytes <= 1KiB"])).items[-1]
    assert item.verdict == "INCONCLUSIVE"
