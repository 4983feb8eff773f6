"""edgesim's own image: what goes into it, and its name."""

import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

from edgesim import paths
from edgesim.errors import HostError
from edgesim.images.edgesim_image import EdgesimImage
from edgesim.progress import Stages
from tests.support.command_line import edgesim_here
from tests.support.pages import ROOT

PLAIN = EdgesimImage(architecture="amd64")
NO_ENGINE: Any = None


def test_image_has_the_files_that_the_wheel_has() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {source: f"edgesim/_data/{target}" for source, target in paths.DATA.items()} == build["force-include"]
    files = paths.package_files()
    assert {"cli/__main__.py", "server/requirements.txt", "predictions/fitted.json"} < set(files)
    assert files["_data/profiles/jetson-nano.yaml"] == ROOT / "profiles" / "jetson-nano.yaml"
    assert [name for name in files if "__pycache__" in name] == []


@pytest.mark.parametrize("changed", ["cli/run.py", "_data/profiles/jetson-nano.yaml", "images/pins.txt"])
def test_name_changes_with_every_file_of_edgesim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    files = paths.package_files()
    before = PLAIN.reference
    copy = tmp_path / "copy"
    shutil.copy2(files[changed], copy)
    with copy.open("a") as file:
        file.write("# changed\n")
    monkeypatch.setattr(paths, "package_files", lambda: {**files, changed: copy})
    assert PLAIN.reference != before


def test_name_tells_extras_and_architecture_and_stays_the_same() -> None:
    described = EdgesimImage(architecture="arm64", extras=("dask", "mlflow"))
    assert described.reference.startswith("edgesim/edgesim:")
    assert "-dask-mlflow-arm64-" in described.reference
    assert described.reference == EdgesimImage(architecture="arm64", extras=("dask", "mlflow")).reference
    assert described.reference.rpartition("-")[2] != PLAIN.reference.rpartition("-")[2]


def test_architecture_without_a_wheel_of_every_package_is_refused_before_any_work() -> None:
    with pytest.raises(HostError, match="cannot be made for arm64, since hdrhistogram has a wheel for amd64 alone"):
        EdgesimImage(architecture="arm64").build(NO_ENGINE, Stages(None))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "takes PROFILE or --self"),
        (("jetson-nano", "--self"), "not both"),
        (("jetson-nano", "--extras", "dask"), "--extras dask: are for edgesim's own image"),
        (("--self", "--extras", "daks"), "--extras daks: edgesim has no such extra"),
        (("--self", "--runtime", "1.16"), "--runtime 1.16: is for a serving image"),
        (("--self", "--tag", "No Name"), "--tag No Name: not a valid image name"),
    ],
)
def test_what_cannot_be_built_is_refused_before_any_work(arguments: tuple[str, ...], words: str) -> None:
    done = edgesim_here("build", *arguments)
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())
