"""Coefficients that were fitted to published figures, and their uncertainty."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import orjson

from edgesim.predictions.cost import TERMS, Coefficients, Machine, Term, unit_seconds
from edgesim.profiles import cores

# `python -m edgesim.predictions.fit` writes this file.
FILE = Path(__file__).with_name("fitted.json")
# Step of a numerical derivative, in units of the logarithm.
_STEP = 1e-4


@dataclass(frozen=True)
class FittedCoefficients:
    """Logarithms of the coefficients of ONNX Runtime, by name, with their covariance.

    The names are those of the terms, ``scaling``, ``memory_share``, and the families of cores (how the arithmetic of a
    family compares).

    Attributes:
        names, values, covariance: shapes (n,), (n,), (n, n).
        spread: standard deviation of the logarithm of a figure that the coefficients leave open: releases, units of one
            board, coolers.
        core_spread: the same for a core around its family; applies to a core without a figure of ONNX Runtime.
        board_spread: the same for a board around its core; applies to a board without a figure of ONNX Runtime.
        seen: cores with a published figure of ONNX Runtime, by title.
        seen_socs: SoCs with a published figure of ONNX Runtime.
    """

    names: tuple[str, ...]
    values: np.ndarray
    covariance: np.ndarray
    spread: float
    core_spread: float
    board_spread: float
    seen: frozenset[str]
    seen_socs: frozenset[str]

    def coefficients(self, core: str, values: Sequence[float] | np.ndarray | None = None) -> Coefficients:
        """Return the coefficients for a core; a core of no family gets the mean of all families.

        Args:
            values: logarithms to use in place of the fitted ones, shape (n,).
        """
        by_name = dict(zip(self.names, self.values if values is None else values, strict=True))
        family = cores.family(core)
        families = [by_name[name] for name in ((family,) if family is not None else cores.FAMILIES)]
        return Coefficients(
            terms={term: math.exp(by_name[term]) for term in TERMS},
            core=math.exp(float(np.mean(families))),
            scaling=math.exp(by_name["scaling"]),
            memory_share=math.exp(by_name["memory_share"]),
        )

    def seconds(self, machine: Machine, work: Mapping[Term, float], values: np.ndarray | None = None) -> float:
        """Return the seconds that `work` takes: flops, bytes and nodes by term."""
        units = unit_seconds(machine, self.coefficients(machine.core, values))
        return sum(amount * units[term] for term, amount in work.items())

    def gradient(self, machine: Machine, work: Mapping[Term, float]) -> np.ndarray:
        """Return the gradient of the logarithm of the time that `work` takes, by the coefficients; shape (n,)."""
        if not any(work.values()):
            return np.zeros(len(self.names))
        predicted_s = self.seconds(machine, work)
        steps = [self.seconds(machine, work, self.values + _STEP * row) for row in np.eye(len(self.names))]
        return np.asarray(np.log(np.array(steps) / predicted_s) / _STEP)

    def variance(self, machine: Machine, work: Mapping[Term, float]) -> float:
        """Return the variance of the logarithm of the time that `work` takes.

        The covariance of the coefficients is carried over by the gradient of that logarithm.
        """
        predicted_s, gradient = self.seconds(machine, work), self.gradient(machine, work)
        variance = float(gradient @ self.covariance @ gradient) + self.spread**2
        if machine.soc not in self.seen_socs:
            variance += self.board_spread**2
        if machine.core not in self.seen:
            units = unit_seconds(machine, self.coefficients(machine.core))
            arithmetic_s = sum(work.get(term, 0.0) * units[term] for term in ("products", "depthwise", "functions"))
            share = arithmetic_s / predicted_s
            # A core of no family is assumed to scatter twice as much around the mean of all families.
            widening = 1 if cores.family(machine.core) is not None else 2
            variance += (share * self.core_spread * widening) ** 2
        return variance

    def write(self, path: str | Path = FILE) -> None:
        """Write the coefficients as JSON, with 4 to 7 decimals."""
        document = {
            "names": self.names,
            "values": [round(float(value), 5) for value in self.values],
            "covariance": [[round(float(value), 7) for value in row] for row in self.covariance],
            "spread": round(self.spread, 4),
            "core_spread": round(self.core_spread, 4),
            "board_spread": round(self.board_spread, 4),
            "seen": sorted(self.seen),
            "seen_socs": sorted(self.seen_socs),
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
        spread=document["spread"],
        core_spread=document["core_spread"],
        board_spread=document["board_spread"],
        seen=frozenset(document["seen"]),
        seen_socs=frozenset(document["seen_socs"]),
    )
