"""Engines that people have beside the plain one: images in containerd, and several users and versions at once."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesim import profiles
from edgesim.images import serving_image
from edgesim.models import samples
from tests.integration.conftest import COMMAND, edgesim
from tests.integration.other_engine import OtherEngine, running
from tests.integration.test_hosts import STRANGER, python_of_anybody

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
# A busy host makes a run INVALID; whether it can be trusted is not the question here.
SOUND = (0, 5)


@pytest.fixture
def archive(desk: Path, tmp_path: Path) -> Path:
    """The serving image of the desk, as `docker save` writes it."""
    done = edgesim("build", desk)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "image.tar"
    reference = serving_image.reference_of(profiles.load(desk))
    subprocess.run(["docker", "save", "--output", str(path), reference], check=True)
    return path


@pytest.fixture
def containerd(pytestconfig: pytest.Config) -> Iterator[OtherEngine]:
    with running(required=pytestconfig.getoption("--require-docker"), images_in_containerd=True) as engine:
        yield engine


def test_engine_with_its_images_in_containerd_runs_and_packs(
    containerd: OtherEngine, archive: Path, desk: Path, tmp_path: Path
) -> None:
    assert "io.containerd.snapshotter" in containerd.docker("info", "--format", "{{.DriverStatus}}")
    containerd.docker("load", "--input", str(archive))
    environment = os.environ | {"DOCKER_HOST": containerd.host}
    options = ("run", desk, "digits", "--requests", "20", "-o", tmp_path / "r.json")
    for method in ("bind", "volume", "image"):
        done = edgesim(*options, "--mount", method, env=environment)
        assert done.returncode in SOUND, f"{method}: {done.stderr}"
        result = json.loads((tmp_path / "r.json").read_text())
        assert (result["device"]["mount"], result["requests"]["failed"]) == (method, 0)
    ids = set()
    for name in ("a.tar", "b.tar"):
        done = edgesim("pack", desk, "digits", "--save", tmp_path / name, env=environment)
        assert done.returncode == 0, done.stderr
        ids.add(containerd.docker("image", "ls", "--quiet", "--filter", "reference=edgesim/packed"))
    assert len(ids) == 1, "packed twice, the image has the same id"
    containerd.docker("load", "--input", str(tmp_path / "a.tar"))


@pytest.fixture
def full(pytestconfig: pytest.Config, archive: Path) -> Iterator[OtherEngine]:
    """An engine with the desk's image, and a disk on which no byte is free."""
    with running(required=pytestconfig.getoption("--require-docker"), disk_bytes=2 << 30) as engine:
        engine.docker("load", "--input", str(archive))
        ballast = engine.data / "ballast"
        for piece in (1 << 20, 1 << 10):
            with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
                while file.write(bytes(piece)):
                    pass
        yield engine
        ballast.unlink()


def test_a_full_disk_of_the_engine_is_the_host_s_fault_and_nothing_stays_there(
    full: OtherEngine, desk: Path, tmp_path: Path
) -> None:
    def things() -> list[str]:
        listings = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
        return [full.docker(*words, "--quiet") for words in listings]

    before = things()
    (tmp_path / "stack.yaml").write_text(f"name: full\nprofile: {desk}\nservices: {{one: {{models: [digits]}}}}\n")
    environment = os.environ | {"DOCKER_HOST": full.host}
    run = ("run", desk, "digits", "-o", tmp_path / "r.json", "--mount")
    stack = tmp_path / "stack.yaml"
    commands = [*((*run, method) for method in ("bind", "volume", "image")), ("check", desk, "digits"), ("up", stack)]
    for command in commands:
        done = edgesim(*command, env=environment)
        assert done.returncode == 3, (command, done.stderr)
        assert "no space left on the engine's disk" in done.stderr, command
        assert "docker system df" in done.stderr, command
        assert things() == before, command
    assert "problem  0 B free" in edgesim("doctor", env=environment).stdout


def test_two_users_and_two_versions_work_on_one_engine_at_once(
    other_engine: OtherEngine, archive: Path, desk: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    other_engine.docker("load", "--input", str(archive))
    socket = Path(other_engine.host.removeprefix("unix://"))
    socket.parent.chmod(0o755)
    socket.chmod(0o666)
    place = Path(f"/tmp/two-of-everything-{os.getpid()}")
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    try:
        shutil.copytree(ROOT / "edgesim", place / "tree" / "edgesim", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("profiles", "Dockerfile.jetson", "scripts"):
            (place / "tree" / name).symlink_to(ROOT / name)
        (place / "tree" / "edgesim" / "version.py").write_text('__version__ = "0.0.1"\n')
        shutil.copytree(samples.ensure("digits") / "digits", place / "models" / "digits")
        shutil.copy(desk, place / "desk.yaml")
        packages = [path for path in sys.path if path.endswith("site-packages")]
        words = ["run", str(place / "desk.yaml"), str(place / "models/digits/1/model.onnx"), "--requests", "300"]
        common = os.environ | {"DOCKER_HOST": other_engine.host}
        foreign = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(place / "tree"), *packages]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "DOCKER_HOST": other_engine.host,
            "EDGESIM_CACHE_DIR": str(place / "cache"),
            "TMPDIR": str(place),
        }
        sessions = [
            subprocess.Popen([*COMMAND, *words, "-o", str(place / "0.json")], env=common, stderr=subprocess.PIPE),
            subprocess.Popen([*COMMAND, *words, "-o", str(place / "1.json")], env=common, stderr=subprocess.PIPE),
            subprocess.Popen(
                [python_of_anybody(), "-m", "edgesim.cli", *words, "-o", str(place / "2.json")],
                env=foreign,
                user=STRANGER,
                group=STRANGER,
                extra_groups=[],
                cwd="/",
                stderr=subprocess.PIPE,
            ),
        ]
        while any(session.poll() is None for session in sessions):
            collected = edgesim("gc", env=common)
            assert collected.returncode == 0, collected.stderr
            assert "edgesim-" not in collected.stdout, "gc took what another session uses"
        for number, session in enumerate(sessions):
            assert session.stderr is not None
            assert session.returncode in SOUND, session.stderr.read().decode()[-800:]
            result = json.loads((place / f"{number}.json").read_text())
            assert result["requests"]["failed"] == 0
        assert other_engine.docker("ps", "--all", "--quiet") == ""
    finally:
        shutil.rmtree(place)
