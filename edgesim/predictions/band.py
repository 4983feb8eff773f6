"""The band around a predicted time: it should contain the true time in 8 of 10 cases."""

import math
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

# 80 % of a normal distribution lie within this many standard deviations.
Z80 = 1.2816


def factor_of(variance: float) -> float:
    """Return the factor from a time to either end of its band, from the variance of the logarithm of the time."""
    return math.exp(Z80 * math.sqrt(variance))


class Published(Protocol):
    """A published figure: its time in seconds."""

    @property
    def seconds(self) -> float: ...


FigureT = TypeVar("FigureT", bound=Published)


@dataclass(frozen=True, kw_only=True)
class HeldOut(Generic[FigureT]):
    """A figure, and its prediction by a fit that has not seen the figure.

    Attributes:
        seconds: the predicted time.
        deviation: standard deviation of the logarithm of `seconds`.
    """

    figure: FigureT
    seconds: float
    deviation: float

    @property
    def error(self) -> float:
        """Relative error of the prediction."""
        return self.seconds / self.figure.seconds - 1

    def in_band(self, spread: float = 0.0) -> bool:
        """Return whether the published time is in the band of the prediction.

        Args:
            spread: a standard deviation of the logarithm that all predictions have beside `deviation`.
        """
        width = Z80 * math.hypot(self.deviation, spread)
        return abs(math.log(self.seconds / self.figure.seconds)) <= width
