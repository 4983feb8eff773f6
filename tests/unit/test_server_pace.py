"""An inference does not end before the board would have done it."""

import threading
import time

import pytest

from edgesim.server.pace import Pace


def inference_s(pace: Pace, model: str) -> float:
    started_s = time.perf_counter()
    with pace.inference(model):
        pass
    return time.perf_counter() - started_s


def test_only_a_model_with_a_shortest_time_waits() -> None:
    pace = Pace()
    pace.set({"m": 0.05})
    assert inference_s(pace, "m") >= 0.05
    assert inference_s(pace, "other") < 0.05


def test_batch_takes_the_time_of_each_of_its_rows() -> None:
    pace = Pace()
    pace.set({"m": 0.02})
    started_s = time.perf_counter()
    with pace.inference("m", 4):
        pass
    assert time.perf_counter() - started_s >= 0.08


def test_inference_that_takes_longer_by_itself_does_not_wait() -> None:
    pace = Pace()
    pace.set({"m": 0.02})
    started_s = time.perf_counter()
    with pace.inference("m"):
        time.sleep(0.1)
        computed_s = time.perf_counter()
    assert time.perf_counter() - computed_s < 0.02 < computed_s - started_s


def test_two_models_side_by_side_share_the_board() -> None:
    pace = Pace()
    pace.set({"a": 0.1, "b": 0.1})
    durations_s: dict[str, float] = {}
    threads = [
        threading.Thread(target=lambda name=name: durations_s.setdefault(name, inference_s(pace, name)))
        for name in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The later of the two may have started_s alone.
    assert max(durations_s.values()) >= 0.15
    assert inference_s(pace, "a") < 0.15, "alone again"


def test_failed_inference_does_not_wait_and_frees_the_board() -> None:
    pace = Pace()
    pace.set({"m": 0.05})
    started_s = time.perf_counter()
    with pytest.raises(ValueError, match="bad input"), pace.inference("m"):
        raise ValueError("bad input")
    assert time.perf_counter() - started_s < 0.05
    assert 0.05 <= inference_s(pace, "m") < 0.1
