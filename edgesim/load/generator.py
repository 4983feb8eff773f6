"""The load generator: sends what a scenario says is due and takes the times."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from edgesim.load.client import Answer
from edgesim.load.scenario import SingleStream
from edgesim.result import Sample

Body = TypeVar("Body")  # whatever `send` sends


def single_stream(
    send: Callable[[Body], Answer],
    bodies: Sequence[Body],
    scenario: SingleStream,
    *,
    into: list[Sample],
    still_alive: Callable[[], bool],
    clock_ns: Callable[[], int] = time.monotonic_ns,
) -> None:
    """Send request after request until the scenario is over, or a request failed because the device is gone.

    Each sample is appended to `into` as soon as it is there, so that an interruption loses none; its times are
    `clock_ns`'s. A request is due when the one before it is done.
    """
    begun = due = clock_ns()
    while not scenario.is_over(answered=len(into), elapsed_s=(due - begun) / 1e9):
        body = bodies[len(into) % len(bodies)]
        sent = clock_ns()
        answer = send(body)
        done = clock_ns()
        into.append(Sample(due, sent, done, answer.outcome))
        if answer.outcome != "ok" and not still_alive():
            return
        due = done
