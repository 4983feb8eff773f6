"""An inference is not over before the board would have done it."""

import threading
import time

import pytest

from edgesim.server.pace import Pace


def seconds_held(pace: Pace, model: str) -> float:
    begun = time.perf_counter()
    with pace.held(model):
        pass
    return time.perf_counter() - begun


def test_an_inference_takes_its_time_and_one_that_is_not_held_takes_none() -> None:
    pace = Pace()
    pace.set({"m": 0.05})
    assert seconds_held(pace, "m") >= 0.05
    assert seconds_held(pace, "other") < 0.05


def test_a_batch_takes_the_time_of_each_of_its_rows() -> None:
    pace = Pace()
    pace.set({"m": 0.02})
    begun = time.perf_counter()
    with pace.held("m", 4):
        pass
    assert time.perf_counter() - begun >= 0.08


def test_what_has_taken_longer_by_itself_is_not_held_any_more() -> None:
    pace = Pace()
    pace.set({"m": 0.02})
    begun = time.perf_counter()
    with pace.held("m"):
        time.sleep(0.1)
        computed = time.perf_counter()
    assert time.perf_counter() - computed < 0.02 < computed - begun


def test_two_models_side_by_side_share_the_board() -> None:
    pace = Pace()
    pace.set({"a": 0.1, "b": 0.1})
    took: dict[str, float] = {}
    threads = [
        threading.Thread(target=lambda name=name: took.setdefault(name, seconds_held(pace, name))) for name in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The later of the two may have begun alone.
    assert max(took.values()) >= 0.15
    assert seconds_held(pace, "a") < 0.15, "alone again"


def test_one_that_fails_is_not_held_and_leaves_the_board_to_the_others() -> None:
    pace = Pace()
    pace.set({"m": 0.05})
    begun = time.perf_counter()
    with pytest.raises(ValueError, match="bad input"), pace.held("m"):
        raise ValueError("bad input")
    assert time.perf_counter() - begun < 0.05
    assert 0.05 <= seconds_held(pace, "m") < 0.1
