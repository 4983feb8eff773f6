"""The server as it is copied into the image: alone, and with its subpackages."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgesim import paths, profiles
from edgesim.errors import ProfileError
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


def test_dockerfile_of_a_profile_is_edgesims_own_or_beside_the_profile(tmp_path: Path) -> None:
    repository, file = tmp_path / "checkout", tmp_path / "checkout" / "boards" / "mine.yaml"
    file.parent.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", repository], check=True)

    def reference(dockerfile: str) -> str:
        image = f"image: {{dockerfile: {dockerfile}}}"
        file.write_text(f"extends: jetson-nano\nname: mine\ntitle: Mine\n{image}\n")
        return serving_image.reference_of(profiles.load(file))

    assert reference("Dockerfile.jetson") == serving_image.reference_of(profiles.load("jetson-nano"))
    (file.parent / "GPU.Dockerfile").write_text("FROM scratch\n")
    assert reference("GPU.Dockerfile").startswith("edgesim/dockerfile:arm64-")
    (repository / "Dockerfile.gpu").write_text("FROM scratch\n")
    assert reference("../Dockerfile.gpu").startswith("edgesim/gpu:arm64-")
    with pytest.raises(ProfileError, match=r"image.dockerfile: no file .*boards/Dockerfile.none"):
        reference("Dockerfile.none")
    (tmp_path / "secret").write_text("a token")
    (file.parent / "Dockerfile.link").symlink_to(tmp_path / "secret")
    for outside in ("../../secret", str(tmp_path / "secret"), "Dockerfile.link"):
        with pytest.raises(ProfileError, match="is outside of the profile's git repository"):
            reference(outside)
