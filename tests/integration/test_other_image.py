"""Another server of the Open Inference Protocol on the board: MLServer, as examples/mlserver builds it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edgesim import profiles
from edgesim.host.emulator import host_architecture
from edgesim.models.repository import Model
from tests.integration.conftest import begin, edgesim
from tests.integration.mlserver_image import image
from tests.support.this_host import ONE_IMAGE, board_memory

pytestmark = [pytest.mark.emulation, pytest.mark.usefixtures("nothing_left_behind")]

DESK = """
name: desk
title: A board of this host's architecture
soc: none
architecture: {architecture}
cpu: {{core: host, cores: 2, clock_hz: 2000000000}}
memory: {{marketed_bytes: 2 GB, visible_bytes: 2 GB}}
image: {{reference: "{image}", port: 8080, environment: {{OMP_NUM_THREADS: "1"}}}}
"""


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A board that names the image in its profile, and needs no emulator."""
    path = tmp_path / "desk.yaml"
    path.write_text(DESK.format(architecture=host_architecture(), image=image(host_architecture())))
    return path


@pytest.mark.long
def test_other_server_is_measured_like_edgesims_own(tmp_path: Path) -> None:
    result = tmp_path / "r.json"
    options: list[str | Path] = ["--image", image("arm64"), "--image-port", "8080", "--requests", "5", "-o", result]
    done = edgesim("run", "jetson-nano", "digits", *options)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(result.read_text())
    assert document["execution"] == "emulated"
    assert document["image"]["reference"] == image("arm64")
    assert document["device"]["architecture"] == "aarch64"
    assert document["device"]["memory_limit_bytes"] == board_memory(profiles.load("jetson-nano"))
    assert any("this image does not report it" in shortfall for shortfall in document["device"]["shortfalls"])
    assert document["requests"]["ok"] >= 5
    assert document["agreement"]["same_class"] >= 1 - ONE_IMAGE
    assert document["resources"]["memory_peak_bytes"] > 0


def test_profile_can_name_another_image_and_serve_it(desk: Path, digits: Model) -> None:
    running = begin("serve", desk, "--models", digits.path.parents[2])
    try:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline().startswith("http://127.0.0.1:")
        line = next(line for line in running.stderr if line.startswith("curl "))
        answer = json.loads(subprocess.check_output(["bash", "-c", line]))
        assert answer["model_name"] == "digits"
    finally:
        running.send_signal(2)
        running.communicate(timeout=60)
    assert running.returncode == 0


def test_image_for_another_architecture_is_refused() -> None:
    done = edgesim("run", "jetson-nano", "digits", "--image", image("amd64"), "--image-port", "8080")
    assert done.returncode == 2
    assert "is for amd64; the board jetson-nano is arm64" in done.stderr


def test_server_that_ends_during_its_start_is_shown_with_its_log(desk: Path, digits: Model) -> None:
    done = edgesim("run", desk, "digits", "--image-models", "/elsewhere", "--ready-timeout", "30")
    assert done.returncode == 4
    assert "  | " in done.stderr
    assert "Traceback (most recent call last):\n  File" not in done.stderr
