"""Temporary directories: gone after their block, after Ctrl-C while they are made, and never made half."""

import errno
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edgesim.errors import HostError
from edgesim.host.scratch import scratch_directory


def test_a_directory_is_gone_after_its_block(tmp_path: Path) -> None:
    with scratch_directory("edgesim-test-", tmp_path) as directory:
        assert Path(directory).parent == tmp_path
    assert not list(tmp_path.iterdir())


def test_ctrl_c_while_a_directory_is_made_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make: Callable[..., str] = tempfile.mkdtemp

    def make_and_interrupt(*arguments: object, **options: object) -> str:
        path = make(*arguments, **options)
        os.kill(os.getpid(), signal.SIGINT)  # the directory is there, and nobody owns it yet
        return path

    monkeypatch.setattr(tempfile, "mkdtemp", make_and_interrupt)
    with pytest.raises(KeyboardInterrupt), scratch_directory("edgesim-test-", tmp_path):
        pytest.fail("Ctrl-C was not heard")
    assert not list(tmp_path.iterdir())


def test_host_without_a_place_for_temporary_files_is_told_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/nowhere']")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    with pytest.raises(HostError, match="no temporary directory can be written") as caught:
        scratch_directory()
    assert "set TMPDIR" in caught.value.fix
