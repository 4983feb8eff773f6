"""A lock between processes: one at a time, told of to the second, and gone with its process."""

import subprocess
import sys
from pathlib import Path

import pytest

from edgesim.host.lock import exclusive

_HOLD = """
import sys
from edgesim.host.lock import exclusive
with exclusive("image a"):
    print("inside", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_waits_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path))
    other = subprocess.Popen([sys.executable, "-c", _HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "inside\n"
    with exclusive("image b", waiting=lambda: pytest.fail("other work has a lock of its own")):
        pass
    told: list[str] = []

    def waiting() -> None:
        told.append("waiting")
        other.kill()  # the kernel releases what a killed process held

    with exclusive("image a", waiting=waiting):
        assert told == ["waiting"]
    other.communicate()


def test_without_a_cache_to_write_to_there_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path / "file"))
    done = []
    with exclusive("image a"):
        done.append("work")
    assert done == ["work"]
