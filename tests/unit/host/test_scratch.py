"""Temporary directories: gone after their block, after Ctrl-C while they are made, and after their owner is gone."""

import errno
import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgesim import paths
from edgesim.errors import HostError
from edgesim.host import scratch
from edgesim.host.scratch import scratch_directory, scratch_file
from tests.unit.host.test_owner import gone


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
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    try:
        with pytest.raises(KeyboardInterrupt), scratch_directory("edgesim-test-", tmp_path):
            pytest.fail("Ctrl-C was not heard")
    finally:
        signal.signal(signal.SIGINT, before)
    assert not list(tmp_path.iterdir())


def test_host_without_a_place_for_temporary_files_is_told_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/nowhere']")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    with pytest.raises(HostError, match="no temporary directory can be written") as caught:
        scratch_directory()
    assert "set TMPDIR" in caught.value.fix


def test_user_without_a_home_or_a_place_for_temporary_files_has_left_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/nowhere']")

    def homeless() -> Path:
        raise HostError("this user has no home directory for edgesim's files", fix="")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    monkeypatch.setattr(paths, "cache_directory", homeless)
    assert scratch.remove_left_behind() == []


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_has_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary, cache = tmp_path / "tmp", tmp_path / "cache"
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(cache))
    dead = [
        temporary / f"edgesim-{gone().file_name}-abc",
        cache / f"edgesim-probe-{gone().file_name}-abc",
        cache / "base-2" / f".bookworm-{gone().file_name}-abc",
        cache / "models" / "1" / f".digits-{gone().file_name}-abc",
    ]
    dead_file = cache / "probes" / f".p.json-{gone().file_name}"
    (temporary / "edgesim-of-nobody").mkdir(parents=True)
    with scratch_directory() as living:
        for path in dead:
            (path / "inner").mkdir(parents=True)
        dead_file.parent.mkdir()
        dead_file.touch()
        assert set(scratch.remove_left_behind()) == {*dead, dead_file}
        assert {path.name for path in temporary.iterdir()} == {"edgesim-of-nobody", Path(living).name}
    assert scratch.remove_left_behind() == []


def test_the_next_directory_in_a_place_removes_what_a_killed_process_left_there(tmp_path: Path) -> None:
    (tmp_path / f".image.tar-{gone().file_name}").touch()
    target = scratch_file(tmp_path / "image.tar")
    assert list(tmp_path.iterdir()) == []
    target.touch()
    assert scratch.remove_left_behind() == []
    assert target.exists()


@pytest.mark.parametrize(("free", "named", "variable"), [((9, 5), "temporary", True), ((5, 9), "cache", False)])
def test_full_disk_is_that_of_the_fuller_directory_that_a_program_writes_to(
    free: tuple[int, int], named: str, variable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spaces = {tmp_path / "cache": free[0], tmp_path / "temporary": free[1]}
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=spaces[path]))
    error = scratch.full_disk("the packages", tmp_path / "cache")
    assert error.problem == f"no space left for the packages in {tmp_path / named}"
    assert ("TMPDIR" in error.fix) == variable
