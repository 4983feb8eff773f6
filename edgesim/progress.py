"""Progress of a job: its stages are announced when they begin, watched while they last and timed when they end."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from edgesim.host.signals import deferred, raise_if_swallowed
from edgesim.units import format_estimate

# A stage is looked at this often while it lasts.
_LOOK_S = 1.0
# Work that takes longer than this many seconds says so before it begins.
LONG_S = 10.0


class Progress(NamedTuple):
    """How far a stage is.

    Attributes:
        words: what is done, such as ``12 of 662 requests``; empty if only the time passes.
        share: the part that is done, from 0 to 1; None if it is not known.
        left_s: seconds until the end, by what was done so far; None if they are not known.
        at_most: whether the stage may end sooner.
    """

    words: str = ""
    share: float | None = None
    left_s: float | None = None
    at_most: bool = False


class Listener(Protocol):
    """Shows the stages of a job to a person who waits."""

    def begin(self, stage: str, doing: str) -> None: ...

    def advance(self, progress: Progress) -> None:
        """Hear once a second how far the current stage is; called in another thread than the other methods."""

    def note(self, text: str) -> None: ...

    def end(self, stage: str, seconds: float) -> None:
        """Hear that a stage has ended; one that failed or was interrupted is named ``NAME (not finished)``."""


class Silent:
    """A listener that shows nothing: the default of the Python interface."""

    def begin(self, stage: str, doing: str) -> None: ...

    def advance(self, progress: Progress) -> None: ...

    def note(self, text: str) -> None: ...

    def end(self, stage: str, seconds: float) -> None: ...


class _Named:
    """A listener that hears in which part of the job a stage is."""

    def __init__(self, part: str, listener: Listener) -> None:
        self._part, self._listener = part, listener

    def begin(self, stage: str, doing: str) -> None:
        self._listener.begin(f"{self._part}: {stage}", f"{self._part}: {doing}")

    def advance(self, progress: Progress) -> None:
        self._listener.advance(progress)

    def note(self, text: str) -> None:
        self._listener.note(f"{self._part}: {text}")

    def end(self, stage: str, seconds: float) -> None:
        self._listener.end(f"{self._part}: {stage}", seconds)


class Stages:
    """The stages of a job.

    Attributes:
        seconds: length of each stage, in the order in which the stages ended; a repeated stage adds up.
    """

    def __init__(self, listener: Listener | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds: dict[str, float] = {}
        self._listener: Listener = listener if listener is not None else Silent()
        self._clock = clock

    def part(self, name: str) -> "Stages":
        """Return the stages of a part of the job, such as ``scaled``: with seconds of their own, and named by it."""
        silent = isinstance(self._listener, Silent)
        return Stages(self._listener if silent else _Named(name, self._listener), self._clock)

    @contextmanager
    def stage(self, name: str, doing: str, progress: Callable[[], Progress] = Progress) -> Iterator[None]:
        """Time the block under `name`.

        Args:
            doing: what a person reads during the stage.
            progress: says how far the stage is; called once a second, in another thread.
        """
        raise_if_swallowed()
        with self._announced(name, doing, progress):
            yield

    @contextmanager
    def clean_up(self, name: str, doing: str) -> Iterator[None]:
        """Time the block like `stage`; Ctrl-C waits for its end, since it takes down what was started."""
        with deferred(), self._announced(name, doing):
            yield

    @contextmanager
    def _announced(self, name: str, doing: str, progress: Callable[[], Progress] = Progress) -> Iterator[None]:
        self._listener.begin(name, doing)
        begun = self._clock()
        ended = f"{name} (not finished)"
        try:
            with self._watched(progress):
                yield
            ended = name
        finally:
            seconds = self._clock() - begun
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
            self._listener.end(ended, seconds)

    @contextmanager
    def _watched(self, progress: Callable[[], Progress]) -> Iterator[None]:
        if isinstance(self._listener, Silent):
            yield
            return
        over = threading.Event()

        def watch() -> None:
            while not over.wait(_LOOK_S):
                self._listener.advance(progress())

        threading.Thread(target=watch, name="edgesim-progress", daemon=True).start()
        try:
            yield
        finally:
            over.set()  # not joined: an interrupt could arrive while this thread waits

    def note(self, text: str) -> None:
        """Show a text that is not a stage."""
        self._listener.note(text)


class Tally:
    """Counts the equal parts of a stage, such as requests or rounds, and estimates how long the other parts take.

    Args:
        total: how many parts there are.
        what: the parts, such as ``requests``.
        fewer_if: what ends the work before all parts are done, such as ``the rules are decided``; empty means nothing.
    """

    def __init__(
        self, total: int, what: str, *, fewer_if: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total, self._what, self._fewer_if, self._clock = total, what, fewer_if, clock
        self._at_most = bool(fewer_if)
        self._times_s = [clock()]

    def begin(self) -> None:
        """Begin the first part now, and not when the tally was made."""
        self._times_s = [self._clock()]

    def add(self) -> None:
        """Count a part that is done."""
        self._times_s.append(self._clock())

    def progress(self) -> Progress:
        """Return how many parts are done, and the time that the others will take."""
        times_s, done = list(self._times_s), len(self._times_s) - 1
        words = f"{done} of {'at most ' if self._at_most else ''}{self._total} {self._what}"
        if not done:
            return Progress(words, at_most=self._at_most)
        left_s = max((self._total - done) * _each_s(times_s) - (self._clock() - times_s[-1]), 0.0)
        return Progress(words, done / self._total, left_s, self._at_most)

    def announce(self, stages: Stages) -> None:
        """After the first part, say how long all parts take, if that is long."""
        if len(self._times_s) != 2 or (self._total - 1) * _each_s(self._times_s) < LONG_S:
            return
        each_s = _each_s(self._times_s)
        most, fewer = ("at most ", f", fewer if {self._fewer_if} sooner") if self._fewer_if else ("", "")
        stages.note(
            f"{most}{self._total} {self._what} of about {format_estimate(each_s)} each:"
            f" {most or 'about '}{format_estimate(self._total * each_s)}{fewer}"
        )


def _each_s(times_s: Sequence[float]) -> float:
    """Return the seconds of a part; the first one, which fills caches, counts only as long as it is the only one."""
    first = 1 if len(times_s) > 2 else 0
    return (times_s[-1] - times_s[first]) / (len(times_s) - 1 - first)
