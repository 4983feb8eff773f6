"""A sequence on a board compared with this host's, step by step."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from edgesim.inputs import Arrays
from edgesim.inputs.sequences import StateSequence
from edgesim.measure import sequence_comparison as comparison
from edgesim.measure.reference import compare_sequence
from edgesim.measure.sequence_comparison import SequenceComparison

Outputs = Mapping[str, NDArray[np.generic]]


def sequence(steps: int = 8) -> StateSequence:
    return StateSequence(({"x": np.ones((1, 1)), "sum": np.zeros((1, 1))},), {"total": "sum"}, steps)


def adder(error: float = 0.0, *, factor: float = 1.0) -> Callable[[Arrays], Outputs]:
    """Return a model that adds `x` to its state, with an error in each step."""
    return lambda arrays: {
        "total": np.asarray(arrays["sum"], np.float64) * factor + np.asarray(arrays["x"], np.float64) + error
    }


def compared(board_error: float, *, factor: float = 1.0, steps: int = 8) -> SequenceComparison:
    host = comparison.run_on_host(sequence(steps), adder(), range(steps))
    board = comparison.ask_board(sequence(steps), host, adder(board_error, factor=factor))
    result = compare_sequence(sequence(steps), board, host, again=adder())
    assert result.sequence is not None
    return result.sequence


def test_error_of_each_step_adds_up_in_the_boards_own_state() -> None:
    found = compared(0.01)
    assert found.differences == pytest.approx([0.01 * step for step in range(1, 9)])
    assert (found.steps[0], found.worst_step, found.grows) == (1, 8, True)


def test_error_that_fades_does_not_grow() -> None:
    found = compared(0.01, factor=1.0, steps=3)
    assert found.grows is None, "three steps are too few to tell"
    assert (
        SequenceComparison(output="y", steps=(1, 2, 3, 4, 5, 6), differences=(3.0, 1.0, 2.0, 3.0, 2.0, 1.0)).grows
        is False
    )


def test_one_large_difference_in_the_middle_is_no_growth() -> None:
    differences = (1e-8, 1e-8, 1e-8, 1e-8, 1.0, 1e-8, 1e-8, 1e-9)
    found = SequenceComparison(output="y", steps=tuple(range(1, 9)), differences=differences)
    assert (found.grows, found.worst_step) == (False, 5)


def test_difference_without_a_number_is_the_worst() -> None:
    found = SequenceComparison(output="y", steps=(1, 2, 3, 4, 5, 6), differences=(1.0, 2.0, 3.0, 4.0, 5.0, None))
    assert (found.worst_step, found.grows) == (6, True)


def test_equal_answers_do_not_grow() -> None:
    found = compared(0.0)
    assert (found.differences, found.grows) == ((0.0,) * 8, False)


def test_state_after_a_gap_in_the_steps_is_this_hosts() -> None:
    host = comparison.run_on_host(sequence(), adder(), [0, 1, 7])
    board = comparison.ask_board(sequence(), host, adder(0.01))
    differences = [
        float(np.abs(answer["total"] - step.outputs["total"])[0, 0]) for answer, step in zip(board, host, strict=True)
    ]
    assert differences == pytest.approx([0.01, 0.02, 0.01])


def test_only_a_sequence_that_grows_has_its_last_step_compared_too() -> None:
    assert comparison.compared_steps(sequence(8), 3) == [0, 1, 2]
    growing = StateSequence(sequence().requests, sequence().fed, 8, is_whole=True)
    assert comparison.compared_steps(growing, 3) == [0, 1, 2, 7]
    assert comparison.compared_steps(growing, 8) == [*range(8)]
