"""The predictor of TensorRT on a board's GPU: from the model's graph and the profile alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from edgesim.errors import ModelError, ProfileError
from edgesim.predictions import band, calibration
from edgesim.predictions.calibration import Calibration
from edgesim.predictions.cost import Machine
from edgesim.predictions.model_reader import ModelReader
from edgesim.predictions.prediction import Declined, NodeTime, Prediction
from edgesim.predictions.refusals import require_loadable
from edgesim.predictions.server_time import ServerTime
from edgesim.profiles import DeviceProfile
from edgesim.profiles.accelerator import Accelerator

if TYPE_CHECKING:
    from edgesim.predictions.graph import Graph
    from edgesim.predictions.node import Node
    from edgesim.predictions.tensorrt.cost import Costs, TargetPrecision
    from edgesim.predictions.tensorrt.fitted import FittedCoefficients

_RUNTIME = "tensorrt"
# Standard deviations of the logarithm of a time, for doubts that the published figures do not quantify. Assumed.
_DOUBT_OF_ARCHITECTURE = 0.3
_DOUBT_OF_BOARD = 0.08
# Of the share of the time that such kernels take: the figures have hardly any, and TensorRT fuses some patterns of
# them that edgesim counts one by one, or has kernels of its own for them.
_DOUBT_OF_OPERATION = 0.4
_UNTESTED: Mapping[str, str] = {
    **dict.fromkeys(("Softmax", "LogSoftmax"), "softmax and attention"),
    **dict.fromkeys(("LayerNormalization", "InstanceNormalization", "GroupNormalization"), "normalizations"),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), "recurrent layers"),
    **dict.fromkeys(("Attention", "MultiHeadAttention", "GroupQueryAttention"), "softmax and attention"),
    **dict.fromkeys(("TopK", "NonMaxSuppression", "NonZero", "GridSample", "ScatterND"), "selections and samplings"),
}
# A batched product of two activations is attention's.
_ATTENTION = "softmax and attention"
_DOUBT_OF_INT8_GRAPH = 0.2
_DOUBT_OF_PRECISION: Mapping[str, float] = {"fp16": 0.0, "fp32": 0.05, "int8": 0.1}
# Above this part of the time, launches rule, and a note says so.
_MOSTLY = 0.5
# A doubt about less than this part of the time is not told.
_NOTABLE = 0.05


class TensorRtGpu:
    """Predicts TensorRT on a board's GPU, by coefficients that are fitted to published figures."""

    def targets(self, profile: DeviceProfile) -> Sequence[str]:
        """Return the targets of the board's GPU, such as ``gpu:tensorrt-fp16``."""
        return [
            target
            for accelerator in profile.accelerators
            if accelerator.kind == "gpu" and accelerator.runtime is not None and accelerator.runtime.name == _RUNTIME
            for target in accelerator.targets
        ]

    def predict(
        self,
        profile: DeviceProfile,
        reader: ModelReader,
        *,
        target: str,
        threads: int | None = None,
        use_calibration: bool = True,
    ) -> Prediction | Declined:
        """Return the device time of one inference; the arguments are those of `edgesim.predict`."""
        from edgesim.predictions.tensorrt.fusions import TensorRtFusions  # here, because importing onnx takes 50 ms

        try:
            accelerator, precision = _target(profile, target)
            if accelerator.precisions and precision not in accelerator.precisions:
                return _without_fast_path(profile, accelerator, precision)
            graph = reader.graph(TensorRtFusions)
            if graph.run is None:
                require_loadable(reader.model, target)
            stored = calibration.find(profile, target) if use_calibration else None
            prediction = predict_nodes(profile, accelerator, precision, graph.nodes, stored=stored)
            server = ServerTime.of(Machine.of(profile, threads), graph.request_bytes)
            return replace(_with_run(prediction, graph), batch=reader.batch, server=server)
        except (ModelError, ProfileError) as error:
            return Declined.because_of(error)


def _target(profile: DeviceProfile, target: str) -> "tuple[Accelerator, TargetPrecision]":
    """Return the accelerator and the precision that a target names."""
    from edgesim.predictions.tensorrt.cost import PRECISIONS

    for accelerator in profile.accelerators:
        if target in accelerator.targets:
            for precision in PRECISIONS:
                if target.endswith(f"-{precision}"):
                    return accelerator, precision
    raise ProfileError(f"{profile.reference}: {target} is not a TensorRT target")


def _without_fast_path(profile: DeviceProfile, accelerator: Accelerator, precision: "TargetPrecision") -> Declined:
    """Return the refusal of a precision that the GPU has no instructions for, with the precisions that it has."""
    return Declined(
        reason=f"{profile.reference}: no {precision} on {accelerator.title}: the GPU has no fast path for it, and "
        f"an engine gains nothing; it has {', '.join(accelerator.precisions)}",
        impossible=True,
        error_class=ProfileError,
    )


def predict_nodes(
    profile: DeviceProfile,
    accelerator: Accelerator,
    precision: "TargetPrecision",
    nodes: Sequence["Node"],
    *,
    stored: Calibration | None = None,
) -> Prediction:
    """Predict the device time of the nodes of a graph that was read with `TensorRtFusions`.

    Args:
        stored: corrects the prediction, and takes the place of what figures of other boards leave open.

    Raises:
        ProfileError: the profile lacks a fact of the accelerator.
    """
    from edgesim.predictions.tensorrt.cost import Facts, costs
    from edgesim.predictions.tensorrt.fitted import load_fitted
    from edgesim.predictions.tensorrt.kernels import KernelTable, kernel_of

    fitted = load_fitted()
    kernels = [kernel_of(node) for node in nodes]
    table = KernelTable([(kernel, max(node.turns, 1)) for kernel, node in zip(kernels, nodes, strict=True)])
    facts = Facts.of(profile, accelerator, precision)
    # A graph that is quantized itself runs in int8 where it says so, whatever the target asks for.
    in_int8 = Facts.of(profile, accelerator, "int8") if "int8" in accelerator.precisions else facts
    each = Facts.joined([(in_int8 if kernel.int8 else facts, 1) for kernel in kernels])

    def seconds(coefficients: Mapping[str, float]) -> float:
        return float(costs(table, each, coefficients).total.sum()) + coefficients["inference seconds"]

    coefficients = fitted.by_name
    total = seconds(coefficients)
    parts = costs(table, each, coefficients)
    doubt, notes = _doubts(profile, accelerator, precision, nodes, parts, total, fitted, stored)
    if stored is not None:
        factor, variance, source = stored.factor, stored.variance, f"calibrated by {stored.source}"
    else:
        factor, variance = 1.0, fitted.variance(lambda values: math.log(seconds(values)))
        source = "80 % band, tested on published figures that the fit had not seen"
    scale = 1e3 * factor
    p50_ms = scale * total
    width = band.factor_of(variance + doubt)
    runtime = accelerator.runtime
    release = f" {runtime.version}" if runtime is not None and runtime.version is not None else ""
    return Prediction(
        p50_ms=p50_ms,
        low_ms=p50_ms / width,
        high_ms=p50_ms * width,
        # Without the precision, which the target's name has: reports say once what several targets share.
        method=f"predicted from the graph as TensorRT{release} would run it on {accelerator.title}, {source}",
        threads=1,
        notes=notes,
        nodes=tuple(
            NodeTime(
                node=node, arithmetic_ms=scale * float(a), memory_ms=scale * float(m), launch_ms=scale * float(start)
            )
            for node, a, m, start in zip(nodes, parts.arithmetic, parts.memory, parts.launch, strict=True)
        ),
    )


def _doubts(
    profile: DeviceProfile,
    accelerator: Accelerator,
    precision: "TargetPrecision",
    nodes: Sequence["Node"],
    parts: "Costs",
    total: float,
    fitted: "FittedCoefficients",
    stored: Calibration | None,
) -> tuple[float, tuple[str, ...]]:
    """Return the variance of the logarithm that comes on top of the fit's, and a note for each reason.

    A calibration was measured on the board itself, so the doubts about the board and the target do not apply with one.
    """
    from edgesim.predictions.tensorrt.cost import ARCHITECTURES

    variance, notes = (_DOUBT_OF_PRECISION[precision] ** 2 if stored is None else 0.0), []
    if stored is None and profile.name not in fitted.boards:
        variance += _DOUBT_OF_BOARD**2
        notes.append(f"no published figure of TensorRT on {profile.title}: predicted from the facts of its GPU")
    elif stored is None and len(repositories := fitted.boards[profile.name]) == 1:
        notes.append(
            f"all published figures of TensorRT on {profile.title} come from one source, {repositories[0]}: no second "
            "source confirms them"
        )
    if stored is None and accelerator.architecture not in ARCHITECTURES:
        variance += _DOUBT_OF_ARCHITECTURE**2
        notes.append(f"no published figure of a GPU of architecture {accelerator.architecture or 'unknown'}")
    seconds = parts.total
    for what in sorted({name for node in nodes if (name := _untested(node))}):
        share = sum(float(s) for node, s in zip(nodes, seconds, strict=True) if _untested(node) == what) / total
        variance += (share * _DOUBT_OF_OPERATION) ** 2
        if share > _NOTABLE:
            notes.append(
                f"{what}: {100 * share:.0f} % of the time, counted by arithmetic and bytes; few figures test that"
            )
    if any(node.precision in ("int8", "int4") for node in nodes):
        variance += _DOUBT_OF_INT8_GRAPH**2
        notes.append("the graph is quantized: counted as int8 where it says so; no published figure tests such graphs")
    launches = float(parts.launch.sum()) / total
    if launches > _MOSTLY:
        kernels = f"{len(nodes)} kernel{'s' if len(nodes) > 1 else ''}"
        notes.append(
            f"{100 * launches:.0f} % of the time is launches of {kernels}: a CUDA graph, a quicker or "
            "slower CPU and the release of TensorRT change it"
        )
    return variance, tuple(notes)


def _untested(node: "Node") -> str | None:
    """Return what kind of operation a node is of which few figures tell; None for others."""
    if node.operation == "MatMul" and not node.weight_bytes:
        return _ATTENTION
    return _UNTESTED.get(node.operation)


def _with_run(prediction: Prediction, graph: "Graph") -> Prediction:
    """Say which sizes are guessed, and which are of the inputs of a run on this host."""
    if graph.guessed:
        prediction = replace(prediction, notes=(graph.guessed, *prediction.notes))
    if graph.run is None:
        return prediction
    inputs = graph.run.inputs
    note = f"{graph.opened}: counted as run on this host with {inputs}; other inputs may take another time"
    return replace(prediction, notes=(*prediction.notes, note), sizes=f"a run on this host with {inputs}")
