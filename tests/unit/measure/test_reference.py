"""The board's outputs compared with the reference on this host."""

import numpy as np
import pytest

from edgesim.measure import reference


def test_accuracy_is_the_share_of_correct_classes_on_each_side() -> None:
    host = {"scores": np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])}
    device = {"scores": np.array([[0.8, 0.2], [0.2, 0.8], [0.3, 0.7]])}
    comparison = reference.compare(device, host, np.array([0, 1, 0]))
    assert comparison.accuracy_host == 1.0
    assert comparison.accuracy_device == pytest.approx(2 / 3)
    assert comparison.same_class == pytest.approx(2 / 3)
    assert comparison.max_abs_difference == pytest.approx(0.3)
    assert comparison.compared == 3


def test_outputs_that_are_not_numbers_never_count_as_equal() -> None:
    comparison = reference.compare({"y": np.array([[np.nan, 1.0]])}, {"y": np.array([[0.5, 1.0]])})
    assert comparison.max_abs_difference is None
