"""Entries of the cache are whole, or not there."""

import errno
import os
import time
from pathlib import Path

import pytest

from edgesim import errors
from edgesim.host import cache


def test_an_entry_of_the_cache_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), cache.new_entry(tmp_path / "x") as entry:
        (entry / "half").touch()
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with cache.new_entry(tmp_path / "x") as entry:
        (entry / "whole").touch()
        assert not (tmp_path / "x").exists()
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["whole"]
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_of_two_that_make_the_same_entry_the_first_to_finish_wins(tmp_path: Path) -> None:
    with cache.new_entry(tmp_path / "x") as slow:
        (slow / "slow").touch()
        with cache.new_entry(tmp_path / "x") as quick:
            (quick / "quick").touch()
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["quick"]


def test_a_disk_that_will_not_hold_an_entry_is_refused_beforehand_with_the_figures(tmp_path: Path) -> None:
    with (
        pytest.raises(errors.DiskFull, match=r"free, 1048576\.0 TiB needed"),
        cache.new_entry(tmp_path / "x", needed_bytes=1 << 60),
    ):
        pytest.fail("it began")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_and_a_forbidden_place_are_told_apart(tmp_path: Path) -> None:
    full = cache.explain(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), tmp_path)
    forbidden = cache.explain(OSError(errno.EACCES, os.strerror(errno.EACCES)), tmp_path)
    assert isinstance(full, errors.DiskFull)
    assert "df -h" in full.fix
    assert "EDGESIM_CACHE_DIR" in forbidden.fix


def test_files_for_images_are_readable_by_all_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        (tmp_path / "x" / "bin").mkdir(parents=True)
        (tmp_path / "x" / "text").touch()
        (tmp_path / "x" / "bin" / "program").touch(0o700)
        (tmp_path / "x" / "link").symlink_to("nowhere")
        cache.make_public(tmp_path / "x")
    finally:
        os.umask(before)
    modes = {path.name: path.lstat().st_mode & 0o777 for path in (tmp_path / "x").rglob("*") if not path.is_symlink()}
    assert modes == {"bin": 0o755, "text": 0o644, "program": 0o755}
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o755


def test_large_entries_go_that_nothing_has_used_for_a_month(tmp_path: Path) -> None:
    day_s, now_s = 24 * 3600, time.time()
    names = ("packages/a", "base-2/b", "quantized/c", "packages/.in-the-making", "results/d")
    for name in names:
        (tmp_path / name).mkdir(parents=True)
        os.utime(tmp_path / name, (0, 0))  # as an unpacked archive has it
    assert cache.remove_unused(tmp_path, now_s=now_s + 29 * day_s) == []
    removed = cache.remove_unused(tmp_path, now_s=now_s + 31 * day_s)
    assert sorted(removed) == sorted(tmp_path / name for name in names[:3])
    assert [name for name in names if (tmp_path / name).exists()] == list(names[3:])


def test_an_entry_that_another_process_removes_meanwhile_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "packages" / "a").mkdir(parents=True)
    is_dir = Path.is_dir

    def gone_after(path: Path) -> bool:
        was = is_dir(path)
        if path.name == "a":
            path.rmdir()
        return was

    monkeypatch.setattr(Path, "is_dir", gone_after)
    assert cache.remove_unused(tmp_path, now_s=time.time() + 31 * 24 * 3600) == []


def test_the_use_of_an_entry_is_seen(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    made_ns = (tmp_path / "x").stat().st_ctime_ns
    time.sleep(0.02)
    assert cache.has(tmp_path / "x")
    assert (tmp_path / "x").stat().st_ctime_ns > made_ns
    assert not cache.has(tmp_path / "y")
