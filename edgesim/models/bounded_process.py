"""Processes of edgesim's own that run a model on this host: with bounded memory, and an end that is explained.

The model may be a stranger's: a tensor may take terabytes, and a bug of the runtime may end the process that runs it.
"""

import contextlib
import re
import signal
import subprocess

import psutil

from edgesim.host import cgroup, own_modules
from edgesim.host.parent_death import AT_START

# The share of this host's free memory that a run may take.
_SHARE = 0.8
_NO_MEMORY = re.compile(r"bad_alloc|[Ff]ailed to allocate|BFCArena|MemoryError|Unable to allocate")


def spare_bytes() -> int:
    """Return how much memory of this host a model may take; edgesim's own control groups count."""
    available, left = psutil.virtual_memory().available, cgroup.memory_left_bytes()
    return int(_SHARE * (min(available, left) if left is not None else available))


def run(module: str, *words: str, most_s: float) -> "subprocess.CompletedProcess[str]":
    """Run a module of edgesim in a process of its own, to its end.

    Raises:
        subprocess.TimeoutExpired: the process did not end by itself within `most_s` seconds.
    """
    return subprocess.run(
        own_modules.command(module, *words),
        env=own_modules.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=most_s,
        check=False,
        preexec_fn=AT_START,
    )


def bound(most_bytes: int) -> None:
    """Bound the memory of this process, which then fails to allocate more."""
    # Of the data segment, and not of the address space, which ONNX Runtime fills with the weights that it maps. Some
    # kernels have no such limit.
    try:
        import resource
    except ImportError:  # Windows
        return
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def lacks_memory(text: str) -> bool:
    """Return whether an error says that there is not enough memory."""
    return _NO_MEMORY.search(text) is not None


def why_ended(returncode: int, stderr: str) -> str | None:
    """Return why a process ended without an answer; None if memory was lacking, for which the kernel sends SIGKILL."""
    if returncode == -signal.SIGKILL or lacks_memory(stderr):
        return None
    if returncode < 0:
        return f"the model crashes ONNX Runtime on this host ({signal.Signals(-returncode).name})"
    last = (stderr.strip().splitlines() or ["no reason"])[-1]
    return f"ONNX Runtime does not run on this host: {last}"
