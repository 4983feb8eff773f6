"""Two models in turns on this host, through the real server as a plain process: rounds, results, verdicts, failures."""

import json
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesim import profiles
from edgesim.errors import DeviceDied, UsageError
from edgesim.gates import Rules, judge
from edgesim.gates.result_metrics import per_container
from edgesim.jobs import noise, paired_rounds
from edgesim.jobs.load_session import LoadSession
from edgesim.jobs.paired import run_pair
from edgesim.loadgen.transport import HttpTransport
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.recording import Sample
from edgesim.results.run_result import RunResult
from tests.conftest import write_model
from tests.support.command_line import exit_code_of

BOARD = "x86-gateway"
# Nothing that happens on a busy host is as large.
ANYTHING_BUT_WORLDS = "latency_ms.p50: +900 %"


def matmuls(path: Path, layers: int) -> Model:
    """A chain of matrix products: so much work more, the more layers."""
    nodes = [helper.make_node("MatMul", [f"h{i}" if i else "x", "w"], [f"h{i + 1}"]) for i in range(layers)]
    nodes[-1].output[0] = "y"
    weight = numpy_helper.from_array((np.eye(256) * 0.9).astype(np.float32), "w")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [64, 256]) for name in "xy")
    proto = helper.make_model(
        helper.make_graph(nodes, "chain", [x], [y], [weight]), opset_imports=[helper.make_opsetid("", 17)]
    )
    proto.ir_version = 8
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(proto, path)
    return repository.find(str(path))


def test_the_same_model_passes_and_both_results_are_whole(digits: Model) -> None:
    pair = run_pair(
        BOARD,
        digits,
        digits,
        Rules.of([ANYTHING_BUT_WORLDS, "artifact_bytes: +0 %", "accuracy >= 0.9"]),
        engine="local",
        max_rounds=5,
    )
    assert pair.verdict.word == "PASS", pair.verdict
    sides = (pair.base, pair.candidate)
    for result in sides:
        assert (result.execution, len(result.restarts), result.complete) == ("host", 5, True)
        assert result.interleaved is not None
        assert result.requests.ok == 5 * result.interleaved.requests
        assert result.agreement is not None
        assert result.latency_ms.mean is not None
        assert result.throughput_qps == pytest.approx(1e3 / result.latency_ms.mean, rel=0.01)
        for name in (
            "latency_ms.p50",
            "throughput_qps",
            "cold_start_s",
            "cpu_seconds_per_request",
            "memory_peak_bytes",
        ):
            values = per_container(result, name)
            assert len(values) == 5
            # The kernel counts a process's CPU time in hundredths of a second: a round may take none.
            least = 0 if name == "cpu_seconds_per_request" else 1e-9
            assert all(value is not None and value >= least for value in values)
    begun = [[result.samples[r.first_sample] for r in result.restarts] for result in sides]
    assert begun[0] != begun[1]
    assert psutil.Process().cpu_affinity() == psutil.Process(psutil.Process().ppid()).cpu_affinity()


def test_a_model_of_many_times_the_work_fails_and_its_saved_results_say_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, slow = matmuls(tmp_path / "base.onnx", 2), matmuls(tmp_path / "slow.onnx", 60)
    code = exit_code_of(
        [
            "gate",
            "--base",
            str(base.path),
            "--cand",
            str(slow.path),
            BOARD,
            "--engine",
            "local",
            "--max-rounds",
            "5",
            "-o",
            str(tmp_path / "out"),
        ]
    )
    shown = capsys.readouterr()
    assert code == 1, shown
    assert "FAIL  latency_ms.p50: +5 %" in shown.out
    results = [RunResult.read(tmp_path / "out" / name) for name in ("base.json", "candidate.json")]
    again = judge(results[1], Rules.of(["latency_ms.p50: +5 %"]), results[0])
    assert again.items[-1].figures["rounds"] == 5
    assert again.word == "FAIL"
    assert exit_code_of(["compare", *(str(tmp_path / "out" / name) for name in ("base.json", "candidate.json"))]) == 0


def test_a_candidate_whose_server_dies_is_named_and_nothing_is_left(
    digits: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    take_turns = paired_rounds.Rounds._take_turns

    def kill_one(job: paired_rounds.Rounds, seats: list[paired_rounds.Seat]) -> None:
        if job.done == 1:
            victim = next(seat for seat in seats if seat.side.name == "candidate")
            victim.board.device._process.kill()  # type: ignore[attr-defined]
            victim.board.device._process.wait()  # type: ignore[attr-defined]
        take_turns(job, seats)

    def running() -> set[int]:
        """Servers among the children of this process; other tests' servers may be among them."""
        children = (child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE)
        return {child.pid for child in children if "edgesim.server" in child.cmdline()}

    before = running()
    monkeypatch.setattr(paired_rounds.Rounds, "_take_turns", kill_one)
    kept: list[RunResult] = []
    with pytest.raises(DeviceDied, match="measuring the candidate"):
        run_pair(
            BOARD,
            digits,
            digits,
            Rules.of([ANYTHING_BUT_WORLDS]),
            engine="local",
            unfinished=lambda *results: kept.extend(results),
        )
    assert running() <= before
    assert [(side.complete, side.requests.ok == side.interleaved.requests) for side in kept if side.interleaved] == [
        (False, True)
    ] * 2, "the round that was done"


class WrongPath:
    """A transport whose requests go to a path that the server does not have."""

    def __init__(self, transport: HttpTransport) -> None:
        self._transport = transport
        self.now_ns, self.wait = transport.now_ns, transport.wait

    def send(self, request: bytes) -> int | None:
        return self._transport.send(request.replace(b"/infer", b"/nfer!"))


def test_a_request_that_fails_makes_the_run_invalid_and_never_a_pass(
    digits: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_turn = LoadSession.take_turn
    sessions: list[LoadSession] = []

    def spoil_candidate(session: LoadSession, transport: HttpTransport, count: int, into: list[Sample]) -> None:
        if session not in sessions:
            sessions.append(session)
        candidate = sessions.index(session) == 1  # in the first round the base goes first
        take_turn(session, WrongPath(transport) if candidate else transport, count, into)

    monkeypatch.setattr(LoadSession, "take_turn", spoil_candidate)
    pair = run_pair(BOARD, digits, digits, Rules.of([ANYTHING_BUT_WORLDS]), engine="local")
    assert pair.verdict.word != "PASS"
    assert not pair.candidate.validity.valid
    assert len(pair.candidate.restarts) <= 1, "there was no sense in another round"


def test_models_that_take_different_things_are_refused_before_anything_runs(tmp_path: Path, digits: Model) -> None:
    other = repository.find(str(write_model(tmp_path / "other.onnx")))
    with pytest.raises(UsageError, match="the models' inputs differ"):
        run_pair(BOARD, digits, other, Rules.of([ANYTHING_BUT_WORLDS]), engine="local")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--base", "digits", BOARD], "--base and --cand: give both"),
        (["--base", "digits", "--cand", "digits", BOARD, "--baseline", "b.json"], "--baseline: needs a result file"),
        (
            ["--base", "digits", "--cand", "digits", BOARD, "--execution", "emulated"],
            "does not measure the board's time",
        ),
        (
            ["--base", "digits", "--cand", "digits", BOARD, "--engine", "local", "--rule", "latency_ms.p50 <= 9"],
            "does not measure the board's time",
        ),
        (["--base", "digits", "--cand", "nix", BOARD], "nix: not a model's name"),
        (["result.json", "--rule", "accuracy >= 1", "--model", "digits"], "--model: needs --base and --cand"),
    ],
)
def test_a_gate_that_cannot_be_is_refused_in_a_line(
    words: list[str], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert exit_code_of(["gate", *words]) == 2
    assert problem in capsys.readouterr().err


def test_a_probe_of_this_host_forbids_rules_of_changes_that_it_cannot_see(
    digits: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path))
    assert exit_code_of(["noise", BOARD, str(digits.path), "--engine", "local", "--rounds", "5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    visible = found["smallest_visible_change"]["latency_ms.p50"]
    assert Path(found["file"]).parent == tmp_path / "noise"
    assert visible > 0
    gate = ["gate", "--base", str(digits.path), "--cand", str(digits.path), BOARD, "--engine", "local"]
    assert exit_code_of([*gate, "--rule", f"latency_ms.p50: +{100 * visible * 0.9:.9f} %"]) == 2
    assert f"cannot detect a change below {100 * visible:.1f} % in 20 rounds" in capsys.readouterr().err
    # Another execution was not probed, and a rule of a size has no noise.
    assert noise.known(profiles.load(BOARD), "docker", "native") == []
    assert exit_code_of([*gate, "--max-rounds", "5", "--rule", "artifact_bytes: +0 %"]) == 0
