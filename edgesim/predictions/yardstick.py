"""The yardstick: operations of known cost, timed on this host, for operations of unknown cost.

An operation that takes as long here as the yardstick is counted as the yardstick's work on the board.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from edgesim.predictions.cost import Machine, Term, amounts, seconds
from edgesim.predictions.host_run import AFTER_NAME, profile
from edgesim.predictions.node import Node

_SIDE = 256
_ELEMENTS = 1 << 18
_AT_LEAST_S = 0.05
# Standard deviation of the logarithm between an operation and the three of the yardstick, beside the difference between
# these three. Assumed, and wide.
_OWN_DOUBT = 0.5


@dataclass(frozen=True)
class Yardstick:
    """A product, a function and a sum, each with its time on one thread of this host.

    An operation of unknown cost is taken as a third of each, by time.
    """

    timed: tuple[tuple[Node, float], ...]

    def seconds(self, host_seconds: float, units: Mapping[Term, float], machine: Machine) -> dict[Term, float]:
        """Return the seconds by term on a board, for an operation that takes `host_seconds` here.

        Args:
            units: of one thread of the board, see `edgesim.predictions.cost.unit_seconds`.
        """
        share = host_seconds / len(self.timed)
        total: Counter[Term] = Counter()
        for node, node_s in self.timed:
            total.update({term: s * share / node_s for term, s in seconds(node, units, machine).items()})
        return dict(total)

    def amounts(self, host_seconds: float) -> dict[Term, float]:
        """Return the work by term of an operation that takes `host_seconds` here."""
        share = host_seconds / len(self.timed)
        total: Counter[Term] = Counter()
        for node, node_s in self.timed:
            total.update({term: amount * share / node_s for term, amount in amounts(node).items()})
        return dict(total)

    def ratio(self, units: Mapping[Term, float], machine: Machine) -> float:
        """Return how many times as long as here an operation takes on one thread of a board."""
        return sum(self.seconds(1.0, units, machine).values())

    def doubt(self, units: Mapping[Term, float], machine: Machine) -> float:
        """Return the standard deviation of the logarithm of a time that the yardstick tells."""
        ratios = [sum(seconds(node, units, machine).values()) / node_s for node, node_s in self.timed]
        return math.hypot(float(np.std(np.log(ratios))), _OWN_DOUBT)


@cache
def measure() -> Yardstick:
    """Time the yardstick on this host; takes 0.1 s."""
    values = np.random.default_rng(0).random((_SIDE, _SIDE), np.float32)
    row = np.random.default_rng(1).random(_ELEMENTS, np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["a", "a"], ["product"], name="MatMul"),
            helper.make_node("Sigmoid", ["b"], ["function"], name="Sigmoid"),
            helper.make_node("Add", ["b", "b"], ["sum"], name="Add"),
        ],
        "yardstick",
        [
            helper.make_tensor_value_info("a", TensorProto.FLOAT, [_SIDE, _SIDE]),
            helper.make_tensor_value_info("b", TensorProto.FLOAT, [_ELEMENTS]),
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("product", "function", "sum")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    events = profile(model, {"a": values, "b": row}, at_least_s=_AT_LEAST_S)
    return Yardstick(tuple((node, _quickest(events, node.name)) for node in _nodes()))


def _nodes() -> tuple[Node, ...]:
    square, row = 4 * _SIDE**2, 4 * _ELEMENTS
    return (
        Node(
            name="MatMul",
            operation="MatMul",
            kind="matrix product",
            precision="fp32",
            flops=2 * _SIDE**3,
            read_bytes=square,
            weight_bytes=0,
            written_bytes=square,
            shape=(_SIDE, _SIDE),
            product=(_SIDE, _SIDE, _SIDE),
        ),
        Node(
            name="Sigmoid",
            operation="Sigmoid",
            kind="transcendental",
            precision="fp32",
            flops=20 * _ELEMENTS,
            functions=20 * _ELEMENTS,
            read_bytes=row,
            weight_bytes=0,
            written_bytes=row,
            shape=(_ELEMENTS,),
        ),
        Node(
            name="Add",
            operation="Add",
            kind="element-wise",
            precision="fp32",
            flops=_ELEMENTS,
            read_bytes=row,
            weight_bytes=0,
            written_bytes=row,
            shape=(_ELEMENTS,),
        ),
    )


def _quickest(events: Sequence[Mapping[str, Any]], name: str) -> float:
    """Return the shortest time of a node, in seconds; the profiler counts whole microseconds."""
    times_us = [float(event["dur"]) for event in events if event["name"] == name + AFTER_NAME]
    return max(min(times_us), 1.0) / 1e6
