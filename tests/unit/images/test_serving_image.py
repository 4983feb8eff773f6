"""The server as it is copied into the image: alone, and with its subpackages."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgesim import paths, profiles
from edgesim.images import serving_image


@pytest.fixture
def server_copy(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    return shutil.copytree(paths.server_directory(), tmp_path / "edgesim_server", ignore=ignored)


def test_server_runs_without_the_rest_of_edgesim(server_copy: Path) -> None:
    code = "import sys, edgesim_server.__main__ as m; assert 'edgesim' not in sys.modules; m.main()"
    environment = os.environ | {"PYTHONPATH": str(server_copy.parent)}
    process = subprocess.run(
        [sys.executable, "-c", code, "--help"],
        cwd=server_copy.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert "--models DIR" in process.stdout


@pytest.mark.parametrize("name", ["routes.py", "runtimes/onnx_runtime.py", "requirements.txt"])
def test_image_name_changes_with_every_file_of_the_server(
    server_copy: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(paths, "server_directory", lambda: server_copy)
    nano = profiles.load("jetson-nano")
    before = serving_image.reference_of(nano)
    with (server_copy / name).open("a") as file:
        file.write("# changed\n")
    assert serving_image.reference_of(nano) != before
