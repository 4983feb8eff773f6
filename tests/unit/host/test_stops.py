"""Processes that a signal stops: as others see them, and as they notice themselves."""

import os
import signal
import threading
from pathlib import Path

import pytest

from edgesim.host.stops import StopsOf, noted

SECOND = 10**9


class Process:
    """A process in a /proc of the test, and the clock that looks at it."""

    def __init__(self, proc: Path) -> None:
        self.now_ns = 0
        self._stat = proc / "7" / "stat"
        self._stat.parent.mkdir()
        self.stops = StopsOf(7, proc=proc, clock=lambda: self.now_ns)

    def look(self, at_s: float, state: str | None) -> None:
        if state is None:
            self._stat.unlink()
        else:
            self._stat.write_text(f"7 (a) T (b) {state} 1 7 7 0 -1")
        self.now_ns = round(at_s * SECOND)
        self.stops.look()


@pytest.fixture
def process(tmp_path: Path) -> Process:
    return Process(tmp_path)


def test_a_stop_counts_from_the_look_that_finds_it_to_the_one_that_does_not(process: Process) -> None:
    for at_s, state in ((0, "S"), (1, "T"), (2, "T"), (4, "R"), (5, "T"), (6, "S")):
        process.look(at_s, state)
    assert process.stops.seconds == 4


def test_a_process_that_is_still_stopped_counts_until_now(process: Process) -> None:
    process.look(1, "T")
    process.now_ns = 3 * SECOND
    assert process.stops.seconds == 2


@pytest.mark.parametrize("state", ["R", "S", "D", "t", "Z"])
def test_a_process_that_waits_for_a_cpu_or_is_traced_is_not_stopped(process: Process, state: str) -> None:
    for at_s in range(3):
        process.look(at_s, state)
    assert process.stops.seconds == 0


def test_a_process_that_is_gone_is_not_stopped_any_more(process: Process) -> None:
    process.look(1, "T")
    process.look(2, None)
    process.now_ns = 9 * SECOND
    assert process.stops.seconds == 1


def test_a_process_notes_when_it_is_told_to_continue_and_leaves_the_handler_as_it_was() -> None:
    with noted() as moments:
        os.kill(os.getpid(), signal.SIGCONT)
        with noted() as inner:
            os.kill(os.getpid(), signal.SIGCONT)
    assert len(moments) == 2
    assert inner == [], "beside another handler nothing is noted"
    assert signal.getsignal(signal.SIGCONT) is signal.SIG_DFL


def test_outside_the_main_thread_nothing_is_noted() -> None:
    seen: list[list[int]] = []

    def note() -> None:
        with noted() as moments:
            os.kill(os.getpid(), signal.SIGCONT)
        seen.append(moments)

    thread = threading.Thread(target=note)
    thread.start()
    thread.join()
    assert seen == [[]]
