"""The stages of a long piece of work: told as they begin, timed as they end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from edgesim.host.signals import raise_if_swallowed


class Listener(Protocol):
    """Hears of each stage: what people watch while they wait."""

    def begin(self, stage: str, doing: str) -> None: ...

    def note(self, text: str) -> None: ...

    def end(self, stage: str, seconds: float) -> None: ...


class Silent:
    """Hears and says nothing: the listener of the Python interface."""

    def begin(self, stage: str, doing: str) -> None: ...

    def note(self, text: str) -> None: ...

    def end(self, stage: str, seconds: float) -> None: ...


class Stages:
    """Times each stage in seconds, in the order in which they ended."""

    def __init__(self, listener: Listener | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds: dict[str, float] = {}
        self._listener: Listener = listener if listener is not None else Silent()
        self._clock = clock

    @contextmanager
    def stage(self, name: str, doing: str) -> Iterator[None]:
        """Time the block under `name`; `doing` is what a person reads meanwhile."""
        raise_if_swallowed()
        self._listener.begin(name, doing)
        begun = self._clock()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + self._clock() - begun
            self._listener.end(name, self.seconds[name])

    def note(self, text: str) -> None:
        """Something worth saying that is no stage."""
        self._listener.note(text)
