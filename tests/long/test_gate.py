"""Two models in turns in fresh containers: natively, and on a board that this host is held back to."""

from pathlib import Path

import pytest

from edgesim.errors import UsageError
from edgesim.gates import Rules
from edgesim.jobs.paired import run_pair
from edgesim.models import repository, samples
from tests.integration.test_gate import ANYTHING_BUT_WORLDS, matmuls

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("nothing_left_behind")]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("board", "execution"), [("x86-gateway", "native"), ("jetson-nano", "scaled")])
def test_the_same_model_passes_in_containers(board: str, execution: str) -> None:
    # The board takes seven times as long for it as this host: there is room to hold it back.
    mobilenet = repository.find("mobilenet_v2", samples.ensure("mobilenet_v2"))
    rules = Rules.of([ANYTHING_BUT_WORLDS, "memory_peak_bytes: +50 %", "artifact_bytes: +0 %"])
    pair = run_pair(board, mobilenet, mobilenet, rules, max_rounds=5)
    reasons = (*pair.base.validity.reasons, *pair.candidate.validity.reasons)
    # Other programs may leave this host too little to be held to a board's time: that is said, and is no FAIL.
    expected = "INCONCLUSIVE" if reasons and execution == "scaled" else "PASS"
    assert pair.verdict.word == expected, pair.verdict
    assert all(reason.startswith("scale held") for reason in reasons)
    assert {pair.base.execution, pair.candidate.execution} == {execution}
    assert len(pair.base.restarts) == len(pair.candidate.restarts) == 5
    # The memory of a board that this host is held back to is that of emulated containers.
    measured = pair.candidate.emulated if execution == "scaled" else pair.candidate
    assert measured is not None
    assert len({restart.memory_peak_bytes for restart in measured.restarts}) > 1


@pytest.mark.timeout(900)
def test_an_emulated_board_is_judged_by_its_memory_and_answers_and_not_by_its_time() -> None:
    digits = repository.find("digits", samples.ensure("digits"))
    rules = ["memory_peak_bytes: +50 %", "accuracy >= 0.9"]
    pair = run_pair("jetson-nano", digits, digits, Rules.of(rules), execution="emulated", max_rounds=5)
    assert pair.verdict.word == "PASS", pair.verdict
    assert {pair.base.execution, pair.candidate.execution} == {"emulated"}
    assert len(pair.candidate.restarts) == 5
    with pytest.raises(UsageError, match="emulat"):
        run_pair("jetson-nano", digits, digits, Rules.of([ANYTHING_BUT_WORLDS]), execution="emulated")


@pytest.mark.timeout(900)
def test_a_model_of_many_times_the_work_fails_in_containers(tmp_path: Path) -> None:
    base, slow = matmuls(tmp_path / "base.onnx", 2), matmuls(tmp_path / "slow.onnx", 60)
    pair = run_pair("x86-gateway", base, slow, Rules.of(["latency_ms.p50: +5 %"]), max_rounds=5)
    assert pair.verdict.word == "FAIL", pair.verdict
