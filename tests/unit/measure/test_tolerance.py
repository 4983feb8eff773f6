"""What rounding is allowed."""

import numpy as np
import pytest

from edgesim.measure.output_difference import compare
from edgesim.measure.tolerance import Tolerance, half_precision, quantized


def within(expected: list[float], off: float, tolerance: Tolerance | None = None) -> bool:
    right = np.array([expected], np.float32)
    return compare([{"y": right + np.float32(off)}], [{"y": right}], tolerance)[0].within


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_value_near_0_may_be_off_by_the_rounding_of_its_outputs_scale(scale: float) -> None:
    assert within([scale, 1e-6 * scale], 5e-5 * scale)
    assert not within([scale, 1e-6 * scale], 5e-3 * scale)


def test_output_that_is_0_throughout_may_be_off_by_the_last_digits_alone() -> None:
    assert within([0.0, 0.0], 1e-7)
    assert not within([0.0, 0.0], 1e-4)


def test_quantized_output_may_be_off_by_a_few_steps_of_its_last_quantization() -> None:
    assert within([10.0, 0.0], 3.9 * 0.084, quantized(0.084))
    assert not within([10.0, 0.0], 5 * 0.084, quantized(0.084))


def test_quantized_output_without_a_known_step_may_be_off_by_steps_of_its_scale() -> None:
    assert within([12.7, 0.0], 0.35, quantized(None))
    assert not within([12.7, 0.0], 1.3, quantized(None)), "a tenth of the scale is no rounding"


def test_output_computed_in_half_precision_has_its_tolerance_whatever_its_own_type() -> None:
    assert not within([90.0, 1.0], 0.46)
    assert within([90.0, 1.0], 0.46, half_precision("float16"))
    assert not within([90.0, 1.0], 9.0, half_precision("float16"))
