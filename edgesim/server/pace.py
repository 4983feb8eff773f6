"""The board's pace: an inference does not end before the board would have done it.

A share of the CPU makes the server as slow as a board on average, but the kernel gives a share in pieces of
milliseconds, and what a request gets depends on where within them it begins. So the share is set a little too large,
and the server waits for the rest of each inference's time here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class Pace:
    """The shortest time of an inference by model, as set from outside; a model without one takes the time it takes.

    Inferences of several models side by side share the board: while there are n of them, each goes on at an nth of the
    speed.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._shortest_s: Mapping[str, float] = {}
        self._active = 0
        self._done_s = 0.0  # the board's time for an inference that would have run all along
        self._done_at_s = time.perf_counter()

    def set(self, shortest_s: Mapping[str, float]) -> None:
        """Set the shortest time in seconds by model, for inferences that begin from now on; others have none."""
        self._shortest_s = dict(shortest_s)

    @contextmanager
    def inference(self, model: str, rows: int = 1) -> Iterator[None]:
        """Surround an inference of `rows` rows, each of which takes the model's time: wait at the end for the rest.

        An inference that raises does not wait.
        """
        shortest_s = self._shortest_s.get(model, 0.0) * rows
        with self._changed:
            until_s = self._progress() + shortest_s
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
        self._done_s += (now_s - self._done_at_s) / max(self._active, 1)
        self._done_at_s = now_s
        return self._done_s
