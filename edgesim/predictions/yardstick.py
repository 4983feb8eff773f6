"""The yardstick: operations of known cost, timed on this host, for operations of unknown cost.

How many times as long an operation takes on a board depends on what it does. A product or a sigmoid gains from this
host's wide vectors; branches and calls do not. Nobody knows where an unknown operation stands, so it takes the
geometric mean of both, and their distance widens the band.
"""

import math
import statistics
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import onnx
from onnx import TensorProto, helper

from edgesim.predictions.cost import CYCLES_OF_NODE, Machine, Term, seconds
from edgesim.predictions.node import Node
from edgesim.predictions.operations import FLOPS, Kind
from edgesim.predictions.server_time import relative_cycles

_SIDE = 256
_ELEMENTS = 1 << 18
_CHAIN = 64  # nodes of one element, which are branches and calls
_RUNS = 5
# Standard deviation of the logarithm between an operation and the yardstick, beside that of its two sides. Assumed.
_OWN_DOUBT = 0.4


@dataclass(frozen=True)
class Yardstick:
    """A product and a function, whose cost is known, and a chain of tiny nodes.

    Attributes:
        vectors: the first two as nodes, each with its seconds on one thread of this host.
        chain_s: seconds of the chain here.
    """

    vectors: tuple[tuple[Node, float], ...]
    chain_s: float

    def seconds(self, host_seconds: float, units: Mapping[Term, float], machine: Machine) -> dict[Term, float]:
        """Return the seconds by term on a board, for an operation that takes `host_seconds` here.

        Args:
            units: of one thread of the board, see `edgesim.predictions.cost.unit_seconds`.
        """
        total_s = self.ratio(units, machine) * host_seconds
        # Half of the time is of each side; what is no arithmetic counts as the nodes' cycles.
        terms: Counter[Term] = Counter({"nodes": total_s / 2})
        for node, _ in self.vectors:
            of_node = seconds(node, units, machine)
            part = total_s / 2 / len(self.vectors) / sum(of_node.values())
            terms.update({term: s * part for term, s in of_node.items()})
        return dict(terms)

    def amounts(self, host_seconds: float, units: Mapping[Term, float], machine: Machine) -> dict[Term, float]:
        """Return the work by term of an operation that takes `host_seconds` here."""
        return {term: s / units[term] for term, s in self.seconds(host_seconds, units, machine).items()}

    def ratio(self, units: Mapping[Term, float], machine: Machine) -> float:
        """Return how many times as long as here an operation takes on one thread of a board."""
        return statistics.geometric_mean(self._sides(units, machine))

    def doubt(self, units: Mapping[Term, float], machine: Machine) -> float:
        """Return the standard deviation of the logarithm of a time that the yardstick tells."""
        vectors, chain = self._sides(units, machine)
        return math.hypot(math.log(vectors / chain) / 2, _OWN_DOUBT)

    def _sides(self, units: Mapping[Term, float], machine: Machine) -> tuple[float, float]:
        """Return how many times as long as here vectors take on the board, and branches and calls."""
        vectors = [sum(seconds(node, units, machine).values()) / node_s for node, node_s in self.vectors]
        chain_s = _CHAIN * CYCLES_OF_NODE * relative_cycles(machine.core) / machine.clock_hz
        return statistics.geometric_mean(vectors), chain_s / self.chain_s


@cache
def measure() -> Yardstick:
    """Time the yardstick on this host; takes 0.1 s."""
    square, row, nothing = [_SIDE, _SIDE], [_ELEMENTS], [1]
    chain = [f"r{i}" for i in range(_CHAIN)]
    relus = [helper.make_node("Relu", [last], [name]) for last, name in zip(["x", *chain], chain, strict=False)]
    return Yardstick(
        vectors=(
            (
                _node("MatMul", "matrix product", square),
                _seconds([helper.make_node("MatMul", ["x", "x"], ["y"])], square),
            ),
            (_node("Sigmoid", "transcendental", row), _seconds([helper.make_node("Sigmoid", ["x"], ["y"])], row)),
        ),
        chain_s=_seconds(relus, nothing),
    )


def _node(operation: str, kind: Kind, shape: list[int]) -> Node:
    elements = math.prod(shape)
    flops = 2 * _SIDE**3 if kind == "matrix product" else elements * FLOPS[operation]
    return Node(
        name=operation,
        operation=operation,
        kind=kind,
        precision="fp32",
        flops=flops,
        functions=flops if kind == "transcendental" else 0,
        read_bytes=4 * elements,
        weight_bytes=0,
        written_bytes=4 * elements,
        shape=tuple(shape),
    )


def _seconds(nodes: list[onnx.NodeProto], shape: list[int]) -> float:
    """Return the shortest of some runs on one thread of this host, in seconds of CPU time."""
    import onnxruntime

    output = nodes[-1].output[0]
    graph = helper.make_graph(
        nodes,
        "yardstick",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    inputs = {"x": np.random.default_rng(0).random(shape, np.float32)}
    times_s = []
    for _ in range(_RUNS):
        begun = time.thread_time()
        session.run(None, inputs)
        times_s.append(time.thread_time() - begun)
    return min(times_s)
