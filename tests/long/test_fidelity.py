"""The promise of docs/fidelity.md, on the figures that come along: errors and bands on what was held out."""

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks import fidelity
from edgesim.predictions.fitted import load_fitted


@pytest.fixture(scope="module")
def figures() -> list[fidelity.Figure]:
    return fidelity.read()


def test_the_coefficients_that_come_along_are_those_of_the_figures(figures: list[fidelity.Figure]) -> None:
    kept = load_fitted()
    found = fidelity.Fit(figures).runtime(kept.spread)
    assert found.names == kept.names
    assert np.allclose(found.values, kept.values, atol=0.01)
    assert (found.seen, found.seen_socs) == (kept.seen, kept.seen_socs)


def test_a_board_that_was_not_seen_is_predicted_within_a_fifth_and_better_than_by_operations(
    figures: list[fidelity.Figure],
) -> None:
    def of(board: str) -> Callable[[fidelity.Figure], bool]:
        return lambda figure: figure.runtime == fidelity.RUNTIME and figure.board == board

    boards = sorted({figure.board for figure in figures if figure.runtime == fidelity.RUNTIME})
    judged = fidelity.held_out(figures, [of(board) for board in boards])
    ours, by_operations, by_two_terms = fidelity.errors_percent(judged)
    assert ours < 20
    assert ours < min(by_operations, by_two_terms)
    counted = [item for item in judged if not item.figure.weak]
    assert np.mean([item.holds(load_fitted().spread) for item in counted]) > 0.75
