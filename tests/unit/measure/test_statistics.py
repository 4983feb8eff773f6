"""Percentiles, their intervals, histograms and variance: figures that are computed by hand, or simulated."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from edgesim.measure import statistics, variance


@pytest.mark.parametrize(("percentile", "samples"), [(90, 64), (99, 662), (99.9, 6636)])
def test_percentile_needs_as_many_samples_as_loadgens_rule_says(percentile: float, samples: int) -> None:
    assert statistics.smallest_sample(percentile) == samples


def test_figure_of_a_sample_too_small_is_none_with_the_number_it_needs() -> None:
    few = statistics.summarise([3.0, 1.0])
    assert (few.min, few.mean, few.max, few.p50, few.p90) == (1.0, 2.0, 3.0, None, None)
    assert few.needs_samples == {"p50": 3, "p90": 64, "p95": 130, "p99": 662, "p99_9": 6636}
    enough = statistics.summarise([float(n) for n in range(1, 66)])
    assert (enough.p50, enough.p90, enough.p95, enough.p99) == (33.0, 59.0, None, None)
    assert set(enough.needs_samples) == {"p95", "p99", "p99_9"}


def test_empty_sample_gives_no_figure() -> None:
    none = statistics.summarise([])
    assert none.samples == 0
    assert {none.min, none.mean, none.p50, none.p99, none.max, none.histogram} == {None}


@given(st.lists(st.floats(0, 1e6), min_size=64, max_size=200))
def test_percentiles_are_values_of_the_sample_in_ascending_order(times: list[float]) -> None:
    summary = statistics.summarise(times)
    assert summary.p50 is not None
    assert summary.p90 is not None
    assert min(times) <= summary.p50 <= summary.p90 <= max(times)
    assert {summary.p50, summary.p90} <= set(times)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200), st.sampled_from([50, 90, 95, 99]))
def test_percentile_is_the_smallest_value_that_its_share_does_not_exceed(times: list[float], percent: float) -> None:
    value = statistics.percentile(np.sort(times), percent)
    assert sum(time <= value for time in times) >= len(times) * percent / 100
    assert sum(time < value for time in times) < len(times) * percent / 100


@pytest.mark.parametrize("percent", [50, 90, 99])
def test_interval_covers_the_true_percentile_nineteen_times_of_twenty(percent: float) -> None:
    """Of 2,000 samples of a known distribution, 95 % of the intervals or a little more contain the true percentile."""
    generator = np.random.default_rng(1)
    truth = float(-np.log(1 - percent / 100))
    covered = 0
    for _ in range(2000):
        bounds = statistics.interval(np.sort(generator.exponential(size=700)), percent)
        assert bounds is not None
        covered += bounds[0] <= truth <= bounds[1]
    assert 0.94 <= covered / 2000 <= 0.99


@pytest.mark.parametrize("percent", [50, 90, 99, 99.9])
@pytest.mark.parametrize("count", [20, 700, 40_000])
def test_interval_lies_at_the_quantiles_of_the_binomial_distribution(percent: float, count: int) -> None:
    low, high = (int(binom.ppf(tail, count, percent / 100)) for tail in (0.025, 0.975))
    expected = (low, high + 1) if low >= 1 and high < count else None
    assert statistics.interval(np.arange(1.0, count + 1), percent) == expected


def test_sample_too_small_for_an_interval_has_none() -> None:
    assert statistics.interval(np.array([1.0, 2.0, 3.0]), 50) is None
    assert "p50" not in statistics.summarise([1.0, 2.0, 3.0]).intervals
    assert statistics.summarise([1.0, 2.0, 3.0]).p50 == 2.0


def test_failures_are_infinitely_slow_and_figures_that_become_infinite_are_named() -> None:
    times = [float(n) for n in range(1, 100)] + [math.inf]
    summary = statistics.summarise(times)
    assert (summary.p50, summary.p90) == (50.0, 90.0)
    assert summary.infinite == ("mean", "max")
    assert summary.mean is None
    assert summary.max is None
    mostly = statistics.summarise(times[:20] + [math.inf] * 80)
    assert set(mostly.infinite) == {"mean", "p50", "p90", "max"}
    assert mostly.min == 1.0


def test_interval_among_failures_has_no_upper_end() -> None:
    times = [float(n) for n in range(1, 98)] + [math.inf] * 3
    assert statistics.summarise(times).intervals["p90"][1] is not None
    more = [float(n) for n in range(1, 94)] + [math.inf] * 7
    assert statistics.summarise(more).intervals["p90"][1] is None


TIMES = st.lists(st.floats(0.01, 1e5), min_size=1, max_size=300)


@given(TIMES, TIMES)
def test_two_histograms_added_are_the_histogram_of_both(left: list[float], right: list[float]) -> None:
    parts = [statistics.histogram(np.array(times)) for times in (left, right)]
    total = statistics.merged(parts)
    assert total.get_total_count() == len(left) + len(right)
    truth = statistics.percentile(np.sort(left + right), 50) * 1000
    assert total.get_value_at_percentile(50) == pytest.approx(truth, rel=2e-3, abs=1)


def test_percentile_is_precise_if_its_interval_is_narrow_and_the_sample_is_large() -> None:
    generator = np.random.default_rng(2)
    narrow = generator.normal(100, 1, 2000)
    wide = generator.lognormal(3, 1.5, 2000)
    assert statistics.is_precise(narrow, 99, 5)
    assert not statistics.is_precise(wide, 99, 5)
    assert not statistics.is_precise(narrow[:600], 99, 5)
    assert not statistics.is_precise([*narrow[:900], *[math.inf] * 100], 99, 5)


# --- variance ---------------------------------------------------------------------------------------------------------


def test_variance_within_and_between_containers_is_separated() -> None:
    generator = np.random.default_rng(3)
    groups = [generator.normal(100 + offset, 2, 500) for offset in generator.normal(0, 5, 40)]
    variance_of_groups = variance.analyse([list(group) for group in groups])
    assert variance_of_groups is not None
    assert variance_of_groups.within == pytest.approx(2, rel=0.05)
    assert variance_of_groups.between == pytest.approx(5, rel=0.3)


def test_equal_containers_have_no_variance_between_them_though_their_means_differ() -> None:
    generator = np.random.default_rng(4)
    variance_of_groups = variance.analyse([list(generator.normal(100, 10, 50)) for _ in range(40)])
    assert variance_of_groups is not None
    assert variance_of_groups.between < 1
    assert variance_of_groups.within == pytest.approx(10, rel=0.05)


def test_single_values_have_no_variance_within_and_one_container_has_none() -> None:
    variance_of_groups = variance.analyse([[1.0], [3.0]])
    assert variance_of_groups is not None
    assert (variance_of_groups.mean, variance_of_groups.within) == (2.0, None)
    assert variance_of_groups.between == pytest.approx(math.sqrt(2))
    assert variance.analyse([[1.0, 2.0]]) is None
    assert variance.analyse([[1.0], []]) is None
