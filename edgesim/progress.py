"""Progress of a job: its stages are announced when they begin and timed when they end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from edgesim.host.signals import deferred, raise_if_swallowed


class Listener(Protocol):
    """Shows the stages of a job to a person who waits."""

    def begin(self, stage: str, doing: str) -> None: ...

    def note(self, text: str) -> None: ...

    def end(self, stage: str, seconds: float) -> None: ...


class Silent:
    """A listener that shows nothing: the default of the Python interface."""

    def begin(self, stage: str, doing: str) -> None: ...

    def note(self, text: str) -> None: ...

    def end(self, stage: str, seconds: float) -> None: ...


class Stages:
    """The stages of a job.

    Attributes:
        seconds: length of each stage, in the order in which the stages ended; a repeated stage adds up.
    """

    def __init__(self, listener: Listener | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds: dict[str, float] = {}
        self._listener: Listener = listener if listener is not None else Silent()
        self._clock = clock

    @contextmanager
    def stage(self, name: str, doing: str) -> Iterator[None]:
        """Time the block under `name`; `doing` is what a person reads during the stage."""
        raise_if_swallowed()
        with self._announced(name, doing):
            yield

    @contextmanager
    def clean_up(self, name: str, doing: str) -> Iterator[None]:
        """Time the block like `stage`; Ctrl-C waits for its end, since it takes down what was started."""
        with deferred(), self._announced(name, doing):
            yield

    @contextmanager
    def _announced(self, name: str, doing: str) -> Iterator[None]:
        self._listener.begin(name, doing)
        begun = self._clock()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + self._clock() - begun
            self._listener.end(name, self.seconds[name])

    def note(self, text: str) -> None:
        """Show a text that is not a stage."""
        self._listener.note(text)
