"""Every command of the course, run as the course has them: the image, the container, and what is typed into it."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesim.host.emulator import host_architecture
from edgesim.images import python_packages
from edgesim.images.runtime_releases import TRIXIE
from tests.integration.conftest import COMMAND
from tests.support.pages import DOCS, ROOT, blocks

pytestmark = [pytest.mark.emulation, pytest.mark.timeout(3000), pytest.mark.usefixtures("nothing_left_behind")]

PAGE = DOCS / "course.md"
OWN = str(os.getpid())
# Names on the engine and a port, of this test run's own.
NAMES = {
    "edgesim:course": f"edgesim-test:course-{OWN}",
    "edgesim-course": f"edgesim-test-course:{OWN}",
    "digits:course": f"edgesim-test:digits-{OWN}",
    "--name course": f"--name edgesim-test-course-{OWN}",
    "stop course": f"stop edgesim-test-course-{OWN}",
    "127.0.0.1:8888:8888": "127.0.0.1::8888",
}


def lines() -> list[str]:
    """Return the commands of the page, with names of this test run's own."""
    text = "\n".join(blocks(PAGE, "sh")).replace("\\\n", " ")
    for name, own in NAMES.items():
        assert name in text, name
        text = text.replace(name, own)
    return [line for line in text.splitlines() if line]


@pytest.fixture
def course(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    container = NAMES["--name course"].removeprefix("--name ")
    subprocess.run(["docker", "rm", "--force", container], capture_output=True, check=False)
    images = [NAMES[name] for name in ("edgesim:course", "edgesim-course", "digits:course")]
    subprocess.run(["docker", "image", "rm", *images], capture_output=True, check=False)


def run(line: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of the page: edgesim in the course's container once that is up, all else on this host."""
    container = NAMES["--name course"].removeprefix("--name ")
    inside = line.startswith("edgesim ") and not line.startswith("edgesim build ")
    command = ["docker", "exec", container, "bash", "-c", line] if inside else ["bash", "-c", line]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


@pytest.mark.usefixtures("removed_volumes")
def test_every_command_of_the_course_does_what_the_course_says(course: Path) -> None:
    requirements = (ROOT / "examples" / "stacks" / "notebook" / "image" / "requirements.txt").read_text()
    # In the place of the package index in the build, which this host may reach through its pip alone.
    packages = python_packages.fetch(host_architecture(), requirements, TRIXIE, program="the course's image")
    outputs = {}
    for line in lines():
        typed, _, comment = line.partition("   # exit code ")
        if typed.startswith("edgesim build"):
            typed = typed.replace("edgesim", " ".join(COMMAND), 1)
        if typed.startswith("docker save"):
            continue  # a gigabyte that shows nothing more
        if typed.startswith("docker stop"):
            ask_a_board(course)
        typed = typed.replace("examples/", f"{ROOT}/examples/").replace(
            "buildx build", f"buildx build --build-context packages={packages}"
        )
        done = run(typed, course)
        assert done.returncode == int(comment or 0), f"{typed}\n{done.stdout}\n{done.stderr}"
        outputs[line] = done.stdout
    assert any("PASS" in text for text in outputs.values())
    assert any("FAIL" in text for text in outputs.values())
    result = json.loads((course / "nano.json").read_text())
    assert result["agreement"]["accuracy_device"] >= 0.9
    assert "<html" in (course / "nano.html").read_text()


def ask_a_board(directory: Path) -> None:
    """Run the page's Python in the container."""
    (code,) = blocks(PAGE, "python")
    (directory / "ask.py").write_text(code)
    done = run("edgesim --version && python3 ask.py", directory)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^\d$", done.stdout, re.MULTILINE), done.stdout
