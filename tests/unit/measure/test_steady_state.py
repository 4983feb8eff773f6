"""The end of the warm-up, and drift, on generated times with known levels."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from edgesim.measure import steady_state


def noise(count: int, seed: int, scatter: float = 0.1) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(0, scatter, count)


@pytest.mark.parametrize(("count", "slow"), [(25, 8), (50, 8), (100, 30), (200, 90)])
def test_the_warm_up_ends_where_the_level_falls(count: int, slow: int) -> None:
    """At least nineteen times of twenty: a test of noise is never certain."""
    ends = []
    for seed in range(20):
        times = noise(count, seed)
        times[:slow] *= 2
        ends.append(steady_state.warm_up_end(list(times)))
    assert sum(end is not None and abs(end - slow) <= 1 for end in ends) >= 19


@pytest.mark.parametrize("seed", range(20))
def test_constant_level_has_no_warm_up(seed: int) -> None:
    assert steady_state.warm_up_end(list(noise(100, seed))) == 0


@pytest.mark.parametrize("seed", range(5))
def test_few_slow_requests_are_no_change_of_level(seed: int) -> None:
    times = noise(100, seed)
    times[[40, 70, 95]] *= 20
    assert steady_state.warm_up_end(list(times)) == 0


def test_warm_up_has_no_end_while_the_level_changes_late() -> None:
    times = noise(100, 0)
    times[:80] *= 2
    assert steady_state.warm_up_end(list(times)) is None
    assert steady_state.warm_up_end(list(np.linspace(5, 1, 100) * noise(100, 1))) is None


def test_small_change_does_not_count_however_certain() -> None:
    times = np.concatenate([noise(500, 0, 0.01) * 1.03, noise(500, 1, 0.01)])
    assert steady_state.warm_up_end(list(times)) == 0
    drift = steady_state.drift(list(times))
    assert drift is not None
    assert drift.p_value < 1e-6
    assert not drift.notable


def test_slower_second_half_is_drift() -> None:
    drift = steady_state.drift([*noise(100, 0), *(1.2 * noise(100, 1))])
    assert drift is not None
    assert drift.notable
    assert drift.percent == pytest.approx(20, abs=5)


@pytest.mark.parametrize("seed", range(10))
def test_large_difference_by_chance_is_no_drift(seed: int) -> None:
    drift = steady_state.drift(list(noise(40, seed, 1.0)))
    assert drift is not None
    assert not drift.notable


def test_too_few_times_have_no_drift() -> None:
    assert steady_state.drift([1.0] * 39) is None


@pytest.mark.parametrize("digits", [1, 9], ids=["with ties", "without"])
@pytest.mark.parametrize("factor", [1.0, 1.1])
def test_probability_of_a_difference_is_that_of_scipy(digits: int, factor: float) -> None:
    first, second = noise(60, 0).round(digits), (factor * noise(60, 1)).round(digits)
    drift = steady_state.drift([*first, *second])
    assert drift is not None
    assert drift.p_value == pytest.approx(mannwhitneyu(first, second).pvalue, rel=1e-9)


def test_times_that_are_all_the_same_do_not_drift() -> None:
    drift = steady_state.drift([1.0] * 50)
    assert drift is not None
    assert drift.p_value == 1
