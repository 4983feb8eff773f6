"""What was fitted from published figures: coefficients, and how sure they are."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import orjson

from edgesim.predictions.cost import TERMS, Coefficients, Machine, Term, unit_seconds

# Cores by how they are made. Single boards of a family differ as much by their memory, cooling and kernel.
FAMILY: Mapping[str, str] = {
    **dict.fromkeys(("Cortex-A35", "Cortex-A53", "Cortex-A55"), "in order"),
    **dict.fromkeys(("Cortex-A57", "Cortex-A72", "Cortex-A73", "Cortex-A75"), "out of order, 128 bits"),
    **dict.fromkeys(
        ("Cortex-A76", "Cortex-A77", "Cortex-A78", "Cortex-A78AE", "Cortex-X1", "Neoverse-N1", "Carmel"),
        "out of order, twice 128 bits",
    ),
}
_STEP = 1e-4


@dataclass(frozen=True)
class Fitted:
    """Logarithms of the coefficients, by name, with their covariance; `benchmarks.fidelity` writes them.

    Names are the terms', ``scaling``, ``memory_share``, and families of cores (how their arithmetic compares).

    Attributes:
        names, values, covariance: shapes (n,), (n,), (n, n).
        spread: standard deviation of a figure's logarithm beside what the coefficients leave open: versions, boards of
            one kind, coolers.
        core_spread: of a core's logarithm around its family's, for a core without a figure of this runtime.
        board_spread: of a board's logarithm around its core's, for a board without a figure of this runtime.
        seen: cores with a published figure of ONNX Runtime; `seen_socs` likewise.
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
        """Those for a core; one of no family is taken for the mean of all."""
        by_name = dict(zip(self.names, self.values if values is None else values, strict=True))
        families = [by_name[FAMILY[core]]] if core in FAMILY else [by_name[name] for name in set(FAMILY.values())]
        return Coefficients(
            terms={term: math.exp(by_name[term]) for term in TERMS},
            core=math.exp(float(np.mean(families))),
            scaling=math.exp(by_name["scaling"]),
            memory_share=math.exp(by_name["memory_share"]),
        )

    def seconds(self, machine: Machine, work: Mapping[Term, float], values: np.ndarray | None = None) -> float:
        """What `work` takes, flops and bytes by term."""
        units = unit_seconds(machine, self.coefficients(machine.core, values))
        return sum(amount * units[term] for term, amount in work.items())

    def variance(self, machine: Machine, work: Mapping[Term, float]) -> float:
        """Of the logarithm of the time that `work` takes."""
        here = self.seconds(machine, work)
        steps = [self.seconds(machine, work, self.values + _STEP * row) for row in np.eye(len(self.names))]
        gradient = np.log(np.array(steps) / here) / _STEP
        found = float(gradient @ self.covariance @ gradient) + self.spread**2
        if machine.soc not in self.seen_socs:
            found += self.board_spread**2
        if machine.core not in self.seen:
            units = unit_seconds(machine, self.coefficients(machine.core))
            arithmetic = sum(work.get(term, 0.0) * units[term] for term in ("products", "depthwise", "functions"))
            share = arithmetic / here
            found += (share * self.core_spread * (1 if machine.core in FAMILY else 2)) ** 2
        return found


@cache
def fitted() -> Fitted:
    """What comes with edgesim."""
    document = orjson.loads(resources.files(__package__).joinpath("fitted.json").read_bytes())
    return Fitted(
        names=tuple(document["names"]),
        values=np.array(document["values"]),
        covariance=np.array(document["covariance"]),
        spread=document["spread"],
        core_spread=document["core_spread"],
        board_spread=document["board_spread"],
        seen=frozenset(document["seen"]),
        seen_socs=frozenset(document["seen_socs"]),
    )
