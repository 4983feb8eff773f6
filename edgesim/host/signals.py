"""Ctrl-C at a bad moment: put off until what must not be left half done is done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


_deferring = False


@contextmanager
def deferred() -> Iterator[None]:
    """Within the block Ctrl-C (and SIGTERM, SIGHUP) waits; it arrives, as KeyboardInterrupt, when the block ends.

    For what must not be torn apart: making a container that nobody holds yet, taking one down, and any talk with the
    engine, whose client can leave a lock locked when it is interrupted, and wait for it for ever. Within another such
    block, and outside the main thread, where no signals come, it does nothing.
    """
    global _deferring
    if _deferring or threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []

    def remember(number: int, _: FrameType | None) -> None:
        arrived.append(number)

    heard = [number for number in _STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, remember) for number in heard}
    _deferring = True
    try:
        yield
    finally:
        _deferring = False
        for number, handler in before.items():
            signal.signal(number, handler)
    if arrived:
        raise KeyboardInterrupt


_arrived = threading.Event()


def as_keyboard_interrupt() -> None:
    """From here on SIGTERM and SIGHUP end the program as Ctrl-C does: with everything taken down."""
    _arrived.clear()
    for number in _STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _raise)


def _raise(number: int, _: FrameType | None) -> None:
    _arrived.set()
    raise KeyboardInterrupt


def raise_if_swallowed() -> None:
    """Raise the KeyboardInterrupt that came before and got lost.

    Python drops one that arrives while it runs a finalizer or a callback of its own, and a run would go on as if nobody
    had asked it to stop. To be called where a run goes from one stage to the next.
    """
    if _arrived.is_set() and threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt
