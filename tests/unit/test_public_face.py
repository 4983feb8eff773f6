"""The names that `import edgesim` offers."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import edgesim
from edgesim import errors
from edgesim.models.repository import Model
from edgesim.results.run_result import RunResult


def test_every_public_name_exists() -> None:
    assert dir(edgesim) == sorted(edgesim.__all__)
    assert all(getattr(edgesim, name) is not None for name in dir(edgesim))


def test_every_error_is_public() -> None:
    def tree(error: type[errors.EdgesimError]) -> set[str]:
        return {error.__name__}.union(
            *(tree(inner) for inner in error.__subclasses__() if inner.__module__ == error.__module__)
        )

    assert tree(errors.EdgesimError) <= set(dir(edgesim))


def test_importing_edgesim_imports_nothing_of_it() -> None:
    script = "import edgesim, sys; print([name for name in sys.modules if name.startswith('edgesim.')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_result_is_loaded_judged_and_reported(result: RunResult, tmp_path: Path) -> None:
    result.write(tmp_path / "r.json")
    loaded = edgesim.load(str(tmp_path / "r.json"))
    assert isinstance(loaded, RunResult)
    edgesim.report(loaded, tmp_path / "r.md")
    assert "net on" in (tmp_path / "r.md").read_text()
    verdict = edgesim.gate(loaded, ["memory_peak_bytes <= 1MiB"])
    assert [item.name for item in verdict.items] == ["the run", "memory_peak_bytes <= 1MiB"]
    changed = edgesim.gate(loaded, ["memory_peak_bytes: +5 %"], baseline=tmp_path / "r.json")
    assert [item.name for item in changed.items] == ["the run", "the baseline", "memory_peak_bytes: +5 %"]


class Paths(NamedTuple):
    """Paths that a user has: a model repository, a model, inputs, a profile, a stack."""

    repository: str | Path
    model: str | Path
    inputs: str | Path
    profile: str | Path
    stack: str | Path


@pytest.fixture(params=[str, Path], ids=["str", "Path"])
def paths(request: pytest.FixtureRequest, digits: Model, tmp_path: Path) -> Paths:
    board, stack, samples = tmp_path / "board.yaml", tmp_path / "stack.yaml", digits.samples_path
    board.write_text("extends: jetson-nano\nname: mine\n")
    stack.write_text("profile: jetson-nano\nservices: {app: {image: nothing:1, port: 80}}\n")
    return Paths(*map(request.param, (digits.path.parents[2], digits.path, samples, board, stack)))


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")


def test_run_takes_paths_and_numbers_of_any_kind(paths: Paths, tmp_path: Path) -> None:
    output = type(paths.model)(tmp_path / "r.json")
    result = edgesim.run(
        paths.profile,
        "digits",
        models=paths.repository,
        input=paths.inputs,
        output=output,
        engine="local",
        requests=np.int64(3),  # type: ignore[arg-type]  # as programs that compute a number have it
        duration_s=np.float32(0),  # type: ignore[arg-type]
        warmup=0,
    )
    assert result.profile.name == "mine"
    assert edgesim.load(output).requests.ok == 3


def test_predict_takes_paths(paths: Paths) -> None:
    by_name = edgesim.predict(paths.profile, "digits", models=paths.repository)
    assert edgesim.predict(paths.profile, paths.model).p50_ms == by_name.p50_ms


def test_what_needs_an_engine_takes_paths_up_to_the_engine(paths: Paths, tmp_path: Path, no_engine: None) -> None:
    archive = type(paths.model)(tmp_path / "image.tar")
    calls: list[Callable[[], object]] = [
        lambda: edgesim.run(paths.profile, paths.model, execution="emulated"),
        lambda: edgesim.check(paths.profile, "digits", models=paths.repository),
        lambda: edgesim.check(paths.profile, paths.model, edgesim.CheckOptions(reference=paths.model)),
        lambda: edgesim.pack(paths.profile, "digits", models=paths.repository, save=archive),
        lambda: edgesim.board(paths.profile, models=paths.repository).__enter__(),
        lambda: edgesim.stack(paths.stack).__enter__(),
    ]
    for call in calls:
        with pytest.raises(edgesim.EngineMissing):
            call()


def test_gate_and_report_take_paths(paths: Paths, result: RunResult, tmp_path: Path) -> None:
    kind = type(paths.model)
    (tmp_path / "rules.yaml").write_text("rules: [memory_peak_bytes <= 1 GiB]\n")
    result.write(kind(tmp_path / "r.json"))
    by_file = edgesim.gate(result, kind(tmp_path / "rules.yaml"), baseline=kind(tmp_path / "r.json"))
    assert by_file.items[-1].name == "memory_peak_bytes <= 1 GiB"
    assert edgesim.gate(result, "memory_peak_bytes <= 1 GiB").items[-1].name == by_file.items[-1].name
    assert edgesim.gate(kind(tmp_path / "r.json"), "memory_peak_bytes <= 1 GiB") == edgesim.gate(
        result, ["memory_peak_bytes <= 1 GiB"]
    )
    for suffix in (".md", ".xml", ".csv", ".json"):
        edgesim.report(result, kind(tmp_path / f"report{suffix}"))
    edgesim.report(kind(tmp_path / "r.json"), kind(tmp_path / "of-a-file.csv"))
    assert (tmp_path / "of-a-file.csv").read_text() == (tmp_path / "report.csv").read_text()


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda wrong: edgesim.load(wrong), "`path`: must be a path, and is a value of type int"),
        (lambda wrong: edgesim.gate(wrong, ["accuracy >= 1"]), "`result`: must be a result of one model, or a path"),
        (lambda wrong: edgesim.report(wrong, "x.md"), "`result`: must be a result, or a path"),
        (lambda wrong: edgesim.stack(wrong).__enter__(), "`source`: must be a stack, or a path"),
    ],
)
def test_value_that_is_no_path_is_refused_by_the_name_of_its_parameter(
    call: Callable[[Any], object], problem: str
) -> None:
    with pytest.raises(edgesim.UsageError) as refused:
        call(3)
    assert problem in refused.value.problem


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"rules": 3}, "`rules`: must be a list of rules, or a path"),
        ({"rules": ["accuracy >= 1"], "baseline": 3}, "`baseline`: must be a result, or a path"),
    ],
)
def test_rules_and_baselines_that_are_no_paths_are_refused(
    arguments: dict[str, Any], problem: str, result: RunResult
) -> None:
    with pytest.raises(edgesim.UsageError) as refused:
        edgesim.gate(result, **arguments)
    assert problem in refused.value.problem


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"execution": "scale"}, "`execution=scale`: not one of .*; did you mean 'scaled'?"),
        ({"engine": "dokcer"}, "did you mean 'docker'?"),
        ({"requests": 0}, "`requests=0`: must be 1 or more"),
        ({"executon": "scaled"}, "did you mean 'execution'?"),
    ],
)
def test_wrong_option_is_refused_with_the_nearest_right_one(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(edgesim.UsageError, match=problem.replace("?", r"\?")):
        edgesim.run("jetson-nano", "digits", **options)


def test_prediction_and_result_show_themselves_in_one_line(paths: Paths, result: RunResult) -> None:
    for shown in (repr(edgesim.predict(paths.profile, paths.model)), repr(result)):
        assert len(shown.splitlines()) == 1
        assert len(shown) < 200
