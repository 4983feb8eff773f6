"""Interrupts wait for what must be finished."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from edgesim.host import signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_waits_until_what_must_be_done_is_done(
    number: signal.Signals,
) -> None:
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


def test_only_the_first_signal_interrupts_and_the_taking_down_goes_on() -> None:
    said: list[str] = []
    signals.as_keyboard_interrupt(warn=lambda: said.append("a moment"), leave=lambda: said.append("left"))
    done = []
    with pytest.raises(KeyboardInterrupt):
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)  # as a CI runner sends one after Ctrl-C
            os.kill(os.getpid(), signal.SIGHUP)
            done.append("between two blocks")
            assert said == []
            with signals.deferred():
                os.kill(os.getpid(), signal.SIGINT)
            done.append("after a block that Ctrl-C arrived in")
    assert (done, said) == (["between two blocks", "after a block that Ctrl-C arrived in"], ["a moment"])


def test_a_third_ctrl_c_leaves() -> None:
    said: list[str] = []
    signals.as_keyboard_interrupt(warn=lambda: said.append("a moment"), leave=lambda: said.append("left"))
    with pytest.raises(KeyboardInterrupt), signals.deferred():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        assert said == ["a moment"]
        os.kill(os.getpid(), signal.SIGINT)
        assert said[:2] == ["a moment", "left"]
