"""Errors, units, cache, stages and interrupts: what everything else stands on."""

import contextlib
import errno
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesim import errors, units
from edgesim.errors import EdgesimError, ExitCode
from edgesim.host import cache, signals
from edgesim.progress import Stages


def subclasses(root: type[EdgesimError]) -> list[type[EdgesimError]]:
    return [root, *(below for direct in root.__subclasses__() for below in subclasses(direct))]


def test_every_error_has_an_exit_code_of_the_contract() -> None:
    codes = {error.__name__: error.exit_code for error in subclasses(EdgesimError)}
    assert codes["ProfileError"] == codes["ModelError"] == codes["ResultError"] == 2
    assert codes["EngineMissing"] == codes["EmulatorStale"] == codes["DiskFull"] == 3
    assert codes["BuildFailed"] == codes["NotReady"] == codes["OutOfMemory"] == 4
    assert codes["Interrupted"] == 130
    assert codes.pop("EdgesimError") == ExitCode.INTERNAL
    assert ExitCode.INTERNAL not in codes.values(), "an error of a kind is never a fault of our own"


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (4187590656, "3.9 GiB"), (2**50, "1024.0 TiB")]
)
def test_bytes_are_written_in_the_largest_unit_that_fits(count: int, text: str) -> None:
    assert units.format_bytes(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.0000123, "12.3 us"), (0.0123, "12.3 ms"), (83, "83.0 s")])
def test_durations_are_written_with_three_digits(seconds: float, text: str) -> None:
    assert units.format_seconds(seconds) == text


def test_clocks_are_written_as_data_sheets_do() -> None:
    assert (units.format_hz(1_479_000_000), units.format_hz(918_000_000)) == ("1.479 GHz", "918 MHz")


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


def test_stages_are_timed_even_when_they_fail() -> None:
    times = iter([0.0, 2.0, 10.0, 13.0])
    stages = Stages(clock=lambda: next(times))
    with stages.stage("good", ""):
        pass
    with pytest.raises(ZeroDivisionError), stages.stage("bad", ""):
        raise ZeroDivisionError
    assert stages.seconds == {"good": 2.0, "bad": 3.0}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_waits_until_what_must_be_done_is_done(number: signal.Signals) -> None:
    signals.as_keyboard_interrupt()
    done = []
    with pytest.raises(KeyboardInterrupt), signals.deferred():
        os.kill(os.getpid(), number)
        done.append("finished")
    assert done == ["finished"]


@pytest.fixture(autouse=True)
def _default_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_an_interrupt_that_got_lost_is_raised_at_the_next_stage() -> None:
    signals.as_keyboard_interrupt()
    stages = Stages()
    with stages.stage("careless", ""), contextlib.suppress(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stages.stage("next", ""):
        pytest.fail("it went on")
    signals.as_keyboard_interrupt()
    with stages.stage("anew", ""):
        pass


def test_an_interrupt_waits_for_the_outermost_of_nested_blocks() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), signals.deferred():
        with signals.deferred():
            os.kill(os.getpid(), signal.SIGINT)
        done.append("inner block is over")
    assert done == ["inner block is over"]


def test_nothing_is_deferred_outside_the_main_thread() -> None:
    entered = []

    def work() -> None:
        with signals.deferred():
            entered.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert entered == [True]


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(45.91, "45.9"), (40.0, "40.0"), (0.04921, "0.0492"), (127.6, "128"), (10_973, "10,970"), (0, "0.00")],
)
def test_milliseconds_have_three_digits_and_no_power_of_ten(milliseconds: float, text: str) -> None:
    assert units.format_ms(milliseconds) == text
