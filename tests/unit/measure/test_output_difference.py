"""The difference of two sets of outputs, and what a tolerance allows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgesim.measure.output_difference import compare
from edgesim.measure.tolerance import Tolerance

FLOATS = arrays(np.float32, (2, 5), elements=st.floats(-100, 100, width=32))


@given(FLOATS)
def test_equal_outputs_do_not_differ(values: np.ndarray) -> None:
    (difference,) = compare([{"y": values}], [{"y": values}])
    assert (difference.max_absolute, difference.max_relative, difference.within) == (0, 0, True)
    assert difference.notes() == []


def test_largest_difference_is_named_with_its_index_and_both_values() -> None:
    right = np.ones((1, 2, 3), np.float32)
    wrong = right.copy()
    wrong[0, 1, 2] = 1.5
    (difference,) = compare([{"y": right}, {"y": wrong}], [{"y": right}, {"y": right}])
    assert difference.worst == (1, 0, 1, 2)
    assert (difference.actual, difference.expected, difference.max_absolute) == (1.5, 1.0, 0.5)
    assert not difference.within


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
def test_default_tolerance_depends_on_the_type(dtype: type, off: float, within: bool) -> None:
    expected: np.ndarray = np.ones((1, 3), dtype)
    (difference,) = compare([{"y": (expected + dtype(off)).astype(dtype)}], [{"y": expected}])
    assert difference.within is within


def test_explicit_tolerance_applies_to_all_types() -> None:
    actual, expected = np.array([[11]], np.int64), np.array([[10]], np.int64)
    assert compare([{"y": actual}], [{"y": expected}], Tolerance(0.1, 0))[0].within
    assert not compare([{"y": actual}], [{"y": expected}], Tolerance(0.09, 0))[0].within


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_value_that_is_no_number_on_one_side_is_never_within_tolerance(value: float) -> None:
    bad, good = np.array([[value, 1.0]], np.float32), np.array([[2.0, 1.0]], np.float32)
    for actual, expected in ((bad, good), (good, bad)):
        (difference,) = compare([{"y": actual}], [{"y": expected}], Tolerance(1e9, 1e9))
        assert not difference.within
        assert difference.worst == (0, 0, 0)


@pytest.mark.parametrize(("value", "words"), [(np.nan, "NaN"), (np.inf, "infinite"), (-np.inf, "infinite")])
def test_same_value_that_is_no_number_on_both_sides_is_equal_and_said(value: float, words: str) -> None:
    both = np.array([[value, 1.0]], np.float32)
    (difference,) = compare([{"y": both}], [{"y": both}])
    assert (difference.max_absolute, difference.within, difference.shows_nothing) == (0, True, False)
    assert difference.notes() == [f"{words} on both sides in 1 of 2 values"]


def test_infinities_of_other_signs_differ() -> None:
    plus, minus = np.array([[np.inf]], np.float32), np.array([[-np.inf]], np.float32)
    assert not compare([{"y": plus}], [{"y": minus}])[0].within


def test_outputs_that_are_nan_throughout_on_both_sides_show_nothing() -> None:
    both = np.full((1, 3), np.nan, np.float32)
    (difference,) = compare([{"y": both}], [{"y": both}])
    assert difference.shows_nothing


def test_texts_are_equal_or_wrong() -> None:
    right, wrong = np.array([["a", "b"]], object), np.array([["a", "c"]], object)
    assert compare([{"y": right}], [{"y": right}])[0].within
    difference = compare([{"y": wrong}], [{"y": right}])[0]
    assert not difference.within
    assert difference.problem == "has another text at [0, 1]: 'c' for 'b'"
    assert difference.worst == (0, 0, 1)


def test_empty_outputs_agree_and_are_said_to_hold_nothing() -> None:
    none = np.zeros((0, 6), np.float32)
    (difference,) = compare([{"boxes": none}], [{"boxes": none}])
    assert (difference.within, difference.top_1, difference.notes()) == (True, None, ["nothing on both sides"])


def test_classes_are_compared_by_their_index() -> None:
    actual, expected = np.array([[1, 2], [4, 3]], np.float32), np.array([[1, 2], [3, 4]], np.float32)
    assert compare([{"scores": actual}], [{"scores": expected}], samples=[2])[0].top_1 == 0.5


SHAPES = st.tuples(st.integers(0, 3), st.integers(0, 3))


@given(SHAPES, SHAPES)
def test_outputs_of_another_shape_differ_and_are_never_spread_over_each_other(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    (difference,) = compare([{"y": np.ones(one, np.float32)}], [{"y": np.ones(other, np.float32)}])
    assert difference.within is (one == other)
    if one != other:
        assert difference.problem == f"has another shape: {list(one)} for {list(other)}"


def test_output_that_is_missing_differs() -> None:
    (difference,) = compare([{}], [{"y": np.zeros((1, 2), np.float32)}])
    assert (difference.within, difference.problem) == (False, "is missing")


def test_each_output_has_a_tolerance_of_its_own() -> None:
    right = {"coarse": np.array([100.0], np.float32), "fine": np.array([100.0], np.float32)}
    wrong = {name: values + 1 for name, values in right.items()}
    coarse, fine = compare([wrong], [right], {"coarse": Tolerance(0.1, 0)})
    assert (coarse.within, fine.within) == (True, False)
