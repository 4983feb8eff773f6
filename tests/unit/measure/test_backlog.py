"""A board that keeps up, and one that gets more requests than it can answer."""

import numpy as np
import pytest

from edgesim.measure.backlog import backlog
from edgesim.recording import Sample


def queue(load: float, requests: int, seed: int = 0, *, service_ms: float = 41.4) -> list[Sample]:
    """Simulate requests that arrive at random at a board that answers one at a time.

    Args:
        load: arrivals in the time of one inference; above 1 the board cannot keep up.
    """
    gaps_ns = np.random.default_rng(seed).exponential(service_ms / load * 1e6, requests)
    samples, free_ns = [], 0.0
    for due_ns in np.cumsum(gaps_ns):
        free_ns = max(free_ns, due_ns) + service_ms * 1e6
        samples.append(Sample(int(due_ns), int(due_ns), int(free_ns), "ok"))
    return samples


@pytest.mark.parametrize("requests", [100, 662])
@pytest.mark.parametrize("load", [0.3, 0.7, 0.9])
def test_a_board_that_keeps_up_is_hardly_ever_called_overloaded(load: float, requests: int) -> None:
    called = sum(found.overloaded for seed in range(200) if (found := backlog(queue(load, requests, seed))) is not None)
    assert called <= 200 * (0.01 if load < 0.9 else 0.1)


@pytest.mark.parametrize(("load", "requests"), [(1.25, 662), (1.6, 100), (3.0, 30)])
def test_a_board_that_does_not_keep_up_is_called_overloaded(load: float, requests: int) -> None:
    called = sum(found.overloaded for seed in range(100) if (found := backlog(queue(load, requests, seed))) is not None)
    assert called >= 90


def test_the_rates_of_arrivals_and_answers_are_those_of_the_load() -> None:
    found = backlog(queue(1.25, 662))
    assert found is not None
    assert found.arrived_qps == pytest.approx(1.25 / 0.0414, rel=0.1)
    assert found.answered_qps == pytest.approx(1 / 0.0414, rel=0.02)
    assert found.last_ms > 1000 > found.first_ms


def test_a_slow_board_with_few_requests_is_not_judged() -> None:
    assert backlog(queue(3.0, 29)) is None
    failed = [sample._replace(outcome="timeout") for sample in queue(3.0, 100)]
    assert backlog(failed) is None
    assert backlog([Sample(0, 0, 10**9 * i, "ok") for i in range(50)]) is None, "all are due at once"
