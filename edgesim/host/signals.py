"""Ctrl-C at a bad moment: deferred until work that must not stay half done is done.

The first Ctrl-C ends the program, which then takes down what it started. A second one is told that this takes a moment;
a third one leaves the rest to another process.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

# Windows has no SIGHUP.
_STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@dataclass
class _Ending:
    """How far a program is on its way to its end.

    Attributes:
        begun: a signal has arrived; KeyboardInterrupt is raised, or will be at the end of a deferred block.
        warned: Ctrl-C has arrived again.
    """

    warn: Callable[[], None]
    leave: Callable[[], None]
    begun: bool = False
    warned: bool = False

    def handle(self, number: int, _: FrameType | None) -> None:
        """Handle a signal: raise KeyboardInterrupt at the first one."""
        if self.hear(number):
            raise KeyboardInterrupt

    def hear(self, number: int) -> bool:
        """Take note of a signal; return whether it is the first one.

        SIGTERM and SIGHUP may come again by themselves, from a shell and a CI runner: only Ctrl-C is a person who has
        read the warning.
        """
        if not self.begun:
            self.begun = True
            return True
        if number == signal.SIGINT:
            if self.warned:
                self.leave()
            self.warned = True
            self.warn()
        return False


_deferring = False
_prepared: _Ending | None = None


def _ending() -> _Ending | None:
    """Return how far this program's end is; None for a program that handles its signals itself."""
    handlers = [signal.getsignal(number) for number in _STOPPING]
    return _prepared if _prepared is not None and _prepared.handle in handlers else None


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
    ending = _ending()

    def remember(number: int, _: FrameType | None) -> None:
        if ending is None or ending.hear(number):
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


def _do_nothing() -> None: ...


def as_keyboard_interrupt(*, warn: Callable[[], None] = _do_nothing, leave: Callable[[], None] = _do_nothing) -> None:
    """Let SIGTERM and SIGHUP end the program as Ctrl-C does: everything that edgesim started is taken down.

    Only the first signal raises KeyboardInterrupt: another one would cut short the taking down. A shell starts the
    background jobs of a script with SIGINT ignored, and Python then installs no handler: ``kill -INT`` would do
    nothing. A SIGHUP that is ignored stays so, since ``nohup`` ignores it.

    Args:
        warn: called at the second Ctrl-C, within the signal handler: says that the next one does not wait.
        leave: called at the third Ctrl-C, within the signal handler: ends the program.
    """
    global _prepared
    _prepared = _Ending(warn, leave)
    for number in _STOPPING:
        if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _prepared.handle)


def ignore() -> None:
    """Ignore signals from now on: everything is taken down.

    The interpreter restores the default handlers while it ends, and a late signal would replace the exit code.
    """
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)


def raise_if_swallowed() -> None:
    """Raise a KeyboardInterrupt that Python has swallowed.

    Python drops a KeyboardInterrupt that arrives while it runs a finalizer or a callback of its own, and a run would
    continue although the user stopped it. Call this function where a run goes from one stage to the next.
    """
    ending = _ending()
    if ending is not None and ending.begun and threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt
