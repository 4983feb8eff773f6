"""Steps in series of figures: which are found, where, and which are not."""

import numpy as np
import pytest

from edgesim.histories import steps

RESULTS, NOISE, CHANGE = 200, 0.01, 0.03


def series(seed: int, change: float) -> tuple[list[float], int]:
    """Return 200 figures under 1 % noise, and the place at which their level changes."""
    generator = np.random.default_rng(seed)
    at = int(generator.integers(20, RESULTS - 20))
    figures = 50 * np.exp(generator.normal(0, NOISE, RESULTS))
    figures[at:] *= 1 + change
    return figures.tolist(), at


def test_a_planted_step_is_found_once_and_within_its_range_in_nineteen_of_twenty() -> None:
    found = [(steps.find(figures), at) for figures, at in (series(seed, CHANGE) for seed in range(20))]
    assert all(len(spans) == 1 for spans, _ in found)
    within = [spans[0].first <= at <= spans[0].last for spans, at in found]
    assert sum(within) >= 19
    # The bound is 85 %, see `most_exact` in benchmarks/history.py.
    assert sum(spans[0].at == at for spans, at in found) >= 15
    assert np.mean([spans[0].last - spans[0].first + 1 for spans, _ in found]) < 3
    assert all(spans[0].change == pytest.approx(CHANGE, abs=0.01) for spans, _ in found)


def test_flat_series_have_no_step() -> None:
    assert [steps.find(series(seed, 0.0)[0]) for seed in range(100, 120)] == [[]] * 20


def test_a_downward_step_of_few_results_is_sure_after_the_third() -> None:
    figures, _ = series(0, 0.0)
    lengths = [len(steps.find([*figures[:97], *(40.0 + i / 10 for i in range(new))])) for new in (1, 2, 3, 4)]
    assert lengths == [0, 0, 1, 1]


def test_an_outlier_is_no_step() -> None:
    figures, _ = series(1, 0.0)
    figures[100] *= 3
    assert steps.find(figures) == []


def test_figures_that_hardly_scatter_have_no_step_below_the_smallest_change() -> None:
    figures = [100.0, 100.0, 100.0, 100.1] * 10 + [100.5] * 20
    assert steps.find(figures) == []
    assert [span.at for span in steps.find([*figures, *([104.0] * 10)])] == [60]


def test_each_change_of_exact_figures_is_a_step_and_none_creeps() -> None:
    spans = steps.find([10, 10, 12, 12, 12], exact=True)
    assert [(span.at, round(span.change, 6), span.confidence) for span in spans] == [(2, 0.2, 1.0)]
    creeping = [1000 + 6 * i for i in range(4)]
    assert [span.at for span in steps.find(creeping, exact=True)] == [2]
    assert steps.find([1.0, 1.0 + 1e-9], exact=True, min_change=0.0) == []


def test_figures_of_zero_are_compared_as_they_are() -> None:
    assert steps.find([0.0] * 30) == []
    (span,) = steps.find([0.0, 0.0, 3.0], exact=True)
    assert (span.at, span.change) == (2, float("inf"))


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_few_figures_have_no_step(count: int) -> None:
    assert steps.find([1.0, 9.0, 1.0, 9.0][:count]) == []
