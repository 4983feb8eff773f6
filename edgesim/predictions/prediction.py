"""Device time: how long a model takes on a board, from its graph and the profile alone."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesim import profiles
from edgesim.errors import ModelError, ProfileError
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.predictions import calibration, graph
from edgesim.predictions.calibration import Calibration
from edgesim.predictions.cost import Machine, Term, amounts, seconds, unit_seconds
from edgesim.predictions.fitted import Fitted, fitted
from edgesim.predictions.graph import Node
from edgesim.profiles import DeviceProfile

# 80 % of a normal distribution lie within so many standard deviations.
_Z80 = 1.2816
# Of the logarithm, for what no published figure tells of; assumed, and wide.
_UNKNOWN_SPREAD = {"operation": 1.0, "int8": 0.3, "fp16": 0.4, "fact": 0.3}
_ARITHMETIC: frozenset[Term] = frozenset(("products", "depthwise", "functions"))


@dataclass(frozen=True, kw_only=True)
class NodeTime:
    """A node's share: `arithmetic_ms` and `memory_ms` (with what starting it costs) add up to its time."""

    node: Node
    arithmetic_ms: float
    memory_ms: float

    @property
    def ms(self) -> float:
        return self.arithmetic_ms + self.memory_ms

    @property
    def bound(self) -> str:
        """What would have to be faster: ``compute`` or ``memory``."""
        return "compute" if self.arithmetic_ms > self.memory_ms else "memory"


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Predicted latency of one inference on the board, ONNX Runtime on its CPU.

    Attributes:
        p50_ms: the time; `low_ms` to `high_ms` hold 80 % of boards, by the errors on published figures held out.
        method: in a sentence, what it was made from.
        threads, batch: of one inference.
        notes: what makes it less sure than its band's origin, in sentences.
        nodes: in the graph's order.
    """

    p50_ms: float
    low_ms: float
    high_ms: float
    method: str
    threads: int
    batch: int = 1
    notes: tuple[str, ...] = ()
    nodes: tuple[NodeTime, ...] = ()

    @property
    def flops(self) -> int:
        return sum(time.node.flops for time in self.nodes)


def predict(
    profile_reference: str | DeviceProfile,
    model_reference: str | Path | Model,
    *,
    models: Path | None = None,
    batch: int = 1,
    threads: int | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    heed_calibration: bool = True,
) -> Prediction:
    """Device time on a board, no board and no container needed.

    A model's nodes cost arithmetic at a share of the core's peak and bytes at a share of its memory's bandwidth; the
    shares are fitted to published figures, see docs/fidelity.md. A calibration of the board is heeded.

    Args:
        models: the model repository; ``models/`` and then the sample models without.
        batch: where the model leaves its first size open, or has 1 there.
        threads: of one inference; the board's cores without.
        shapes: sizes by input name, where the model leaves more open, or for another resolution.
        heed_calibration: multiply by what `edgesim calibrate` has kept for the board, if it has.

    Raises:
        ProfileError: the board's cores are not arm64, which is all that the figures are of.
        ModelError: the model's sizes are only known at run time, or do not go together.
    """
    board = profiles.load(profile_reference)
    subject = model_reference if isinstance(model_reference, Model) else repository.find(str(model_reference), models)
    nodes = graph.read(subject.path, shapes=shapes, batch=batch)
    if not nodes:
        raise ModelError(f"{subject.path}: nothing in it is left to do at run time")
    return of_nodes(board, nodes, batch=batch, threads=threads, heed_calibration=heed_calibration)


def of_nodes(
    board: DeviceProfile,
    nodes: Sequence[Node],
    *,
    batch: int = 1,
    threads: int | None = None,
    heed_calibration: bool = True,
) -> Prediction:
    """The same for the nodes of a graph.

    Raises:
        ProfileError: the board's cores are not arm64.
    """
    if board.architecture != "arm64":
        raise ProfileError(
            f"{board.reference}: no prediction for {board.architecture}: every published figure used is of an "
            "arm64 core, and other cores take other kernels",
            fix="edgesim run measures such a board natively",
        )
    machine, known = Machine.of(board, threads), fitted()
    units = unit_seconds(machine, known.coefficients(machine.core))
    times = [seconds(node, units, machine) for node in nodes]
    calibrated = calibration.find(board) if heed_calibration else None
    extra, notes = _doubts(board.title, machine, nodes, times, known, calibrated)
    if calibrated is not None:
        factor, variance, source = calibrated.factor, calibrated.variance, f"calibrated by {calibrated.source}"
    else:
        work: Counter[Term] = Counter()
        for node in nodes:
            work.update(amounts(node))
        factor, variance = 1.0, known.variance(machine, work)
        source = "its 80 % band from published figures held out"
    p50_ms = 1e3 * factor * sum(sum(time.values()) for time in times)
    width = math.exp(_Z80 * math.sqrt(variance + extra))
    return Prediction(
        p50_ms=p50_ms,
        low_ms=p50_ms / width,
        high_ms=p50_ms * width,
        method=f"predicted from the graph for {machine.threads} threads of {machine.core}, {source}",
        threads=machine.threads,
        batch=batch,
        notes=notes,
        nodes=tuple(
            NodeTime(
                node=node,
                arithmetic_ms=1e3 * factor * sum(s for term, s in time.items() if term in _ARITHMETIC),
                memory_ms=1e3 * factor * sum(s for term, s in time.items() if term not in _ARITHMETIC),
            )
            for node, time in zip(nodes, times, strict=True)
        ),
    )


def _doubts(
    title: str,
    machine: Machine,
    nodes: Sequence[Node],
    times: Sequence[Mapping[Term, float]],
    known: Fitted,
    calibrated: Calibration | None,
) -> tuple[float, tuple[str, ...]]:
    """Variance of the logarithm beside the coefficients', and why."""
    total = sum(sum(time.values()) for time in times)

    def share(chosen: Sequence[bool]) -> float:
        return sum(sum(time.values()) for time, is_chosen in zip(times, chosen, strict=True) if is_chosen) / total

    variance, notes = 0.0, []
    if calibrated is None and machine.core not in known.seen:
        notes.append(f"ONNX Runtime on {title}: no published figure, nor on another {machine.core}; an extrapolation")
    elif calibrated is None and machine.soc not in known.seen_socs:
        notes.append(f"ONNX Runtime on {title}: no published figure, only on other boards with a {machine.core}")
    for fact in machine.guessed if calibrated is None else ():
        variance += _UNKNOWN_SPREAD["fact"] ** 2
        notes.append(f"the profile lacks {fact}: taken from boards like it")
    unknown = [not node.known for node in nodes]
    if any(unknown):
        names = ", ".join(sorted({node.operation for node in nodes if not node.known}))
        variance += (share(unknown) * _UNKNOWN_SPREAD["operation"]) ** 2
        notes.append(f"what {names} costs is not known: counted as moving its bytes")
    for precision in ("int8", "fp16"):
        chosen = [node.precision == precision for node in nodes]
        if any(chosen):
            variance += (share(chosen) * _UNKNOWN_SPREAD[precision]) ** 2
            how = "by a handful of published pairs" if precision == "int8" else "as fp32, which the runtime mostly uses"
            notes.append(f"{precision} is counted {how}")
    return variance, tuple(notes)
