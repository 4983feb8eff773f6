"""How far two computations of the same output may be apart by rounding alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Tolerance:
    """|actual - expected| may be `relative` x |expected| + `of_scale` x the output's scale + `absolute`.

    The scale of an output is its largest finite |expected|: a value near 0 is a difference of larger ones, and has
    their rounding.

    Attributes:
        origin: what the tolerance is made from, in words; empty for the tolerance of a type.
    """

    relative: float
    absolute: float
    of_scale: float = 0.0
    origin: str = ""

    def bound(self, expected: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the largest difference that is allowed for each value."""
        magnitudes = np.where(np.isfinite(expected), np.abs(expected), 0.0)
        scale = float(magnitudes.max(initial=0.0))
        bound: NDArray[np.float64] = self.relative * magnitudes + self.of_scale * scale + self.absolute
        return bound


# Sums in another order differ in the last digits: by about 1e-6 of the largest term for each sum in single precision,
# which grows over a few hundred layers. Half precision has three digits to begin with, bfloat16 two. `absolute` is the
# rounding of terms near 1 that cancel to 0, for outputs that are 0 throughout. Integers are equal or wrong.
TOLERANCES: Mapping[str, Tolerance] = {
    "float64": Tolerance(1e-6, 1e-12, 1e-8),
    "float32": Tolerance(1e-3, 1e-6, 1e-4),
    "float16": Tolerance(2e-2, 1e-3, 1e-2),
    "bfloat16": Tolerance(5e-2, 8e-3, 4e-2),
}
EXACT = Tolerance(0.0, 0.0)

# Rounding in each quantized layer moves an output by a few steps of its quantization: between x86 and arm64 kernels of
# ONNX Runtime, mobilenet_v2 and resnet18 in int8 move by 1 to 4.
_STEPS = 4
# Steps of a quantization whose scale is chosen at run time, from -127 to 127.
_LARGEST = 127


def tolerance_of(dtype: np.dtype[Any]) -> Tolerance:
    """Return the tolerance of an output by its type."""
    return TOLERANCES.get(str(dtype), EXACT)


def half_precision(name: str) -> Tolerance:
    """Return the tolerance of an output that is computed in ``float16`` or ``bfloat16``, whatever its own type."""
    half = TOLERANCES[name]
    return Tolerance(half.relative, half.absolute, half.of_scale, origin=f"computed in {name}")


def quantized(step: float | None) -> Tolerance:
    """Return the tolerance of an output that is computed in 8-bit integers.

    Args:
        step: how far one step of the last quantization moves the output; None if it is not known, which then is a step
            of the output's own scale.
    """
    single = TOLERANCES["float32"]
    if step is None:
        origin = f"{_STEPS} steps of a quantization over the output's scale"
        return Tolerance(single.relative, single.absolute, _STEPS / _LARGEST, origin)
    origin = f"{_STEPS} steps of {step:.3g}, the output's quantization"
    return Tolerance(single.relative, _STEPS * step + single.absolute, single.of_scale, origin)
