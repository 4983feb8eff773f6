"""What a bundle takes from a result, what it refuses, and the verdict of a replay."""

import json
import math
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgesim
from edgesim import profiles
from edgesim.errors import EdgesimError, ModelError, ResultError, UsageError
from edgesim.gates import replayed
from edgesim.jobs import replay as replay_module
from edgesim.jobs.bundle import REPLAYED_OPTIONS
from edgesim.options import RunOptions
from edgesim.predictions import calibration
from edgesim.results.run_result import RunResult
from edgesim.results.sections import (
    AgreementSection,
    AnswerSection,
    DeviceTimeSection,
    RequestsSection,
    ValiditySection,
)
from tests.support.bundles import recorded, written
from tests.support.command_line import exit_code_of
from tests.support.histories import scaled
from tests.support.results import counted, of_a_stack


def answer(**changes: Any) -> AnswerSection:
    values: dict[str, Any] = {
        "name": "y",
        "datatype": "float32",
        "shape": (1, 2),
        "sha256": "a",
        "excerpt": (0.25, 0.75),
        "relative": 1e-3,
        "of_scale": 1e-4,
        "absolute": 1e-6,
        "scale": 0.75,
    }
    return AnswerSection(**(values | changes))


@pytest.fixture
def base(result: RunResult) -> RunResult:
    return result.model_copy(
        update={
            "agreement": AgreementSection(compared=1, max_abs_difference=0.0, accuracy_device=0.9, answers=(answer(),)),
            "device_time_ms": DeviceTimeSection(p50=10.0, low=8.0, high=12.0, method="predicted", sizes="inference"),
            "resources": result.resources.model_copy(update={"memory_unreclaimable_bytes": 100_000_000}),
            "requests": RequestsSection(sent=1, ok=1, failed=0, error_rate=0.0),
            "validity": ValiditySection(valid=True),
        }
    )


def verdicts(base: RunResult, candidate: RunResult) -> dict[str, str]:
    return {item.name: item.verdict for item in replayed.judge(base, candidate, digests="2 files").items}


def test_replay_with_the_same_figures_passes(base: RunResult) -> None:
    verdict = replayed.judge(base, base, digests="2 files")
    assert verdict.word == "PASS"
    assert {item.name for item in verdict.items} == {
        *("digests", "validity", "answers: y", "accuracy", "prediction", "memory_unreclaimable_bytes")
    }


@pytest.mark.parametrize(
    ("after", "word"),
    [
        (answer(sha256="b", excerpt=(0.2501, 0.7501)), "PASS"),
        (answer(sha256="b", excerpt=(0.25, 0.76)), "FAIL"),
        (answer(sha256="b", excerpt=(None, 0.75)), "FAIL"),
        (answer(sha256="b", shape=(2, 1)), "FAIL"),
        (answer(sha256="b", excerpt=()), "FAIL"),
    ],
)
def test_answers_are_equal_within_the_outputs_tolerance(base: RunResult, after: AnswerSection, word: str) -> None:
    assert base.agreement is not None
    other = base.model_copy(update={"agreement": base.agreement.model_copy(update={"answers": (after,)})})
    assert verdicts(base, other)["answers: y"] == word


def test_another_prediction_accuracy_and_memory_fail(base: RunResult) -> None:
    assert base.agreement is not None
    other = base.model_copy(
        update={
            "device_time_ms": base.device_time_ms.model_copy(update={"p50": 10.1}),
            "agreement": base.agreement.model_copy(update={"accuracy_device": 0.8}),
            "resources": base.resources.model_copy(update={"memory_unreclaimable_bytes": 110_000_000}),
        }
    )
    judged = verdicts(base, other)
    assert [judged[name] for name in ("prediction", "accuracy", "memory_unreclaimable_bytes")] == ["FAIL"] * 3


def test_memory_of_another_execution_and_times_of_another_host_are_not_judged(base: RunResult) -> None:
    other = base.model_copy(
        update={"execution": "host", "host": base.host.model_copy(update={"cpu": "another", "cores": 64})}
    )
    verdict = replayed.judge(base, other, digests="2 files")
    assert "memory_unreclaimable_bytes" not in {item.name for item in verdict.items}
    findings = {item.name: item.finding for item in verdict.not_judged}
    assert "execution differ" in findings["memory_unreclaimable_bytes"]
    assert verdict.word == "PASS"


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        (60_327, 60_493, "PASS"),  # what two containers of digits differ by
        (60_327, 61_000, "FAIL"),
        (180_000_000, 180_170_000, "PASS"),
        (180_000_000, 180_190_000, "FAIL"),
    ],
)
def test_counts_are_equal_within_a_thousandth_or_a_few_hundred_instructions(before: int, after: int, word: str) -> None:
    first, second = (counted((count, count, count)) for count in (before, after))
    assert verdicts(first, second)["instructions"] == word


def test_times_of_an_emulator_are_said_to_be_that_whatever_else_differs() -> None:
    emulated = scaled(50.0).model_copy(update={"execution": "emulated"})
    elsewhere = emulated.model_copy(update={"host": emulated.host.model_copy(update={"cpu": "another"})})
    verdict = replayed.judge(emulated, elsewhere, digests="2 files")
    findings = {item.name: item.finding for item in verdict.not_judged}
    assert findings["latency_ms.p50"].endswith("the times are an emulator's")


def test_invalid_replay_and_missing_answers_are_never_a_pass(base: RunResult) -> None:
    invalid = base.model_copy(update={"validity": ValiditySection(valid=False, reasons=("drift",)), "agreement": None})
    judged = verdicts(base, invalid)
    assert (judged["validity"], judged["answers: y"]) == ("INCONCLUSIVE", "INCONCLUSIVE")


def test_every_profile_in_every_mode_comes_back_from_its_facts() -> None:
    for name in profiles.names():
        board = profiles.load(name)
        for each in [board, *map(board.in_mode, board.modes)]:
            facts = json.loads(json.dumps(each.model_dump(mode="json", exclude_unset=True)))
            again = profiles.of_facts(facts, "it")  # all facts, and not which profile states each
            assert (again.model_dump(), again.sha256) == (each.model_dump(), each.sha256)


def test_result_without_an_invocation_says_why_it_cannot_be_bundled(result: RunResult, tmp_path: Path) -> None:
    result.write(tmp_path / "r.json")
    with pytest.raises(ResultError, match="does not have the options of its run"):
        edgesim.bundle(tmp_path / "r.json", tmp_path / "b.tar")


def test_result_of_a_stack_is_refused_with_how_to_archive_the_stack(tmp_path: Path) -> None:
    of_a_stack().write(tmp_path / "s.json")
    with pytest.raises(ResultError, match="is the result of a stack, not of one model") as caught:
        edgesim.bundle(tmp_path / "s.json", tmp_path / "b.tar")
    assert "docker image save" in caught.value.fix


def test_model_that_has_changed_since_the_run_is_refused(tmp_path: Path) -> None:
    recorded(tmp_path).write(tmp_path / "r.json")
    with (tmp_path / "net.onnx").open("ab") as file:
        file.write(b"\x3a\x00")
    with pytest.raises(ModelError, match="is no longer the model of the run"):
        edgesim.bundle(tmp_path / "r.json", tmp_path / "b.tar")
    assert not (tmp_path / "b.tar").exists()


def test_inputs_that_lead_out_of_their_directory_are_refused(tmp_path: Path) -> None:
    recorded(tmp_path).write(tmp_path / "r.json")
    (tmp_path / "inputs.yaml").write_text("inputs:\n  x: {file: /etc/hostname}\n")
    with pytest.raises(UsageError, match="leads out of the directory"):
        edgesim.bundle(tmp_path / "r.json", tmp_path / "b.tar")


def test_options_of_the_host_stay_at_home(tmp_path: Path) -> None:
    options = RunOptions.of(
        port=8123, output="/home/me/r.json", requests=7, context="mine", input=tmp_path / "requests"
    )
    with tarfile.open(written(tmp_path, options)) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]  # it is a file
    assert manifest["options"] == {
        "traffic": {"requests": 7},
        "inputs": {"input": "inputs/requests"},
        "board": {},
    }
    assert "inputs/requests/0.npy" in manifest["files"]
    assert "host_libraries" not in REPLAYED_OPTIONS


def test_replay_runs_the_bundle_and_exits_with_the_verdict(
    tmp_path: Path, base: RunResult, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = written(tmp_path, RunOptions.of(requests=7, engine="local"))
    called: dict[str, Any] = {}

    def run(profile: Any, model: Any, options: RunOptions, **_: Any) -> RunResult:
        called.update(profile=profile.reference, model=model.sha256, requests=options.traffic.requests)
        called.update(ready_timeout_s=options.board.ready_timeout_s)
        return base

    monkeypatch.setattr(replay_module, "run", run)
    words: list[str | Path] = ["replay", bundle, "--ready-timeout", "900", "--report", tmp_path / "both.md"]
    assert exit_code_of(words) == 1  # another prediction
    shown = capsys.readouterr().out
    assert "PASS  digests" in shown
    assert "FAIL  prediction" in shown
    model = recorded(tmp_path).model.sha256
    assert called == {"profile": "jetson-nano:5w", "model": model, "requests": 7, "ready_timeout_s": 900}
    assert (tmp_path / "both.md").stat().st_size > 100


def test_plain_process_takes_no_options_of_containers_from_the_bundle(
    tmp_path: Path, base: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = written(tmp_path, RunOptions.of(requests=7, execution="emulated", mount="volume", runtime="1.16.3"))
    taken: list[RunOptions] = []

    def run(_: Any, __: Any, options: RunOptions, **___: Any) -> RunResult:
        taken.append(options)
        return base

    monkeypatch.setattr(replay_module, "run", run)
    edgesim.replay(bundle, engine="local")
    assert taken[0].changed() == {"requests", "engine", "models"}


def test_replay_predicts_with_the_calibrations_of_the_bundled_run_and_not_with_this_hosts(
    tmp_path: Path, base: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGESIM_CONFIG_DIR", str(tmp_path / "configuration"))
    board = profiles.load("jetson-nano:5w")

    def store(log_ratio: float) -> None:
        facts: dict[str, Any] = {"profile": board.reference, "profile_sha256": board.sha256, "models": ("m",)}
        calibration.write(board, calibration.Calibration(**facts, log_ratios=(log_ratio,)))

    store(0.25)
    bundle = written(tmp_path, RunOptions.of(engine="local"))
    store(0.5)
    factors: list[float | None] = []

    def run(profile: Any, *_: Any, **__: Any) -> RunResult:
        stored = calibration.find(profile)
        factors.append(stored.factor if stored is not None else None)
        return base

    monkeypatch.setattr(replay_module, "run", run)
    edgesim.replay(bundle)
    assert factors == [pytest.approx(math.exp(0.25))]
    assert calibration.of_board(board)["cpu"].log_ratios == (0.5,)


def test_bundle_with_calibrations_that_are_none_is_refused(tmp_path: Path) -> None:
    bad = recorded(tmp_path)
    assert bad.invocation is not None
    invocation = bad.invocation.model_copy(update={"calibrations": {"cpu": {"log_ratios": [99]}}})
    bad.model_copy(update={"invocation": invocation}).write(tmp_path / "result.json")
    made = edgesim.bundle(tmp_path / "result.json", tmp_path / "net.edgesim.tar").path
    with pytest.raises(ResultError, match="calibrations"):
        edgesim.replay(made)


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.write_bytes(b"no archive"), lambda path: None])
def test_what_is_no_bundle_is_refused_in_one_line(make: Callable[[Path], object], tmp_path: Path) -> None:
    make(tmp_path / "b.tar")
    with pytest.raises(EdgesimError) as refused:
        edgesim.replay(tmp_path / "b.tar")
    assert refused.value.exit_code == 2
    assert "\n" not in refused.value.problem
