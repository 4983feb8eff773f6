"""An inference does not end before the board would have done it.

Upper bounds of a duration are checked on the shortest of several tries: on a busy host any single one may take long.
"""

import contextlib
import threading
import time
from collections.abc import Callable

import pytest

from edgesim.server.pace import Pace


def inference_s(pace: Pace, model: str, *, rows: int = 1, compute_s: float = 0.0) -> float:
    started_s = time.perf_counter()
    with pace.inference(model, rows):
        time.sleep(compute_s)
    return time.perf_counter() - started_s


def shortest_s(duration_s: Callable[[], float]) -> float:
    return min(duration_s() for _ in range(5))


def paced(**times_s: float) -> Pace:
    pace = Pace()
    pace.set(times_s)
    return pace


def test_only_a_model_with_a_shortest_time_waits() -> None:
    pace = paced(m=0.05)
    assert inference_s(pace, "m") >= 0.05
    assert shortest_s(lambda: inference_s(pace, "other")) < 0.05


def test_batch_takes_the_time_of_each_of_its_rows() -> None:
    assert inference_s(paced(m=0.02), "m", rows=4) >= 0.08


def test_inference_that_takes_longer_by_itself_does_not_wait() -> None:
    pace = paced(m=0.05)
    assert 0.1 <= shortest_s(lambda: inference_s(pace, "m", compute_s=0.1)) < 0.14


def test_two_models_side_by_side_share_the_board() -> None:
    pace = paced(a=0.1, b=0.1)
    durations_s: dict[str, float] = {}
    threads = [
        threading.Thread(target=lambda name=name: durations_s.setdefault(name, inference_s(pace, name)))
        for name in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The inference that ends later may have begun alone.
    assert max(durations_s.values()) >= 0.15
    assert shortest_s(lambda: inference_s(pace, "a")) < 0.15, "alone again"


def test_failed_inference_does_not_wait_and_frees_the_board() -> None:
    pace = paced(m=0.05)

    def failed_s() -> float:
        started_s = time.perf_counter()
        with contextlib.suppress(ValueError), pace.inference("m"):
            raise ValueError("bad input")
        return time.perf_counter() - started_s

    with pytest.raises(ValueError, match="bad input"), pace.inference("m"):
        raise ValueError("bad input")
    assert shortest_s(failed_s) < 0.05
    assert 0.05 <= shortest_s(lambda: inference_s(pace, "m")) < 0.1
