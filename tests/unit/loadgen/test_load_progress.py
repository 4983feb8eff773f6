"""How long a load takes: before it begins, and while it lasts."""

import pytest

from edgesim.loadgen.load_progress import announcement, expected_s, progress_of, watch
from edgesim.loadgen.scenario import Misses, Scenario, StopRule
from edgesim.options import Precision
from edgesim.progress import Progress
from edgesim.recording import Sample

CLOSED = Scenario(name="single-stream", stop=StopRule(requests=100, duration_s=5.0))
SERVER = Scenario(name="server", qps=2.0, stop=StopRule(requests=662))
PRECISE = Scenario(name="single-stream", stop=StopRule(precision=Precision(percentile=99, percent=5, limit_s=600.0)))


@pytest.mark.parametrize(
    ("scenario", "request_s", "seconds"),
    [
        (CLOSED, 0.01, 5.0),
        (CLOSED, 49.0, 4900.0),
        (CLOSED, None, None),
        (SERVER, None, 331.0),
        (SERVER, 0.04, 331.0),
        (SERVER, 1.0, 662.0),
        (PRECISE, 0.01, None),
    ],
)
def test_a_load_takes_as_long_as_its_slowest_stop_rule(
    scenario: Scenario, request_s: float | None, seconds: float | None
) -> None:
    assert expected_s(scenario, request_s) == seconds


def test_only_long_loads_are_announced() -> None:
    tries = Scenario(name="server", qps=2.0, stop=StopRule(requests=662, misses=Misses(limit_s=0.1, at_most=6)))
    assert announcement([CLOSED], 0.01) == ""
    assert announcement([SERVER, SERVER.at(4.0)], 0.04) == ", about 8 min"
    assert announcement([tries], 0.04) == ", at most 6 min"
    assert announcement([SERVER, SERVER.at(4.0)], 0.04, of_first=True) == ", about 8 min", "the rates decide"
    assert announcement([CLOSED], 40.0, of_first=True) == ", at most 67 min"
    assert announcement([PRECISE], 100.0) == "", "nobody knows when the precision is reached"


def test_progress_goes_by_the_requests_and_the_seconds_that_are_left() -> None:
    assert progress_of(SERVER, 0, 1.0) == Progress("0 of 662 requests")
    assert progress_of(SERVER, 331, 165.5) == Progress("331 of 662 requests", share=0.5, left_s=165.5)
    assert progress_of(CLOSED, 400, 4.0) == Progress("400 requests", share=0.8, left_s=1.0)
    assert progress_of(CLOSED, 400, 6.0) == Progress("400 requests", share=1.0, left_s=0.0)
    assert progress_of(PRECISE, 50, 60.0) == Progress("50 requests, until p99 within 5 %", left_s=540.0, at_most=True)


def test_an_overloaded_board_takes_longer_than_its_rate_says() -> None:
    left_s = progress_of(SERVER, 100, 100.0).left_s
    assert left_s == pytest.approx(562.0)


def test_a_load_is_watched_from_its_beginning() -> None:
    now_s = [10.0]
    samples = [Sample(0, 0, 1, "ok")] * 7
    progress = watch(CLOSED, samples, clock=lambda: now_s[0])
    now_s[0] += 25.0
    samples += [Sample(0, 0, 1, "ok")] * 50
    assert progress() == Progress("50 of 100 requests", share=0.5, left_s=25.0)
