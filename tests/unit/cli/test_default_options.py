"""Defaults for options from ``edgesim.toml`` or ``pyproject.toml``."""

import re
from pathlib import Path
from typing import Any

import pytest

from edgesim.cli import _commands, _default_options
from edgesim.cli.main import _run
from edgesim.errors import HostError, UsageError
from edgesim.options import RunOptions
from edgesim.stacks import benchmark

STACKS = Path(__file__).parents[3] / "examples" / "stacks"
STACK, STEPS = STACKS / "parallel" / "stack.yaml", STACKS / "sequence" / "stack.yaml"
NAMES = [entry.name for entry in _commands.COMMANDS]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[RunOptions]:
    """Return the options that a stack's benchmark is given; the benchmark itself ends with exit code 3."""
    options_of_runs: list[RunOptions] = []

    def run(source: Path, options: RunOptions, *, listener: object) -> None:
        options_of_runs.append(options)
        raise HostError("no run")

    monkeypatch.setattr(benchmark, "run", run)
    return options_of_runs


def defaults(command: str, directory: Path) -> dict[str, Any]:
    return _default_options.of_command(_commands.load(command), NAMES, directory)


def test_options_of_a_command_stand_in_its_table_and_common_ones_above(tmp_path: Path) -> None:
    (tmp_path / "edgesim.toml").write_text(
        'engine = "local"\n[run]\nrequests = 200\nready-timeout = 60\nenv = ["A=1"]\n[baseline.list]\ndir = "kept"\n'
    )
    assert defaults("run", tmp_path) == {
        "engine": "local",
        "requests": 200,
        "ready_timeout_s": 60,
        "env": ["A=1"],
    }
    assert defaults("report", tmp_path) == {}
    assert defaults("baseline", tmp_path)["list"] == {"directory": str(tmp_path / "kept")}


def test_the_nearest_file_is_taken_and_relative_paths_begin_there(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.edgesim]\nmodels = "nets"\n[tool.edgesim.run]\nrepeat = 3\n')
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    assert defaults("run", inner) == {"models": str(tmp_path / "nets"), "repeat": 3}
    (inner / "edgesim.toml").write_text("")
    assert defaults("run", inner) == {}


def test_every_path_of_an_option_that_may_be_repeated_begins_at_the_file(tmp_path: Path) -> None:
    (tmp_path / "edgesim.toml").write_text('[report]\noutput = ["r.html", "/reports/r.md"]\n[run]\nenv = ["A=1"]\n')
    assert defaults("report", tmp_path) == {"output": [str(tmp_path / "r.html"), "/reports/r.md"]}
    assert defaults("run", tmp_path) == {"env": ["A=1"]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[runn]\n", "edgesim.toml: runn: no such command or common option; did you mean 'run'?"),
        ("modells = 'x'\n", "edgesim.toml: modells: no such command or common option; did you mean 'models'?"),
        ("[run]\nrequest = 5\n", "edgesim.toml: run: request: no such option; did you mean 'requests'?"),
        ("[run]\nrequests = 'many'\n", "edgesim.toml: run: requests: 'many' is not a whole number"),
        ("[run]\nrequests = true\n", "edgesim.toml: run: requests: True is not a whole number"),
        ("[run]\nquiet = 1\n", "edgesim.toml: run: quiet: 1 is not true or false"),
        ("engine = 'podman'\n", "edgesim.toml: engine: 'podman' is not one of docker, local"),
        ("[run]\nshape = [1]\n", "edgesim.toml: run: shape: [1] is not a list of texts"),
        ("[run]\nprofile = 'x'\n", "edgesim.toml: run: profile: no such option"),
        ("[run]\nhost-library = ['ops.so']\n", "edgesim.toml: run: host-library: a library is code"),
        ("[run]\nhost_library = ['ops.so']\n", "edgesim.toml: run: host_library: a library is code"),
        ("[run\n", "edgesim.toml: not TOML"),
        ("run = 1\n", "edgesim.toml: run: is a table of options"),
    ],
)
def test_a_wrong_file_is_refused_with_the_key(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "edgesim.toml").write_text(text)
    with pytest.raises(UsageError, match=re.escape(words)):
        defaults("run", tmp_path)


def test_a_flag_goes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("edgesim.toml").write_text("[profiles.list]\njson = true\n[models]\nlist = {models = 'nets'}\n")
    assert _run(["profiles", "list"]) == 0
    assert capsys.readouterr().out.startswith("[")
    assert _run(["models", "list", "--models", "others", "--json"]) == 0
    assert '"repository": "others"' in capsys.readouterr().out
    assert _run(["models", "list", "--json"]) == 0
    assert '"repository": "nets"' in capsys.readouterr().out


def test_a_default_that_no_stack_takes_is_left_out_and_a_flag_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    monkeypatch.chdir(tmp_path)
    Path("edgesim.toml").write_text("engine = 'local'\nmodels = 'nets'\n[run]\nrepeat = 3\n")
    assert _run(["run", str(STACK), "--quiet"]) == 3
    assert "no Docker Engine answers" in capsys.readouterr().err
    assert _run(["run", str(STACK), "--quiet", "--repeat", "2"]) == 2
    assert "--repeat: is for one model, not for a stack" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("table", "stack"),
    [
        ("find-peak = true\np99-under = '50ms'", STACK),
        ("requests = 20", STEPS),
        ("image = 'other:1'\nenv = ['A=1']", STACK),
    ],
)
def test_a_stack_leaves_out_each_default_that_it_does_not_take(
    table: str, stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[RunOptions]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("edgesim.toml").write_text(f"[run]\n{table}\n")
    assert _run(["run", str(stack), "--quiet"]) == 3
    assert given == [RunOptions()]


def test_a_default_that_a_stack_takes_reaches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[RunOptions]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("edgesim.toml").write_text("[run]\nrequests = 20\n")
    assert _run(["run", str(STACK), "--quiet"]) == 3
    assert given[0].traffic.requests == 20


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--image", "other:1"),
        ("--image-port", "80"),
        ("--image-health", "/up"),
        ("--image-models", "/m"),
        ("--env", "A=1"),
        ("--p99-under", "50ms"),
    ],
)
def test_an_option_of_one_model_on_the_command_line_is_refused_for_a_stack(
    option: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    monkeypatch.chdir(tmp_path)
    Path("edgesim.toml").write_text("[run]\nfind-peak = true\n" if option == "--p99-under" else "")
    assert _run(["run", str(STACK), "--quiet", option, value]) == 2
    flag = "--find-peak" if option == "--p99-under" else option
    assert f"{flag}: is for one model, not for a stack" in capsys.readouterr().err
