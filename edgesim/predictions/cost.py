"""What a node costs on a core: six terms, each an amount of work times what a unit of it takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

from edgesim.predictions.graph import Node
from edgesim.profiles import DeviceProfile

Term = Literal["products", "depthwise", "functions", "product traffic", "other traffic", "nodes"]
TERMS: tuple[Term, ...] = ("products", "depthwise", "functions", "product traffic", "other traffic", "nodes")

_PRODUCTS = frozenset(("convolution", "pointwise convolution", "matrix product"))
_FUNCTIONS = frozenset(("transcendental", "softmax"))

# Arithmetic of 128 bits a cycle: one multiply-add of four, the least that an arm64 core of these boards has.
_LEAST_FLOPS_PER_CYCLE = 8
# Of the specified bandwidth, what one core copies: the median of the profiles that have both figures.
_COPY_SHARE = 0.2
# Bytes a second of the slowest memory among them, for a board of which nothing is said.
_SLOWEST_MEMORY = 3.6e9
# Quantized products beside those in fp32, arithmetic alone. With dotprod: two published pairs on a Raspberry Pi 5 give
# whole models 1.4 and 2.0, where the instruction alone could give 4; without: one on a Cortex-A72 gives 1.25 to 1.35.
_INT8_SPEEDUP = {True: 1.5, False: 1.25}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What of a board a prediction goes by.

    Attributes:
        threads: of one inference, on as many cores.
        flops_per_cycle: the peak of one core in fp32.
        copy_bytes_per_s: what one core was measured to copy; `memory_bytes_per_s` is the memory's by specification.
        dot_products: whether the core multiplies int8 by fours (asimddp).
        guessed: facts that the profile does not have, in words.
    """

    soc: str
    core: str
    threads: int
    clock_hz: float
    flops_per_cycle: float
    copy_bytes_per_s: float
    memory_bytes_per_s: float
    dot_products: bool = False
    guessed: tuple[str, ...] = ()

    @classmethod
    def of(cls, profile: DeviceProfile, threads: int | None = None) -> Self:
        """The board in its power mode, with as many threads as it has cores, or fewer."""
        cpu, guessed = profile.cpu, []
        flops = cpu.fp32_flops_per_cycle
        if flops is None:
            flops = _LEAST_FLOPS_PER_CYCLE * (2 if "asimdhp" in cpu.features else 1)
            guessed.append("the core's peak")
        copy, memory = cpu.bandwidth.copy_bytes_per_s, profile.memory.bandwidth_bytes_per_s
        if copy is None:
            guessed.append("its memory's measured bandwidth")
        slowest = memory if memory is not None else _SLOWEST_MEMORY
        copied = float(copy) if copy is not None else _COPY_SHARE * slowest
        return cls(
            soc=profile.soc,
            core=cpu.core,
            threads=min(threads or cpu.cores, cpu.cores),
            clock_hz=cpu.clock_hz,
            flops_per_cycle=flops,
            copy_bytes_per_s=copied,
            memory_bytes_per_s=float(memory) if memory is not None else copied / _COPY_SHARE,
            dot_products="asimddp" in cpu.features,
            guessed=tuple(guessed),
        )


@dataclass(frozen=True, kw_only=True)
class Coefficients:
    """What the published figures say; none has a unit but for `nodes`.

    Attributes:
        terms: `products`, `depthwise` and `functions` are times the time at the core's peak; `product traffic` and
            `other traffic` times the time that one core takes to copy as many bytes; `nodes` clock cycles for a node.
        core: times the arithmetic takes on this core, beside what its peak says.
        scaling: N threads do N ** scaling as much arithmetic as one.
        memory_share: of the specified bandwidth, what all cores together move; one core's copy is a read and a write.
    """

    terms: Mapping[Term, float]
    core: float
    scaling: float
    memory_share: float


def amounts(node: Node) -> dict[Term, float]:
    """The work of a node: flops, bytes and itself."""
    found: dict[Term, float] = {"nodes": 1.0}
    if node.kind in _PRODUCTS or (node.product is not None and node.kind == "quantized"):
        found |= {"products": node.flops, "product traffic": node.moved_bytes}
    elif node.kind == "depthwise convolution":
        found |= {"depthwise": node.flops, "product traffic": node.moved_bytes}
    else:
        found["other traffic"] = node.moved_bytes
        if node.kind in _FUNCTIONS:
            found["functions"] = node.flops
    return found


def unit_seconds(machine: Machine, coefficients: Coefficients) -> dict[Term, float]:
    """Seconds for a unit of each term."""
    threads = machine.threads
    at_once = threads**coefficients.scaling
    flop_s = coefficients.core / (machine.flops_per_cycle * machine.clock_hz * at_once)
    # A copy of so many bytes moves twice as many, and one core alone may take all that the memory gives.
    most = coefficients.memory_share * machine.memory_bytes_per_s / 2 / machine.copy_bytes_per_s
    byte_s = 1 / (machine.copy_bytes_per_s * min(threads, max(1.0, most)))
    terms = coefficients.terms
    return {
        "products": terms["products"] * flop_s,
        "depthwise": terms["depthwise"] * flop_s,
        "functions": terms["functions"] * flop_s,
        "product traffic": terms["product traffic"] * byte_s,
        "other traffic": terms["other traffic"] * byte_s,
        "nodes": terms["nodes"] / machine.clock_hz,
    }


def seconds(node: Node, units: Mapping[Term, float], machine: Machine) -> dict[Term, float]:
    """What each term adds to the node's time."""
    found = {term: amount * units[term] for term, amount in amounts(node).items()}
    if node.precision == "int8" and "products" in found:
        found["products"] /= _INT8_SPEEDUP[machine.dot_products]
    return found
