"""The promise of docs/reference/prediction.md: errors and bands of predictions for published, held-out figures."""

import numpy as np
import pytest

from benchmarks import fidelity
from edgesim.predictions import fit
from edgesim.predictions.fit import Figure, Fit
from edgesim.predictions.fitted import load_fitted


@pytest.fixture(scope="module")
def figures() -> list[Figure]:
    return fit.read(fidelity.PUBLISHED)


def test_the_shipped_coefficients_are_those_of_the_figures(figures: list[Figure]) -> None:
    shipped = load_fitted()
    again = Fit(figures).coefficients(shipped.spread)
    assert again.names == shipped.names
    assert np.allclose(again.values, shipped.values, atol=0.01)
    assert (again.seen, again.seen_socs) == (shipped.seen, shipped.seen_socs)


def test_an_unseen_board_is_predicted_within_a_fifth_and_better_than_by_baselines(figures: list[Figure]) -> None:
    judged = fidelity.judge(figures, fit.each_board(figures))
    edgesim, by_operations, by_two_terms = fidelity.errors_percent(judged)
    assert edgesim < 20
    assert edgesim < min(by_operations, by_two_terms)
    counted = [item for item in judged if not item.figure.weak]
    assert np.mean([item.in_band(load_fitted().spread) for item in counted]) > 0.75
