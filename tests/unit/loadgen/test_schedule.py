"""Arrivals and scenarios: pure functions, so properties are tested for any rate and any seed."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesim.errors import UsageError
from edgesim.loadgen import schedule
from edgesim.loadgen.scenario import Scenario, StopRule

RATES = st.floats(0.01, 100_000)
SEEDS = st.integers(0, 2**63)


def arrivals(qps: float, seed: int, count: int) -> list[int]:
    return list(itertools.islice(schedule.poisson(qps, seed), count))


@given(RATES, SEEDS)
def test_arrivals_begin_at_zero_and_never_decrease(qps: float, seed: int) -> None:
    times = arrivals(qps, seed, 200)
    assert times[0] == 0
    assert times == sorted(times)


@given(RATES, SEEDS)
def test_the_same_seed_gives_the_same_arrivals(qps: float, seed: int) -> None:
    assert arrivals(qps, seed, 50) == arrivals(qps, seed, 50)
    assert arrivals(qps, seed, 50) != arrivals(qps, seed + 1, 50)


@given(RATES, SEEDS)
def test_the_rate_of_arrivals_is_qps(qps: float, seed: int) -> None:
    """The mean of n exponential gaps scatters by 1/sqrt(n) of itself; six times that is one seed in 500 million."""
    count = 2000
    mean_s = arrivals(qps, seed, count + 1)[-1] / 1e9 / count
    assert mean_s == pytest.approx(1 / qps, rel=6 / math.sqrt(count))


@given(RATES, SEEDS)
def test_gaps_are_exponential(qps: float, seed: int) -> None:
    """A share of 1/e of an exponential distribution exceeds the mean."""
    times = arrivals(qps, seed, 2001)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    share = sum(gap > 1e9 / qps for gap in gaps) / len(gaps)
    assert share == pytest.approx(1 / math.e, abs=6 * 0.5 / math.sqrt(len(gaps)))


@given(st.floats(1, 1000), SEEDS, st.floats(1.5, 10))
def test_a_higher_rate_is_the_same_schedule_faster(qps: float, seed: int, factor: float) -> None:
    slow, fast = arrivals(qps, seed, 100), arrivals(qps * factor, seed, 100)
    assert fast == pytest.approx([time / factor for time in slow], abs=2, rel=1e-9)


@given(st.integers(1, 20), st.integers(1, 10))
def test_the_requests_of_a_query_are_due_together_after_the_last_query(samples: int, queries: int) -> None:
    stream, now = schedule.MultiStream(samples), 0
    for _ in range(queries):
        assert stream.may_end()
        begun = now
        for i in range(samples):
            assert stream.next_due_ns(now) == begun
            stream.sent(begun)
            assert stream.may_end() is (samples == i + 1 == 0)
            now += 1
        assert stream.next_due_ns(now) is None
        for _ in range(samples):
            assert not stream.may_end()
            stream.answered()
        now += 10
    assert stream.next_due_ns(now) == now


@given(st.integers(1, 20))
def test_a_closed_loop_has_at_most_one_request_per_client(clients: int) -> None:
    loop = schedule.ClosedLoop(clients)
    for now in range(clients):
        assert loop.next_due_ns(now) == now
        loop.sent(now)
    assert loop.next_due_ns(99) is None
    loop.answered()
    assert loop.next_due_ns(99) == 99


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "single-stream"),
        ({"clients": 4}, "single-stream"),
        ({"qps": 10.0}, "server"),
        ({"samples_per_query": 4}, "multi-stream"),
        ({"name": "offline", "clients": 4}, "offline"),
    ],
)
def test_options_imply_the_scenario(options: dict[str, object], name: str) -> None:
    assert Scenario.of(options.pop("name", None), stop=StopRule(), **options).name == name  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"name": "server"}, "`scenario=server`: needs a rate"),
        ({"name": "offline", "qps": 10.0}, "`qps`: is for `scenario` server, not offline"),
        ({"qps": 10.0, "clients": 4}, "`clients`: is for `scenario` single-stream or offline, not server"),
        ({"name": "server", "qps": 1.0, "samples_per_query": 2}, "`samples_per_query`: is for `scenario` multi-stream"),
        ({"qps": 0.0}, "`qps=0`"),
        ({"qps": math.inf}, "`qps=inf`"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, object], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        Scenario.of(options.pop("name", None), stop=StopRule(), **options)  # type: ignore[arg-type]
