"""The command line of sweeps."""

import json
from pathlib import Path

import pytest

from edgesim.cli import _settings
from edgesim.errors import UsageError
from tests.support.command_line import edgesim_here


def test_words_of_set_are_the_values_of_options() -> None:
    words = ["threads=1,4", "threads=8", "shapes=x=1,3,8,8", "shapes=x=1,3,9,9", "job=run", "auto-dims=true", "qps=2.5"]
    assert _settings.parsed(words) == {
        "threads": [1, 4, 8],
        "shapes": [{"x": (1, 3, 8, 8)}, {"x": (1, 3, 9, 9)}],
        "job": ["run"],
        "auto_dims": [True],
        "qps": [2.5],
    }


@pytest.mark.parametrize("word", ["threads", "threads=", "thread=4", "=4"])
def test_word_of_set_that_means_nothing_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match=f"--set {word}"):
        _settings.parsed([word])


def test_sweep_is_planned_done_and_shown(tmp_path: Path) -> None:
    words = (
        "sweep",
        "--profile",
        "jetson-nano",
        "--profile",
        "intel-n100",
        "--model",
        "digits",
        "-o",
        tmp_path / "out",
    )
    planned = edgesim_here(*words, "--dry-run")
    assert planned.returncode == 0
    assert "2 cells: 0 done" in planned.stdout
    done = edgesim_here(*words, "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 0
    assert [row["result"] for row in document["cells"]] == ["predicted", "not predicted"]
    assert document["cells"][0]["device_time_ms.p50"] > 0
    assert "no prediction for amd64" in document["caveats"][0]
    assert "2 cells: 2 done" in edgesim_here(*words, "--dry-run").stdout
    assert "2 cells: 2 boards, 1 model" in edgesim_here(*words, "--quiet").stdout


def test_sweep_without_a_directory_or_a_model_is_refused(tmp_path: Path) -> None:
    refused = edgesim_here("sweep", "--profile", "jetson-nano", "--model", "digits")
    assert (refused.returncode, refused.stderr.splitlines()[-2:]) == (
        2,
        ["edgesim: --output: a sweep keeps its results in a directory", "  fix: for example -o results"],
    )
    assert "--model: a sweep needs at least one" in edgesim_here("sweep", "--profile", "jetson-nano").stderr


def test_exit_code_is_the_largest_of_the_cells_errors(tmp_path: Path) -> None:
    broken = tmp_path / "models" / "broken.onnx"
    broken.parent.mkdir()
    broken.write_bytes(b"no model")
    words = ("sweep", "--profile", "jetson-nano", "--model", f"{broken.parent}/*", "--model", "digits")
    ended = edgesim_here(*words, "-o", tmp_path / "out")
    assert ended.returncode == 2
    assert "failed: ModelError" in ended.stdout
    assert "not an ONNX model" in ended.stdout
