"""The fitted coefficients that come with edgesim, and how sure they are."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import orjson

# `python -m edgesim.predictions.tensorrt.fit` writes this file.
FILE = Path(__file__).with_name("fitted.json")
# Step of the logarithm of a coefficient for a derivative.
STEP = 1e-4


@dataclass(frozen=True, kw_only=True)
class FittedCoefficients:
    """Coefficients, with what published figures leave open about them.

    Attributes:
        names: those of `edgesim.predictions.tensorrt.cost.NAMES`.
        values, covariance: of the coefficients' logarithms; shapes (n,), (n, n).
        scale: how many times the deviation that the covariance leaves is that of a prediction; with it, 80 % of the
            figures of families of networks, and of boards, that are held out are in their bands.
        boards: names of the profiles with figures; for each, the repositories that published the figures.
    """

    names: tuple[str, ...]
    values: np.ndarray
    covariance: np.ndarray
    scale: float
    boards: Mapping[str, tuple[str, ...]]

    @property
    def by_name(self) -> dict[str, float]:
        """The coefficients themselves, by name."""
        return dict(zip(self.names, np.exp(self.values).tolist(), strict=True))

    def variance(self, logarithm: Callable[[Mapping[str, float]], float]) -> float:
        """Return the variance of the logarithm of a time, a function of the coefficients."""
        here = logarithm(self.by_name)
        slopes = np.array(
            [
                (logarithm(self.by_name | {name: math.exp(value + STEP)}) - here) / STEP
                for name, value in zip(self.names, self.values.tolist(), strict=True)
            ]
        )
        return self.scale**2 * float(slopes @ self.covariance @ slopes)

    def write(self, path: str | Path = FILE) -> None:
        """Write the coefficients as JSON."""
        document = {
            "names": list(self.names),
            "values": self.values.round(5).tolist(),
            "covariance": self.covariance.round(6).tolist(),
            "scale": round(self.scale, 5),
            "boards": {name: list(self.boards[name]) for name in sorted(self.boards)},
        }
        Path(path).write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


@cache
def load_fitted() -> FittedCoefficients:
    """Return the coefficients that come with edgesim."""
    document = orjson.loads(FILE.read_bytes())
    return FittedCoefficients(
        names=tuple(document["names"]),
        values=np.array(document["values"]),
        covariance=np.array(document["covariance"]),
        scale=document["scale"],
        boards={name: tuple(repositories) for name, repositories in document["boards"].items()},
    )
