"""Which sides of a scaled paired run also get emulated boards, and what becomes of the rules that need them."""

from types import SimpleNamespace
from typing import Any

import pytest

from edgesim.errors import EmulatorMissing, OutOfMemory
from edgesim.gates import Rules, judge
from edgesim.jobs import paired_boards
from edgesim.jobs.paired_boards import with_emulated_boards
from edgesim.options import RunOptions
from edgesim.progress import Stages
from edgesim.results.run_result import RunResult
from edgesim.results.sections import ValiditySection


@pytest.fixture
def scaled(result: RunResult) -> RunResult:
    own = result.resources.model_copy(update={"memory_peak_bytes": 30 << 20})
    valid = ValiditySection(valid=True)
    return result.model_copy(update={"execution": "scaled", "resources": own, "validity": valid})


class Emulation:
    """Emulated boards that need 100 MiB each, and the sides and repetitions that were asked for."""

    def __init__(self, result: RunResult, error: Exception | None = None) -> None:
        used = result.resources.model_copy(update={"memory_peak_bytes": 100 << 20})
        valid = ValiditySection(valid=True)
        self._half = result.model_copy(update={"execution": "emulated", "resources": used, "validity": valid})
        self._error = error
        self.boards: list[tuple[str, int]] = []

    def half(self, side: str, options: RunOptions) -> RunResult:
        assert options.board.execution == "emulated"
        self.boards.append((side, options.repeat))
        if self._error is not None:
            raise self._error
        return self._half


def judged(
    scaled: RunResult, emulation: Emulation, monkeypatch: pytest.MonkeyPatch, *rules: str
) -> tuple[str, RunResult]:
    monkeypatch.setattr(paired_boards, "_job", lambda side, options, stages: side.name)
    monkeypatch.setattr(paired_boards, "emulated_half", emulation.half)
    sides: Any = [SimpleNamespace(name="base"), SimpleNamespace(name="candidate")]
    chosen = Rules.of(rules)
    results = with_emulated_boards(sides, [scaled, scaled], chosen.everywhere, RunOptions(), Stages())
    return judge(results[1], chosen, results[0]).items[-1].verdict, results[1]


def test_limit_on_memory_is_judged_on_an_emulated_board_of_the_candidate_alone(
    scaled: RunResult, result: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulation = Emulation(result)
    word, candidate = judged(scaled, emulation, monkeypatch, "memory_peak_bytes <= 40MiB")
    assert word == "FAIL", "the scaled server takes 30 MiB, the board 100"
    assert emulation.boards == [("candidate", 1)]
    assert candidate.resources.memory_peak_bytes == 100 << 20


@pytest.mark.parametrize(("rule", "repeat"), [("memory_peak_bytes: +5 %", 3), ("accuracy: -1 %", 1)])
def test_change_needs_emulated_boards_of_both_sides_and_several_where_the_figure_scatters(
    scaled: RunResult, result: RunResult, monkeypatch: pytest.MonkeyPatch, rule: str, repeat: int
) -> None:
    emulation = Emulation(result)
    judged(scaled, emulation, monkeypatch, rule)
    assert emulation.boards == [("base", repeat), ("candidate", repeat)]


def test_rules_of_times_start_no_emulated_board(
    scaled: RunResult, result: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulation = Emulation(result)
    judged(scaled, emulation, monkeypatch, "latency_ms.p50: +5 %", "failed_requests <= 0")
    assert emulation.boards == []


def test_host_that_cannot_emulate_leaves_the_rule_inconclusive(
    scaled: RunResult, result: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulation = Emulation(result, EmulatorMissing("no arm64 here"))
    assert judged(scaled, emulation, monkeypatch, "memory_peak_bytes <= 40MiB")[0] == "INCONCLUSIVE"


def test_board_that_fails_names_its_side(scaled: RunResult, result: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutOfMemory, match="does not fit") as failed:
        judged(scaled, Emulation(result, OutOfMemory("does not fit")), monkeypatch, "memory_peak_bytes <= 40MiB")
    assert failed.value.problem.startswith("the candidate, emulated: ")
