"""Stages are timed, and hear an interrupt."""

import contextlib
import os
import signal
from collections.abc import Iterator

import pytest

from edgesim import progress as module
from edgesim.host import signals
from edgesim.progress import Progress, Stages, Tally
from tests.support.heard import Heard


def test_stages_are_timed_even_when_they_fail() -> None:
    times = iter([0.0, 2.0, 10.0, 13.0])
    stages = Stages(clock=lambda: next(times))
    with stages.stage("good", ""):
        pass
    with pytest.raises(ZeroDivisionError), stages.stage("bad", ""):
        raise ZeroDivisionError
    assert stages.seconds == {"good": 2.0, "bad": 3.0}


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def add(self, tally: Tally, *, after_s: float) -> None:
        self.now_s += after_s
        tally.add()


def test_a_listener_hears_how_far_a_stage_is_while_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_S", 0.001)
    heard = Heard()
    with Stages(heard).stage("load", "", lambda: Progress("2 of 3", share=0.5)):
        assert heard.advanced.wait(30)
    assert heard.progress == Progress("2 of 3", share=0.5)


def test_a_repeated_stage_tells_its_own_seconds_and_adds_them_up() -> None:
    times = iter([0.0, 2.0, 10.0, 13.0])
    heard = Heard()
    stages = Stages(heard, clock=lambda: next(times))
    for _ in range(2):
        with stages.stage("load", "sending"):
            pass
    assert heard.lines == ["load: sending", "load 2", "load: sending", "load 3"]
    assert stages.seconds == {"load": 5.0}


def test_a_listener_hears_that_a_stage_was_cut_short() -> None:
    times = iter([0.0, 2.0])
    heard = Heard()
    stages = Stages(heard, clock=lambda: next(times))
    with pytest.raises(KeyboardInterrupt), stages.stage("ready", "waiting"):
        raise KeyboardInterrupt
    assert heard.lines == ["ready: waiting", "ready (not finished) 2"]


def test_a_part_of_a_job_has_seconds_and_names_of_its_own() -> None:
    times = iter([0.0, 1.0, 1.0, 3.0])
    heard = Heard()
    stages = Stages(heard, clock=lambda: next(times))
    with stages.stage("load", "sending"):
        pass
    part = stages.part("scaled")
    with part.stage("load", "sending"):
        part.note("slow")
    assert (stages.seconds, part.seconds) == ({"load": 1.0}, {"load": 2.0})
    assert heard.lines[2:] == ["scaled: load: scaled: sending", "scaled: slow", "scaled: load 2"]


def test_a_tally_estimates_by_the_parts_after_the_first() -> None:
    clock = Clock()
    tally = Tally(5, "requests", clock=clock)
    assert tally.progress() == Progress("0 of 5 requests")
    clock.add(tally, after_s=100.0)
    assert tally.progress() == Progress("1 of 5 requests", 0.2, 400.0)
    clock.add(tally, after_s=10.0)
    clock.now_s += 4.0
    assert tally.progress() == Progress("2 of 5 requests", 0.4, 26.0)
    clock.now_s += 100.0
    assert tally.progress().left_s == 0.0


def test_a_tally_announces_long_work_once_and_short_work_never() -> None:
    clock, heard = Clock(), Heard()
    stages = Stages(heard)
    short, requests = Tally(8, "requests", clock=clock), Tally(8, "requests", clock=clock)
    rounds = Tally(30, "rounds", fewer_if="the rules are decided", clock=clock)
    clock.add(short, after_s=1.0)
    clock.add(requests, after_s=49.0)
    rounds.begin()
    clock.add(rounds, after_s=12.0)
    for tally in (short, requests, rounds):
        tally.announce(stages)
    clock.add(rounds, after_s=12.0)
    rounds.announce(stages)
    assert heard.lines == [
        "8 requests of about 50 s each: about 7 min",
        "at most 30 rounds of about 10 s each: at most 6 min, fewer if the rules are decided sooner",
    ]
    assert rounds.progress().words == "2 of at most 30 rounds"


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
