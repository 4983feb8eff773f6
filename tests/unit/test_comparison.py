"""Two sets of outputs side by side."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgesim.measure.output_difference import Tolerance, compare

FLOATS = arrays(np.float32, (2, 5), elements=st.floats(-100, 100, width=32))


@given(FLOATS)
def test_the_same_outputs_do_not_differ(values: np.ndarray) -> None:
    (found,) = compare([{"y": values}], [{"y": values}])
    assert (found.max_absolute, found.max_relative, found.within) == (0, 0, True)
    assert found.top_1 == 1


def test_the_worst_place_is_named_with_both_values() -> None:
    right = np.ones((1, 2, 3), np.float32)
    wrong = right.copy()
    wrong[0, 1, 2] = 1.5
    (found,) = compare([{"y": right}, {"y": wrong}], [{"y": right}, {"y": right}])
    assert found.worst == (1, 0, 1, 2)
    assert (found.actual, found.expected, found.max_absolute) == (1.5, 1.0, 0.5)
    assert not found.within


@pytest.mark.parametrize(
    ("dtype", "off", "within"),
    [
        (np.float32, 1e-5, True),
        (np.float32, 1e-2, False),
        (np.float16, 1e-2, True),
        (np.float64, 1e-5, False),
        (np.int64, 1, False),
        (np.int8, 0, True),
    ],
)
def test_what_is_allowed_depends_on_the_type(dtype: type, off: float, within: bool) -> None:
    theirs: np.ndarray = np.ones((1, 3), dtype)
    (found,) = compare([{"y": (theirs + dtype(off)).astype(dtype)}], [{"y": theirs}])
    assert found.within is within


def test_a_tolerance_given_is_for_all() -> None:
    ours, theirs = np.array([[11]], np.int64), np.array([[10]], np.int64)
    assert compare([{"y": ours}], [{"y": theirs}], Tolerance(0.1, 0))[0].within
    assert not compare([{"y": ours}], [{"y": theirs}], Tolerance(0.09, 0))[0].within


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_on_one_side_is_never_within(value: float) -> None:
    bad, good = np.array([[value, 1.0]], np.float32), np.array([[2.0, 1.0]], np.float32)
    for ours, theirs in ((bad, good), (good, bad)):
        (found,) = compare([{"y": ours}], [{"y": theirs}], Tolerance(1e9, 1e9))
        assert not found.within
        assert found.worst == (0, 0, 0)


def test_not_a_number_on_both_sides_is_no_agreement_either() -> None:
    both = np.array([[np.nan, 1.0]], np.float32)
    assert not compare([{"y": both}], [{"y": both}])[0].within


def test_texts_are_the_same_or_wrong() -> None:
    right, wrong = np.array([["a", "b"]], object), np.array([["a", "c"]], object)
    assert compare([{"y": right}], [{"y": right}])[0].within
    found = compare([{"y": wrong}], [{"y": right}])[0]
    assert not found.within
    assert found.worst == (0, 0, 1)


def test_classes_are_compared_by_their_place() -> None:
    ours, theirs = np.array([[1, 2], [4, 3]], np.float32), np.array([[1, 2], [3, 4]], np.float32)
    assert compare([{"y": ours}], [{"y": theirs}])[0].top_1 == 0.5


@pytest.mark.parametrize("ours", [{}, {"y": np.zeros((1, 3), np.float32)}])
def test_an_output_that_is_missing_or_of_another_shape_is_said(ours: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="output y"):
        compare([ours], [{"y": np.zeros((1, 2), np.float32)}])
