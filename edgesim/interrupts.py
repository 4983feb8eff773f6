"""Ctrl-C at a bad moment: put off until what must not be left half done is done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def deferred() -> Iterator[None]:
    """Within the block Ctrl-C (and SIGTERM, SIGHUP) waits; it arrives, as KeyboardInterrupt, when the block ends.

    For the two moments that a simulated board must not be torn apart in: while the engine makes a container that
    nobody holds yet, and while one is taken down. Outside the main thread it does nothing, since signals come there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []

    def remember(number: int, _: FrameType | None) -> None:
        arrived.append(number)

    heard = [number for number in _STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, remember) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if arrived:
        raise KeyboardInterrupt


def as_keyboard_interrupt() -> None:
    """From here on SIGTERM and SIGHUP end the program as Ctrl-C does: with everything taken down."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, signal.default_int_handler)
