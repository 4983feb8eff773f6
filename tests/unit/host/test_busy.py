"""A process that works, or waits for a CPU, is told from one that sleeps or is stopped."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from edgesim.host.busy import is_busy
from tests.support.waiting import eventually


@pytest.fixture
def spinning() -> Iterator["subprocess.Popen[str]"]:
    """A shell whose child takes all the CPU that it gets."""
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True)\\nwhile True: pass'])"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, process_group=0) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield process
        os.killpg(process.pid, signal.SIGKILL)


def test_work_of_a_descendant_counts_and_a_stopped_one_does_nothing(spinning: "subprocess.Popen[str]") -> None:
    assert is_busy(spinning.pid)
    os.killpg(spinning.pid, signal.SIGSTOP)
    eventually(lambda: not is_busy(spinning.pid))


def test_process_that_sleeps_or_is_gone_is_not_busy() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        eventually(lambda: not is_busy(process.pid))
        process.kill()
    assert not is_busy(process.pid)
