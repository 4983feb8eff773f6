"""What a board answered, in few figures: enough to compare the answers of two runs that never meet."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from edgesim.measure.output_difference import Outputs
from edgesim.measure.tolerance import Tolerance, tolerance_of

_MOST_VALUES = 64


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One output of a board.

    Attributes:
        sha256: digest of the whole output's bytes, hex.
        excerpt: up to 64 values, evenly spread over the output; None for a NaN or an infinity; empty for texts.
        relative, of_scale, absolute: the tolerance of the output, see `edgesim.measure.tolerance.Tolerance`.
        scale: the largest finite absolute value of the whole output.
        is_random: whether two runs of the reference on one host differ.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    sha256: str
    excerpt: tuple[float | None, ...]
    relative: float
    of_scale: float
    absolute: float
    scale: float
    is_random: bool = False


def of_outputs(
    outputs: Outputs, tolerances: Mapping[str, Tolerance], *, random: Collection[str] = ()
) -> tuple[Answer, ...]:
    """Return the answers of a board, output by output.

    Args:
        tolerances: by output; an output without one has that of its type.
        random: the outputs that are random.
    """
    return tuple(
        _of_output(name, np.asarray(values), tolerances.get(name), is_random=name in random)
        for name, values in outputs.items()
    )


def _of_output(name: str, values: "np.ndarray", tolerance: Tolerance | None, *, is_random: bool) -> Answer:
    allowed = tolerance if tolerance is not None else tolerance_of(values.dtype)
    is_text = values.dtype.kind in "OSU"
    # An object's bytes are the addresses of its texts.
    data = repr(values.ravel().tolist()).encode() if is_text else np.ascontiguousarray(values).tobytes()
    numbers = np.zeros(0) if is_text else values.ravel().astype(np.float64)
    finite = numbers[np.isfinite(numbers)]
    chosen = numbers[np.unique(np.linspace(0, len(numbers) - 1, _MOST_VALUES).astype(int))] if len(numbers) else numbers
    return Answer(
        name=name,
        datatype=str(values.dtype),
        shape=values.shape,
        sha256=hashlib.sha256(data).hexdigest(),
        excerpt=tuple(float(value) if np.isfinite(value) else None for value in chosen),
        relative=allowed.relative,
        of_scale=allowed.of_scale,
        absolute=allowed.absolute,
        scale=float(np.abs(finite).max(initial=0.0)),
        is_random=is_random,
    )
