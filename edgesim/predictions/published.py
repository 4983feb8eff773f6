"""Published times of networks on boards, and the fingerprint by which a network is recognised.

`published.csv` has the figures, each with its source; ``python -m benchmarks.published_figures`` writes it. A network
is recognised by its graph: names, operator sets and folded normalizations do not matter.
"""

import csv
import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from edgesim.errors import ModelError
from edgesim.units import format_ms

if TYPE_CHECKING:
    from edgesim.predictions.model_reader import ModelReader
    from edgesim.predictions.node import Node
    from edgesim.profiles import DeviceProfile

FILE = Path(__file__).with_suffix(".csv")
# A few products alone are no network: heads and toys would be taken for one another.
_FEWEST_PRODUCTS = 5
_SMOOTH = frozenset(("Sigmoid", "Swish", "QuickGelu"))
_MAP_DIMENSIONS = 4


@dataclass(frozen=True, kw_only=True)
class PublishedFigure:
    """A published time of one network on one board.

    Attributes:
        fingerprint: of the network's graph at `input_shape`; empty where no graph of the network is at hand.
        profiles: names of the profiles that describe the board.
        board, power_mode, release, measure: as the source states them, or ``not stated``; `release` is the runtime's.
        target: as of `edgesim.predict`: ``gpu:tensorrt-fp16``, ``cpu``.
        family: the networks that this one is a variant of.
        graph: name of the graph that the fingerprint is of.
        ms: of one inference of `batch` samples, in the statistic `stat`.
        includes_io: whether transfers of inputs and outputs are part of it, as far as the source says.
    """

    fingerprint: str
    profiles: tuple[str, ...]
    board: str
    power_mode: str
    target: str
    runtime: str
    release: str
    model: str
    family: str
    graph: str
    input_shape: str
    batch: int
    ms: float
    stat: str
    measure: str
    includes_io: str
    quality: str
    source: str
    note: str

    def __str__(self) -> str:
        """Return the figure in words, with its source: what was measured, under which release, and who says so."""
        mode = "" if self.power_mode.startswith("not stated") else f", {self.power_mode}"
        release = "" if self.release.startswith("not stated") else f", {self.release}"
        note = f"; {self.note}" if self.note else ""
        return (
            f"{format_ms(self.ms)} ms for {self.model} on {self.board}{mode}: {self.runtime}{release}; {self.measure}, "
            f"{self.stat}{note}; {self.source}"
        )


def fingerprint(nodes: Sequence["Node"]) -> str:
    """Return the fingerprint of a network: equal for equal convolutions, products, sums and kind of activation.

    Args:
        nodes: as `edgesim.predictions.graph.read_graph` reads them, at the sizes of the inputs that are compared.

    Returns:
        16 hexadecimal digits; an empty text for a graph with too few products to be recognised.
    """
    products = Counter((*node.product, node.flops) for node in nodes if node.product is not None)
    if products.total() < _FEWEST_PRODUCTS:
        return ""
    smooth = sum(node.operation in _SMOOTH and _is_map(node) for node in nodes)
    features = [
        *(f"{count} {rows}x{columns}x{depth} {flops}" for (rows, columns, depth, flops), count in products.items()),
        f"sums {sum(_is_sum(node) for node in nodes)}",
        # Not which one: an exporter writes a clip or a ReLU, a swish or its parts.
        f"smooth {2 * smooth >= products.total()}",
    ]
    return hashlib.sha256("\n".join(sorted(features)).encode()).hexdigest()[:16]


def _is_map(node: "Node") -> bool:
    """Whether a node gives feature maps, which heads and gates do not."""
    return len(node.shape) == _MAP_DIMENSIONS and math.prod(node.shape[2:]) > 1


def _is_sum(node: "Node") -> bool:
    """Whether a node adds two feature maps of one size, which no exporter makes of anything else."""
    if node.operation != "Add":
        return "Add" in node.fused and _is_map(node)
    return _is_map(node) and not node.weight_bytes and node.read_bytes == 2 * node.written_bytes


@cache
def figures() -> tuple[PublishedFigure, ...]:
    """Return all published figures."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return tuple(
            PublishedFigure(
                **{key: row[key] for key in row if key not in ("profiles", "batch", "ms")},
                profiles=tuple(row["profiles"].split()),
                batch=int(row["batch"]),
                ms=float(row["ms"]),
            )
            for row in csv.DictReader(file)
        )


def find(profile: "DeviceProfile", reader: "ModelReader", target: str) -> tuple[PublishedFigure, ...]:
    """Return the published figures of a model's network on a target of a board, at the same sizes and batch only."""
    own = [
        figure
        for figure in figures()
        if profile.name in figure.profiles and figure.target == target and figure.batch == reader.batch
    ]
    if not own:
        return ()
    try:
        network = fingerprint(reader.graph().nodes)
    except ModelError:
        return ()
    return tuple(figure for figure in own if network and figure.fingerprint == network)
