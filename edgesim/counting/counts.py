"""Counts of instructions and of the bytes that they move."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

_QUANTILE = 1.96  # of the normal distribution, for 95 %


@dataclass(frozen=True)
class Counts:
    """What a program, or one of its threads, has executed. The order of the fields is the plugin's.

    Attributes:
        vector: SIMD and floating-point arithmetic.
        vector_memory, scalar_memory: loads and stores of vector and of general registers.
        branches: branches, calls and returns.
        scalar: all other instructions.
        loaded_bytes, stored_bytes: bytes that loads and stores name, whether or not a cache has them.
    """

    vector: int = 0
    vector_memory: int = 0
    scalar_memory: int = 0
    branches: int = 0
    scalar: int = 0
    loaded_bytes: int = 0
    stored_bytes: int = 0

    @property
    def instructions(self) -> int:
        """All instructions together."""
        return self.vector + self.vector_memory + self.scalar_memory + self.branches + self.scalar

    @property
    def by_class(self) -> Mapping[str, int]:
        """The instructions of each class, without the bytes."""
        return {name: value for name, value in asdict(self).items() if not name.endswith("_bytes")}

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(a + b for a, b in zip(_figures(self), _figures(other), strict=True)))

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(*(a - b for a, b in zip(_figures(self), _figures(other), strict=True)))


def _figures(counts: Counts) -> tuple[int, ...]:
    return tuple(asdict(counts).values())


@dataclass(frozen=True, kw_only=True)
class InstructionCount:
    """What was counted of one container.

    Attributes:
        inferences: each inference by itself, without the server around it; empty if no inference was answered.
        requests: each whole request, the server's work included.
        load: the loading of the model.
        start: from the first instruction of the server's program until it loads the model.
        threads: instructions of the last request by thread.
        emulator: the emulator in words.
    """

    inferences: Sequence[Counts]
    requests: Sequence[Counts]
    load: Counts | None
    start: Counts | None
    threads: Mapping[int, int] = field(default_factory=dict)
    emulator: str = ""


def interval_of_median(totals: Sequence[int]) -> tuple[int, int]:
    """Return an interval that holds the median with at least 92 % confidence: distribution-free, from order statistics.

    The smallest and the largest of five values do (1 - 2 / 2**5 = 93.8 %); of nine, the second of each end (96.1 %), so
    that one odd value, as when Python collects garbage, does not widen the interval; of 61, the 23rd (96.0 %). In
    general it is the binomial distribution's 95 % interval of the rank, in its normal approximation (Conover 1999,
    3.2). Of fewer than five values it is the smallest and the largest, with less confidence.
    """
    ordered = sorted(totals)
    outside = max(0, int((len(ordered) - _QUANTILE * math.sqrt(len(ordered))) / 2))
    return ordered[outside], ordered[-1 - outside]


def median(counts: Sequence[Counts]) -> Counts:
    """Return the counts with the median number of instructions; of an even number of counts, the lower of both."""
    middle = statistics.median_low([each.instructions for each in counts])
    return next(each for each in counts if each.instructions == middle)
