"""A node of a graph as work on the board."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from edgesim.predictions.operations import Kind

Precision = Literal["fp32", "fp16", "bf16", "fp8", "int8", "int4"]


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node as the runtime runs it, and its work: that of all its turns, for a node in the body of a loop.

    Attributes:
        name: of a node in a body, with the names of the nodes around it: ``if.then_branch/matmul``.
        operation: ONNX's name of the operation.
        fused: operations of the following nodes that the runtime fuses into this node.
        flops: arithmetic, a multiply-add counting as two.
        functions: the part of `flops` that is sigmoids, exponentials and the like.
        steps: comparisons of decision trees.
        read_bytes, weight_bytes, written_bytes: bytes of activations, constants and outputs.
        shape: of the first output, in the last turn.
        product: rows, columns and depth of the matrix product, for one group; None for other nodes.
        window: sizes of a convolution's kernel, and its largest stride; empty for other nodes.
        known: whether edgesim knows the cost of the operation.
        turns: how often the node runs in one inference.
        host_seconds: the time of all turns on one thread of this host; None unless the cost is unknown.
    """

    name: str
    operation: str
    kind: Kind
    precision: Precision
    flops: int
    read_bytes: int
    weight_bytes: int
    written_bytes: int
    shape: tuple[int, ...]
    functions: int = 0
    steps: int = 0
    product: tuple[int, int, int] | None = None
    window: tuple[int, ...] = ()
    fused: tuple[str, ...] = ()
    known: bool = True
    turns: int = 1
    host_seconds: float | None = None

    @property
    def moved_bytes(self) -> int:
        """All bytes that the node reads and writes."""
        return self.read_bytes + self.weight_bytes + self.written_bytes


def total(nodes: Sequence[tuple[Node, int]]) -> Node:
    """Return one node for turns of different sizes: pairs of the work of a turn, and how often it is done."""
    last, _ = nodes[-1]
    return replace(
        last,
        flops=sum(count * node.flops for node, count in nodes),
        functions=sum(count * node.functions for node, count in nodes),
        steps=sum(count * node.steps for node, count in nodes),
        read_bytes=sum(count * node.read_bytes for node, count in nodes),
        weight_bytes=sum(count * node.weight_bytes for node, count in nodes),
        written_bytes=sum(count * node.written_bytes for node, count in nodes),
        turns=sum(count * node.turns for node, count in nodes),
    )
