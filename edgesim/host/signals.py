"""Ctrl-C at a bad moment: deferred until work that must not stay half done is done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


_deferring = False


@contextmanager
def deferred() -> Iterator[None]:
    """Defer Ctrl-C (and SIGTERM, SIGHUP) to the end of the block, and raise KeyboardInterrupt there.

    Three things must not be interrupted: the creation of a container that no context manager owns yet, its removal, and
    any request to the engine, whose client can leave a lock locked when it is interrupted and then wait for it forever.
    Inside another such block, and outside the main thread, which gets all signals, the block has no effect.
    """
    global _deferring
    if _deferring or threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []

    def remember(number: int, _: FrameType | None) -> None:
        arrived.append(number)

    handled = [number for number in _STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, remember) for number in handled}
    _deferring = True
    try:
        yield
    finally:
        _deferring = False
        for number, handler in previous.items():
            signal.signal(number, handler)
    if arrived:
        raise KeyboardInterrupt


_arrived = threading.Event()


def as_keyboard_interrupt() -> None:
    """Let SIGTERM and SIGHUP end the program as Ctrl-C does: everything that edgesim started is taken down.

    A shell starts the background jobs of a script with SIGINT ignored, and Python then installs no handler: ``kill
    -INT`` would do nothing. A SIGHUP that is ignored stays so, since ``nohup`` ignores it.
    """
    _arrived.clear()
    for number in _STOPPING:
        if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


def _raise(number: int, _: FrameType | None) -> None:
    _arrived.set()
    raise KeyboardInterrupt


def raise_if_swallowed() -> None:
    """Raise a KeyboardInterrupt that Python has swallowed.

    Python drops a KeyboardInterrupt that arrives while it runs a finalizer or a callback of its own, and a run would
    continue although the user stopped it. Call this function where a run goes from one stage to the next.
    """
    if _arrived.is_set() and threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt
