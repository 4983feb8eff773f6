"""The resources of a container without a control group of its own: those of its processes, and of no others."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from edgesim.host.process_figures import ProcessFigures

_SIZE = 48 << 20
# The kernel counts a process's CPU time in these.
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def _python(code: str) -> "subprocess.Popen[str]":
    """Start a process that hears the test, and is heard."""
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def parent() -> Iterator["subprocess.Popen[str]"]:
    """A process whose child has memory and has used CPU time, and waits."""
    child = f"import sys, time; data = b'x' * {_SIZE}; sum(range(3_000_000)); print(1, flush=True); sys.stdin.read()"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with _python(code) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield process
        process.communicate()


def test_figures_are_those_of_the_process_and_its_descendants(parent: "subprocess.Popen[str]") -> None:
    reading = ProcessFigures(parent.pid).read()
    assert reading.processes == 2
    assert reading.cpu_seconds is not None
    assert 0 < reading.cpu_seconds < 60
    assert reading.memory_unreclaimable_bytes is not None
    assert _SIZE < reading.memory_unreclaimable_bytes < 8 * _SIZE
    assert reading.memory_peak_bytes == reading.memory_bytes


def test_peak_and_cpu_time_of_a_descendant_that_has_ended_stay() -> None:
    child = f"data = b'x' * {_SIZE}; sum(range(3_000_000)); print(1, flush=True); input()"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}]); print(2, flush=True); input()"
    with _python(code) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        figures = ProcessFigures(process.pid)
        process.stdout.readline()
        before = figures.read()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "2\n"
        after = figures.read()
        process.communicate("\n")
    assert before.cpu_seconds is not None
    assert after.cpu_seconds is not None
    assert after.cpu_seconds > before.cpu_seconds - _TICK_S
    assert after.processes == 1
    assert after.memory_bytes is not None
    assert before.memory_bytes is not None
    assert after.memory_bytes < before.memory_bytes
    assert after.memory_peak_bytes == before.memory_peak_bytes


def test_process_that_has_ended_has_no_figures() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert set(ProcessFigures(process.pid).read()._replace(at_ns=None)) == {None}  # type: ignore[arg-type]
