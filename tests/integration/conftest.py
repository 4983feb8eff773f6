"""A run of the command line in a process of its own, and the digits on the board, done once."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgesim.host.emulator import host_architecture
from tests.integration.other_engine import OtherEngine, running

COMMAND = [sys.executable, "-m", "edgesim.cli"]
# For what is about the emulated board: a run without does two things.
EMULATED = ("--execution", "emulated")


def edgesim(*arguments: str | Path, timeout: float = 240, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, check=False, **options
    )


def begin(*arguments: str | Path) -> "subprocess.Popen[str]":
    """The same, and not waited for. It hears Ctrl-C even where the shell above has told its children not to."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONFAULTHANDLER": "1"},  # for `wait_for`
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(process: "subprocess.Popen[str]", words: str, *, most_s: float = 150.0) -> None:
    """Read a run's progress until it tells of `words`; fail with what it says and where it is after `most_s`."""
    assert process.stderr is not None
    seen = []
    # Python's fault handler prints where each thread is, and the process ends.
    watchdog = threading.Timer(most_s, process.send_signal, [signal.SIGABRT])
    watchdog.start()
    try:
        for line in process.stderr:
            seen.append(line)
            if words in line:
                return
    finally:
        watchdog.cancel()
    pytest.fail(f"never said {words!r}: {''.join(seen)}{_boards()}")


def _boards() -> str:
    """What the boards on the engine do: for a failure of a test."""
    if shutil.which("docker") is None:
        return ""
    names = _output("docker", "ps", "--filter", "label=edgesim", "--format", "{{.Names}}").split()
    return "\n".join(_output("docker", *words, name) for name in names for words in (["top"], ["logs", "--tail", "20"]))


def _output(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout


def container_of(pid: int) -> str:
    """The container that a run has started, among those of other runs, and of others that carry the label."""
    listing = ["docker", "ps", "--filter", "label=edgesim", "--format", '{{.Names}} {{.Label "edgesim.owner"}}']
    containers = [line.partition(" ") for line in subprocess.check_output(listing, text=True).splitlines()]
    (ours,) = [name for name, _, owner in containers if f":{pid}:" in owner]
    return ours


TINY_BOARD = """
name: tiny
title: A board with next to no memory
soc: none
architecture: arm64
cpu: {core: Cortex-A57, cores: 1, clock_hz: 1000000000}
memory: {marketed_bytes: 128 MB, visible_bytes: 100 MiB}
emulation: {qemu_cpu: cortex-a57}
image: {dockerfile: Dockerfile.jetson}
"""


@pytest.fixture
def tiny_board(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY_BOARD)
    return path


# A board of this host's own architecture, for what has nothing to do with emulation.
DESK = f"""
name: desk
title: A board of this host's architecture
soc: none
architecture: {host_architecture()}
cpu: {{core: host, cores: 2, clock_hz: 2000000000}}
memory: {{marketed_bytes: 2 GB, visible_bytes: 2 GB}}
image: {{dockerfile: Dockerfile.jetson}}
emulation: {{qemu_cpu: cortex-a57}}
"""


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("desk") / "desk.yaml"
    path.write_text(DESK)
    return path


@pytest.fixture(scope="session")
def other_engine(pytestconfig: pytest.Config) -> Iterator[OtherEngine]:
    with running(required=pytestconfig.getoption("--require-docker")) as engine:
        yield engine


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result file of ``edgesim run jetson-nano digits --execution emulated``."""
    path = tmp_path_factory.mktemp("run") / "r.json"
    done = edgesim("run", "jetson-nano", "digits", *EMULATED, "-o", path)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(path.read_text())
    return document
