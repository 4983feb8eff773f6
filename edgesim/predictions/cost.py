"""The cost of a node on a core: six terms, each an amount of work times the time of one unit of that work."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from edgesim.profiles import DeviceProfile, cores

if TYPE_CHECKING:
    from edgesim.predictions.node import Node

Term = Literal["products", "depthwise", "functions", "product traffic", "other traffic", "nodes"]
TERMS: tuple[Term, ...] = ("products", "depthwise", "functions", "product traffic", "other traffic", "nodes")

_PRODUCTS = frozenset(("convolution", "pointwise convolution", "matrix product", "recurrent", "attention"))

# fp32 arithmetic of 128 bits per cycle: one multiply-add of four numbers, the least that an arm64 core of these
# boards does.
_LEAST_FLOPS_PER_CYCLE = 8
# The share of the specified bandwidth that one core copies: the median of the profiles that have both figures.
_COPY_SHARE = 0.2
# Bandwidth of the slowest memory among those profiles, in bytes per second: for a profile without a bandwidth.
_SLOWEST_MEMORY = 3.6e9
# How many times as fast a product's arithmetic is in int8 as in fp32, by whether the core has dot products. With them,
# two published pairs on a Raspberry Pi 5 are 1.4 and 2.0 times as fast (whole models), where the instruction alone
# could give 4; without them, one pair on a Cortex-A72 is 1.25 to 1.35 times as fast.
_INT8_SPEEDUP = {True: 1.5, False: 1.25}
# Clock cycles of one comparison in a decision tree: two loads that wait for the comparison before, and half of the time
# a branch that was not foreseen. Assumed, as no figure was published: twice the 25 cycles that ONNX Runtime takes on an
# EPYC for ensembles in its cache.
_STEP_CYCLES = 50
# Work from which on ONNX Runtime divides a run of a node among threads. Products: 65,536 multiply-adds, its
# `MLAS_SGEMM_THREAD_COMPLEXITY`. Others: Eigen's `TensorCostModel`, by which a moved byte takes 11/64 of a cycle, the
# start of threads 100,000, and a second thread is worth it from 1.1 times as many cycles on.
_DIVIDED_FLOPS = 2 * 65_536
_DIVIDED_CYCLES = 210_000
_CYCLES_PER_BYTE = 11 / 64
# Clock cycles of a Cortex-A72 that a run of a node by one thread takes beside its arithmetic: calls, branches and
# allocations. The arm64 build takes 2,700 to 4,400 instructions (`python -m benchmarks.nodes`); more than one of them a
# cycle is assumed.
CYCLES_OF_NODE = 3_000
# The same in runs of the nodes of published models, nearly all of which are divided among threads: the term `nodes` is
# 20,000 cycles before any figure is seen (`edgesim.predictions.fit.PRIORS`).
_OF_ONE_THREAD = CYCLES_OF_NODE / 20_000


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The facts of a board that a prediction depends on.

    Attributes:
        core: the core's title, see `edgesim.profiles.cores`.
        threads: threads of one inference, each on a core of its own.
        flops_per_cycle: the peak of one core in fp32, a multiply-add counting as two.
        copy_bytes_per_s: bytes per second that one core copies, as measured.
        memory_bytes_per_s: bandwidth of the memory by specification.
        dot_products: whether the core multiplies int8 numbers four at a time (asimddp).
        half_precision: whether the core computes in fp16 (asimdhp).
        guessed: facts that the profile lacks and that widen the band, by their keys in the profile.
        derived: facts that the profile lacks and that do not: the memory's bandwidth is taken from the copy speed.
    """

    soc: str
    core: str
    threads: int
    clock_hz: float
    flops_per_cycle: float
    copy_bytes_per_s: float
    memory_bytes_per_s: float
    dot_products: bool = False
    half_precision: bool = False
    guessed: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()

    @classmethod
    def of(cls, profile: DeviceProfile, threads: int | None = None) -> Self:
        """Return the facts of a board in its power mode; `threads` is at most, and by default, the number of cores."""
        cpu, guessed, derived = profile.cpu, [], []
        flops = cpu.fp32_flops_per_cycle
        if flops is None:
            flops = _LEAST_FLOPS_PER_CYCLE * (2 if "asimdhp" in cpu.features else 1)
            guessed.append("cpu.fp32_flops_per_cycle")
        copy, memory = cpu.bandwidth.copy_bytes_per_s, profile.memory.bandwidth_bytes_per_s
        if copy is None:
            guessed.append("cpu.bandwidth.copy_bytes_per_s")
        if memory is None:
            derived.append("memory.bandwidth_bytes_per_s")
        if not cpu.features:
            derived.append("cpu.features")
        slowest = memory if memory is not None else _SLOWEST_MEMORY
        copied = float(copy) if copy is not None else _COPY_SHARE * slowest
        return cls(
            soc=profile.soc,
            core=cores.title(cpu.core),
            threads=min(threads or cpu.cores, cpu.cores),
            clock_hz=cpu.clock_hz,
            flops_per_cycle=flops,
            copy_bytes_per_s=copied,
            memory_bytes_per_s=float(memory) if memory is not None else copied / _COPY_SHARE,
            dot_products="asimddp" in cpu.features,
            half_precision="asimdhp" in cpu.features,
            guessed=tuple(guessed),
            derived=tuple(derived),
        )


@dataclass(frozen=True, kw_only=True)
class Coefficients:
    """What the published figures say about a core; all are plain factors, except the term `nodes`.

    Attributes:
        terms: `products`, `depthwise` and `functions` multiply the time of the arithmetic at the core's peak;
            `product traffic` and `other traffic` multiply the time that one core takes to copy as many bytes; `nodes`
            is the clock cycles that each node takes.
        core: multiplies the time of the arithmetic on this core.
        scaling: N threads do N ** scaling times the arithmetic of one thread.
        memory_share: the share of the specified bandwidth that all cores together use; a copy is a read and a write.
    """

    terms: Mapping[Term, float]
    core: float
    scaling: float
    memory_share: float


def amounts(node: "Node") -> dict[Term, float]:
    """Return the work of a node by term: flops, bytes, and how often the node runs.

    A run by one thread counts as `_OF_ONE_THREAD` runs.
    """
    work: dict[Term, float] = {"nodes": node.turns * (1.0 if _is_divided(node) else _OF_ONE_THREAD)}
    if node.kind in _PRODUCTS or (node.product is not None and node.kind == "quantized"):
        work |= {"products": node.flops - node.functions, "product traffic": node.moved_bytes}
        if node.functions:
            work["functions"] = node.functions
    elif node.kind == "depthwise convolution":
        work |= {"depthwise": node.flops, "product traffic": node.moved_bytes}
    else:
        work["other traffic"] = node.moved_bytes
        if node.functions:
            work["functions"] = node.functions
    return work


def _is_divided(node: "Node") -> bool:
    """Whether ONNX Runtime divides a run of a node among its threads, if it has several."""
    if node.kind in _PRODUCTS:
        return node.flops >= _DIVIDED_FLOPS * node.turns
    return node.flops + _CYCLES_PER_BYTE * node.moved_bytes >= _DIVIDED_CYCLES * node.turns


def unit_seconds(machine: Machine, coefficients: Coefficients) -> dict[Term, float]:
    """Return the seconds that one unit of each term takes."""
    threads = machine.threads
    speed_up = threads**coefficients.scaling
    flop_s = coefficients.core / (machine.flops_per_cycle * machine.clock_hz * speed_up)
    # A copy moves each byte twice. One core may use all of the memory's bandwidth, and then more cores add nothing.
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


def seconds(node: "Node", units: Mapping[Term, float], machine: Machine) -> dict[Term, float]:
    """Return the seconds that each term adds to the node's time."""
    work = amounts(node)
    if node.precision == "fp16" and not machine.half_precision:
        # Without instructions for fp16 the runtime keeps such tensors in fp32 from the first node to the last.
        work = {term: 2 * amount if term.endswith("traffic") else amount for term, amount in work.items()}
    terms = {term: amount * units[term] for term, amount in work.items()}
    if node.precision == "int8" and "products" in terms:
        terms["products"] /= _INT8_SPEEDUP[machine.dot_products]
    if node.steps:
        terms["nodes"] += node.steps * _STEP_CYCLES / machine.clock_hz
    return terms
