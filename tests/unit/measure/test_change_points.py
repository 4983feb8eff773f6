"""Change-points of generated signals, beside every division that there is."""

import itertools

import numpy as np
import pytest
import ruptures
from numpy.typing import NDArray

from edgesim.measure.change_points import change_points


def cost(signal: NDArray[np.float64], points: tuple[int, ...], penalty: float) -> float:
    bounds = [0, *points, len(signal)]
    return sum(float(signal[a:b].var()) * (b - a) + penalty for a, b in itertools.pairwise(bounds))


@pytest.mark.parametrize("seed", range(10))
def test_division_is_the_cheapest_of_all(seed: int) -> None:
    generator, smallest, penalty = np.random.default_rng(seed), 3, 2.0
    signal = generator.normal(size=12) + np.repeat(generator.normal(0, 3, size=3), 4) + 1e6
    divisions = (
        points
        for number in range(4)
        for points in itertools.combinations(range(1, 12), number)
        if all(b - a >= smallest for a, b in itertools.pairwise([0, *points, 12]))
    )
    cheapest = min(divisions, key=lambda points: cost(signal, points, penalty))
    assert change_points(signal, smallest=smallest, penalty=penalty) == list(cheapest)


def test_constant_signal_and_one_shorter_than_a_segment_have_none() -> None:
    assert change_points(np.ones(50), smallest=5, penalty=1) == []
    assert change_points(np.array([1.0, 9.0, 1.0]), smallest=5, penalty=1) == []


# As a warm-up and a history search.
@pytest.mark.parametrize(("smallest", "penalty"), [(5, 30.0), (2, 15.9)])
@pytest.mark.parametrize("seed", range(10))
def test_ruptures_finds_the_same_places(seed: int, smallest: int, penalty: float) -> None:
    generator = np.random.default_rng(seed)
    signal = generator.normal(size=200) + np.repeat(generator.normal(0, 5, size=4), 50)
    library = ruptures.KernelCPD(kernel="linear", min_size=smallest).fit_predict(signal, pen=penalty)
    assert [*change_points(signal, smallest=smallest, penalty=penalty), 200] == library
