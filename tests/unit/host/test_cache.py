"""Entries of the cache are whole, or not there."""

import errno
import os
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
