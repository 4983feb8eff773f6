"""The promise of docs/reference/prediction.md for GPU targets: errors and bands for held-out published figures."""

import numpy as np
import pytest

from benchmarks.accelerators import PUBLISHED, in_turn
from edgesim.predictions.tensorrt import fit
from edgesim.predictions.tensorrt.figures import Figure, read
from edgesim.predictions.tensorrt.fitted import load_fitted
from edgesim.predictions.tensorrt.held_out import Group, by_board, by_family
from edgesim.predictions.tensorrt.kernels import KernelTable
from edgesim.predictions.tensorrt.least_squares import Fit

Read = tuple[list[Figure], dict[str, KernelTable]]


@pytest.fixture(scope="module")
def figures() -> Read:
    return read(PUBLISHED)


def test_the_shipped_coefficients_are_those_of_the_figures(figures: Read) -> None:
    shipped, again = load_fitted(), fit.fit(*figures)
    assert again.names == shipped.names
    assert np.allclose(again.values, shipped.values, atol=0.02)
    assert again.boards == shipped.boards
    assert again.scale == pytest.approx(shipped.scale, abs=0.11)


@pytest.mark.parametrize(("group", "most_percent"), [(by_board, 14), (by_family, 15)])
def test_unseen_boards_and_families_are_predicted_within_what_is_promised(
    figures: Read, group: Group, most_percent: float
) -> None:
    held_out = in_turn(*figures, group, Fit(*figures))
    assert 100 * np.mean([abs(item.error) for item in held_out]) < most_percent
    assert 0.75 < np.mean([item.in_band() for item in held_out]) < 0.91
