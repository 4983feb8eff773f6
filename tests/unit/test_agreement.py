"""The device's answers beside this host's."""

import numpy as np
import pytest

from edgesim.measure import reference


def test_accuracy_is_the_share_of_labels_met_on_each_side() -> None:
    host = {"scores": np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])}
    device = {"scores": np.array([[0.8, 0.2], [0.2, 0.8], [0.3, 0.7]])}
    found = reference.compare(device, host, np.array([0, 1, 0]))
    assert found.accuracy_host == 1.0
    assert found.accuracy_device == pytest.approx(2 / 3)
    assert found.same_class == pytest.approx(2 / 3)
    assert found.max_abs_difference == pytest.approx(0.3)
    assert found.compared == 3


def test_answers_that_are_not_numbers_are_never_taken_for_equal_ones() -> None:
    found = reference.compare({"y": np.array([[np.nan, 1.0]])}, {"y": np.array([[0.5, 1.0]])})
    assert found.max_abs_difference is None
