"""The training sequence: from data to a packed image, and a gate that stops it."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import edgesim

pytestmark = [pytest.mark.emulation, pytest.mark.timeout(2400), pytest.mark.usefixtures("nothing_left_behind")]

EXAMPLE = Path(__file__).parents[2] / "examples" / "stacks" / "training"
IMAGE = f"edgesim-test:training-{os.getpid()}"
STACK = f"test-training-{os.getpid()}"


def volumes() -> set[str]:
    return set(subprocess.check_output(["docker", "volume", "ls", "--quiet"], text=True).split())


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Path]:
    """The example under a name, and with an image, of this test run's own."""
    before = volumes()
    path = Path(shutil.copytree(EXAMPLE, tmp_path / "training")) / "stack.yaml"
    path.write_text(f"name: {STACK}\n{path.read_text()}")
    pack = path.parent / "pack" / "Dockerfile"
    pack.write_text(pack.read_text().replace("digits:trained", IMAGE))
    yield path
    edgesim("down", STACK, "--volumes")
    # The steps' boards have the models in volumes, which stay for the next run of the same models.
    edgesim("volumes", "rm", *(volumes() - before))
    named = ["docker", "images", "--quiet", "--filter"]
    for name in (IMAGE, f"edgesim/stack:{STACK}-*"):
        for image in set(subprocess.check_output([*named, f"reference={name}"], text=True).split()):
            subprocess.run(["docker", "image", "rm", "--force", image], capture_output=True, check=False)


def exported(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    assert edgesim("volumes", "export", f"edgesim-{STACK}_work", work).returncode == 0
    return work


def test_training_ends_with_a_packed_image_and_a_model_that_fails_its_gate_is_not_packed(
    stack: Path, tmp_path: Path
) -> None:
    done = edgesim("up", stack, timeout=2000)
    assert done.returncode == 0, done.stderr
    assert all(f"{step}: ended with 0" in done.stderr for step in ("data", "train", "export", "check", "gate", "pack"))
    assert subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False).returncode == 0
    result = json.loads((exported(tmp_path) / "result.json").read_text())
    assert result["agreement"]["accuracy_device"] >= 0.95
    subprocess.run(["docker", "image", "rm", IMAGE], capture_output=True, check=True)
    assert edgesim("down", STACK, "--volumes").returncode == 0

    stack.write_text(stack.read_text().replace("NEURONS: 32", "NEURONS: 1"))
    failed = edgesim("up", stack, timeout=2000)
    assert failed.returncode == 1, failed.stderr
    assert "step gate ended with exit code 1" in failed.stderr
    assert "not started: pack" in failed.stderr
    assert "accuracy" in failed.stderr, "the rule that failed is in the end of the step's log"
    assert subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False).returncode == 1
