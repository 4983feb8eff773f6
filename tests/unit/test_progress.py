"""Stages are timed, and hear an interrupt."""

import contextlib
import os
import signal
from collections.abc import Iterator

import pytest

from edgesim.host import signals
from edgesim.progress import Stages


def test_stages_are_timed_even_when_they_fail() -> None:
    times = iter([0.0, 2.0, 10.0, 13.0])
    stages = Stages(clock=lambda: next(times))
    with stages.stage("good", ""):
        pass
    with pytest.raises(ZeroDivisionError), stages.stage("bad", ""):
        raise ZeroDivisionError
    assert stages.seconds == {"good": 2.0, "bad": 3.0}


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
