"""What edgesim leaves on this host and on the engine, told apart from what another run of the tests has there."""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from edgesim.engine import docker_engine

# For objects of the engine only: another run of the tests on it takes down what it has put up; a leak stays. Temporary
# files are this test run's own, since its directory for them is (`_temporary_directory` in tests/conftest.py).
_PATIENCE_S = 30.0


def leftover_files() -> set[str]:
    """Return the temporary files of edgesim, none of which should outlive a command."""
    return {str(path) for path in Path(tempfile.gettempdir()).glob("edgesim-*")}


def leftovers() -> set[str]:
    """Return temporary files, networks, volumes, and containers without a living owner."""
    found = leftover_files() | set(docker_engine.Engine().abandoned())
    for kind in ("network", "volume"):
        command = ["docker", kind, "ls", "--format", "{{.Name}}", "--filter", "label=edgesim"]
        names = subprocess.check_output(command, text=True).split()
        found |= {f"{kind} {name}" for name in names if not is_of_another_run(name)}
    return found


def is_of_another_run(name: str) -> bool:
    """Return whether a stack, volume or group has the name that a test in another process gives it."""
    process = re.search(r"\btest-(\d+)", name)
    return process is not None and int(process[1]) != os.getpid()


def assert_none_since(before: set[str], find: Callable[[], set[str]]) -> None:
    """Fail when `find` still returns what was not there before: at once for temporary files."""
    until = time.monotonic() + _PATIENCE_S
    while left := find() - before:
        files = [name for name in left if Path(name).is_relative_to(tempfile.gettempdir())]
        assert not files, f"left behind: {', '.join(sorted(left))}"
        assert time.monotonic() < until, f"left behind: {', '.join(sorted(left))}"
        time.sleep(1)
