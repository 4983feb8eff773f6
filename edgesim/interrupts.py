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
