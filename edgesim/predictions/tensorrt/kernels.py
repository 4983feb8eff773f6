"""The kernels that TensorRT runs for a graph: each with its arithmetic and the elements that it moves."""

import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from edgesim.predictions.node import Node

KernelKind = Literal["product", "depthwise", "other", "concatenation", "slice"]
KINDS: tuple[KernelKind, ...] = get_args(KernelKind)
_PRODUCTS = frozenset(("convolution", "pointwise convolution", "matrix product"))
# Functions that take many instructions for an element; what TensorRT computes after them leaves the convolution's own
# kernel in many of its releases.
_FUNCTIONS = frozenset(("Sigmoid", "HardSwish", "Erf", "Tanh", "Softplus", "Swish", "Gelu", "Mish"))
# A function and what it is multiplied by: ``x * sigmoid(x)``. A sigmoid alone is an activation that kernels have.
_OPERATIONS_OF_FUNCTION = 2
# Bytes of an element as the graph has it; weights and activations are in the target's precision on the GPU.
_BYTES: Mapping[str, float] = {"fp32": 4, "fp16": 2, "bf16": 2, "fp8": 1, "int8": 1, "int4": 0.5}


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """One kernel as TensorRT runs it. All figures are for one of `groups` parts unless they say otherwise.

    Attributes:
        kind: what limits the kernel, see `edgesim.predictions.tensorrt.cost`.
        int8: whether the graph itself asks for int8, whatever the target's precision.
        flops: arithmetic of products in all groups, a multiply-add counting as two.
        groups: of a convolution, or the batch of a matrix product.
        rows, columns, depth: of the matrix product; rows are output channels, columns pixels.
        channels: input channels: `depth` without the window's positions.
        winograd: whether the fast algorithm of Winograd fits: 3 x 3, stride 1, one group.
        function: whether an activation that takes several passes follows the product.
        activations: elements that are read and written, of all groups.
        written: elements that are written.
        weights: elements of constants.
    """

    kind: KernelKind
    int8: bool
    flops: float
    groups: int
    rows: int
    columns: int
    depth: int
    channels: int
    winograd: bool
    function: bool
    activations: float
    written: float
    weights: float


def kernel_of(node: Node) -> Kernel:
    """Return the kernel of a node that was read with `TensorRtFusions`; of one turn's size, for a body."""
    turns = max(node.turns, 1)
    size = _BYTES[node.precision] * turns
    kind = _kind(node)
    rows, columns, depth = _product(node) if kind in ("product", "depthwise") else (1, 1, 1)
    written, read = node.written_bytes / size, node.read_bytes / size
    if node.operation in ("Slice", "Gather"):  # the rest of the input stays unread
        read = min(read, written)
    flops = node.flops / turns if kind in ("product", "depthwise") else 0.0
    groups = max(round(flops / (2 * rows * columns * depth)), 1)
    window, stride = (node.window[:-1], node.window[-1]) if node.window else ((), 1)
    return Kernel(
        kind=kind,
        int8=node.precision in ("int8", "int4"),
        flops=flops,
        groups=groups,
        rows=rows,
        columns=columns,
        depth=depth,
        channels=max(depth // math.prod(window), 1),
        winograd=window == (3, 3) and stride == 1 and groups == 1,
        function=kind in ("product", "depthwise") and _has_function(node.fused),
        activations=read + written,
        written=written,
        weights=node.weight_bytes / size,
    )


def _product(node: Node) -> tuple[int, int, int]:
    """Return the rows, columns and depth of a node's matrix product; rows are output channels or features."""
    if node.product is None:  # a transposed convolution, a linear model
        elements = max(math.prod(node.shape), 1)
        rows = node.shape[1] if len(node.shape) > 1 else 1
        return max(rows, 1), max(elements // max(rows, 1), 1), max(round(node.flops / (2 * elements)), 1)
    first, second, depth = (max(size, 1) for size in node.product)
    return (second, first, depth) if node.kind == "matrix product" else (first, second, depth)


def _kind(node: Node) -> KernelKind:
    if node.kind == "depthwise convolution":
        return "depthwise"
    if node.kind in _PRODUCTS or (node.kind == "quantized" and node.product is not None):
        return "product"
    if node.kind in ("recurrent", "attention"):
        return "product"
    if node.operation == "Concat":
        return "concatenation"
    return "slice" if node.operation in ("Slice", "Split") else "other"


def _has_function(fused: Sequence[str]) -> bool:
    return len(fused) >= _OPERATIONS_OF_FUNCTION and any(operation in _FUNCTIONS for operation in fused)


class KernelTable:
    """Kernels as columns of numbers, for arithmetic on all at once.

    Each field of `Kernel` is an attribute: an array of shape (kernels,), `kind` as its index in `KINDS`. `count` is how
    often each kernel runs.
    """

    def __init__(self, kernels: Sequence[tuple[Kernel, int]]) -> None:
        """Take kernels, each with how often it runs."""
        rows = [(KINDS.index(kernel.kind), *astuple(kernel)[1:]) for kernel, _ in kernels]
        columns = np.array(rows, float).reshape(len(rows), len(fields(Kernel))).T
        self._columns = dict(zip((field.name for field in fields(Kernel)), columns, strict=True))
        self.count = np.array([times for _, times in kernels], float)

    @classmethod
    def joined(cls, tables: Sequence["KernelTable"]) -> "KernelTable":
        """Return one table with the kernels of all, in their order."""
        joined = cls([])
        joined.count = np.concatenate([table.count for table in tables])
        joined._columns = {
            field.name: np.concatenate([table._columns[field.name] for table in tables]) for field in fields(Kernel)
        }
        return joined

    def __getattr__(self, name: str) -> np.ndarray:
        try:
            columns: dict[str, np.ndarray] = self.__dict__["_columns"]
            return columns[name]
        except KeyError:
            raise AttributeError(name) from None

    def __len__(self) -> int:
        return len(self.count)

    def is_kind(self, kind: KernelKind) -> np.ndarray:
        """Return which kernels are of a kind; shape (kernels,)."""
        return np.asarray(self.kind == KINDS.index(kind))


def count(nodes: Iterable[Node]) -> Counter[Kernel]:
    """Return the kernels of a graph, and how often each runs in one inference."""
    kernels: Counter[Kernel] = Counter()
    for node in nodes:
        kernels[kernel_of(node)] += max(node.turns, 1)
    return kernels


_COLUMNS = ("graph", "count", *(field.name for field in fields(Kernel)))


def write(path: Path, graphs: Mapping[str, Mapping[Kernel, int]]) -> None:
    """Write the kernels of graphs by their names to a CSV file."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for name, kernels in sorted(graphs.items()):
            for kernel, times in kernels.items():
                values = (f"{value:.10g}" if isinstance(value, float) else value for value in astuple(kernel))
                writer.writerow([name, times, *(int(v) if isinstance(v, bool) else v for v in values)])


def read(path: Path) -> dict[str, Counter[Kernel]]:
    """Read what `write` wrote."""
    graphs: dict[str, Counter[Kernel]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            kernel = Kernel(
                kind=KINDS[KINDS.index(row["kind"])],
                int8=row["int8"] == "1",
                winograd=row["winograd"] == "1",
                function=row["function"] == "1",
                groups=int(row["groups"]),
                rows=int(row["rows"]),
                columns=int(row["columns"]),
                depth=int(row["depth"]),
                channels=int(row["channels"]),
                flops=float(row["flops"]),
                activations=float(row["activations"]),
                written=float(row["written"]),
                weights=float(row["weights"]),
            )
            graphs.setdefault(row["graph"], Counter())[kernel] += int(row["count"])
    return graphs
