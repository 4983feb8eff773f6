"""The board's time: an inference is not over before the board would have done it.

A share of the CPU makes the server as slow as a board on average, but the kernel takes a share in pieces of
milliseconds, and what a request gets depends on where in them it begins. So the share is set a little too large, and
the rest of each inference's time is waited here.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class Pace:
    """How long an inference of each model takes at least, as set from outside; one not set takes what it takes.

    Inferences of several models side by side share the board: while there are n of them, each goes on at an nth of the
    speed.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._least_s: Mapping[str, float] = {}
        self._active = 0
        self._done_s = 0.0  # what an inference that has been there all along has done of its time
        self._at_s = time.perf_counter()

    def set(self, least_s: Mapping[str, float]) -> None:
        """Seconds by model, from the next inferences on; those left out take what they take."""
        self._least_s = dict(least_s)

    @contextmanager
    def held(self, model: str, rows: int = 1) -> Iterator[None]:
        """Around an inference of so many `rows`, each of which takes the time: leaves the block when it is over."""
        least_s = self._least_s.get(model, 0.0) * rows
        with self._changed:
            until_s = self._progress() + least_s
            self._active += 1
            self._changed.notify_all()
        try:
            yield
            with self._changed:
                while (left_s := until_s - self._progress()) > 0:
                    self._changed.wait(left_s * self._active)
        finally:
            with self._changed:
                self._progress()
                self._active -= 1
                self._changed.notify_all()

    def _progress(self) -> float:
        now_s = time.perf_counter()
        self._done_s += (now_s - self._at_s) / max(self._active, 1)
        self._at_s = now_s
        return self._done_s
