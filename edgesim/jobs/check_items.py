"""The items of a pre-release check: each takes what was seen on the board and gives a verdict with its figures."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.boards.board import Board
from edgesim.errors import (
    DeviceError,
    EmulatorCrashed,
    IllegalInstruction,
    ModelError,
    NotReady,
    OutOfMemory,
)
from edgesim.host.identity import KERNEL_FEATURES
from edgesim.images import runtime_releases
from edgesim.images.runtime_releases import RuntimeRelease
from edgesim.loadgen.inputs import Arrays
from edgesim.measure import output_difference
from edgesim.measure.output_difference import Tolerance
from edgesim.models.repository import Model
from edgesim.options import Execution
from edgesim.predictions.node import Node
from edgesim.predictions.onnxruntime_cpu import read_model
from edgesim.profiles import DeviceProfile
from edgesim.results.sections import EmulatorSection
from edgesim.results.verdict import Item, VerdictWord
from edgesim.units import format_bytes, format_seconds

# Part of the memory that the board leaves to programs: less headroom is too little for a week of running.
_HEADROOM = 0.1
# How much less accurate than this host a board may be, as a part of all samples.
_MOST_ACCURACY_LOST = 0.01
# Operations between a quantized part of a graph and the rest of it, which compute nothing in low precision.
_BETWEEN = frozenset(("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"))


@dataclass(frozen=True)
class ReferenceOutputs:
    """The right outputs, one mapping of arrays for each request, and their origin in words.

    `problem` says why there are no outputs.
    """

    requests: Sequence[Arrays]
    outputs: Sequence[Mapping[str, NDArray[Any]]]
    origin: str
    problem: str = ""


def artifact(model: Model, most_bytes: int | None) -> Item:
    """Judge the size of the model's files; None allows any size."""
    files = 1 + len(model.data_paths)
    words = f"{format_bytes(model.size_bytes)} in {files} file{'s' if files > 1 else ''}, opset {model.opset_words}"
    if most_bytes is None:
        return _passed("artifact", words)
    return Item(
        name="artifact",
        verdict="PASS" if model.size_bytes <= most_bytes else "FAIL",
        finding=f"{words}; at most {format_bytes(most_bytes)}",
    )


def loaded(model: Model, description: Mapping[str, Any], execution: str) -> Iterator[Item]:
    """Yield the items that a server proves by having loaded the model."""
    runtime = description.get("runtime", "its runtime")
    yield _passed("loads", f"{runtime} on {description.get('cpu_model') or execution}")
    yield _passed("operations", f"a kernel for each of {len(model.operations)} kinds")


def answers(
    outputs: Sequence[Mapping[str, NDArray[Any]]], reference: ReferenceOutputs, tolerance: Tolerance | None
) -> Item:
    """Judge the board's outputs by the reference outputs; the tolerance is by output type if None is given."""
    if reference.problem:
        return Item(name="answers", verdict="INCONCLUSIVE", finding=f"nothing to compare with: {reference.problem}")
    try:
        differences = output_difference.compare(outputs, reference.outputs, tolerance)
    except ValueError as error:
        return Item(name="answers", verdict="FAIL", finding=f"differ from {reference.origin}: {error}")
    worst = max(differences, key=lambda difference: (not difference.within, difference.max_absolute))
    words = [
        f"{worst.output} differs from {reference.origin} by at most {worst.max_absolute:.2g}"
        f" ({worst.max_relative:.2g} relative, cosine {worst.cosine:.6f})"
    ]
    if worst.max_absolute:
        place = ", ".join(map(str, worst.worst[1:]))
        words.append(
            f"worst at [{place}] of request {worst.worst[0]}: {worst.actual:.6g} instead of {worst.expected:.6g}"
        )
    if worst.top_1 is not None:
        words.append(f"same class for {100 * worst.top_1:.0f} %")
    samples = sum(len(next(iter(request.values()))) for request in reference.requests)
    count = f"over {samples} sample{'s' if samples > 1 else ''}"
    return Item(name="answers", verdict="PASS" if worst.within else "FAIL", finding=f"{'; '.join(words)}; {count}")


def accuracy(outputs: Mapping[str, NDArray[Any]], labels: NDArray[np.int64], reference: ReferenceOutputs) -> Item:
    """Judge the share of labelled samples that the board classifies right, by the reference's share."""
    classes = _classes(outputs)
    if classes is None:
        return Item(name="accuracy", verdict="INCONCLUSIVE", finding="no output has class scores")
    board = float((classes == labels).mean())
    words = f"{100 * board:.2f} % of {len(labels)}"
    reference_classes = _classes(reference.outputs[0]) if reference.outputs else None
    if reference_classes is None:
        return Item(name="accuracy", verdict="INCONCLUSIVE", finding=f"{words}, and nothing to compare with")
    host = float((reference_classes == labels).mean())
    lost = host - board
    words += (
        f"; {reference.origin} {100 * host:.2f} %"
        f" ({100 * lost:.2f} points lost, at most {100 * _MOST_ACCURACY_LOST:g} allowed)"
    )
    return Item(name="accuracy", verdict="PASS" if lost <= _MOST_ACCURACY_LOST else "FAIL", finding=words)


def _classes(outputs: Mapping[str, NDArray[Any]]) -> NDArray[np.int64] | None:
    """Return the class of each row by the first output with class scores; None if no output has any."""
    scores = next((values for values in outputs.values() if values.ndim == 2 and values.shape[1] > 1), None)
    return scores.argmax(axis=1) if scores is not None else None


def low_precision(
    model: Model,
    request: Mapping[str, np.ndarray],
    profile: DeviceProfile,
    description: Mapping[str, Any],
    execution: Execution,
) -> Iterator[Item]:
    """Say which kernels quantized and half-precision operations take; their cost shows in answers and accuracy.

    On a host of the board's architecture that is not the board, these kernels can be others than the board's: their
    answers then decide nothing.
    """
    features = set(description.get("cpu_features", ())) or set(profile.cpu.features)
    findings = []
    nodes = _nodes(model, request)
    if quantized := sum(node.precision in ("int8", "int4") and node.operation not in _BETWEEN for node in nodes):
        kernels = "i8mm" if "i8mm" in features else "dot product" if "asimddp" in features else "plain"
        findings.append(f"{quantized} quantized operations on {kernels} kernels")
    if halves := sum(node.precision == "fp16" for node in nodes):
        # ONNX Runtime's optimized graphs under the emulator show this: casts around all of them, or half kernels.
        kernels = "on FP16 kernels as far as the runtime has them" if "asimdhp" in features else "computed in FP32"
        findings.append(f"{halves} operations in FP16, {kernels} (the core {_has('asimdhp', features)})")
    if not findings:
        return
    words = f"{'; '.join(findings)}; answers and accuracy include the loss"
    different = sorted((features ^ set(profile.cpu.features)) & KERNEL_FEATURES)
    if execution == "same-architecture" and different:
        words += f"; this host and the board's core differ in {', '.join(different)}, so the board takes other kernels"
        yield Item(name="low precision", verdict="INCONCLUSIVE", finding=words)
    else:
        yield _passed("low precision", words)


def _has(feature: str, features: Collection[str]) -> str:
    return f"has {feature}" if feature in features else f"lacks {feature}"


def _nodes(model: Model, request: Mapping[str, np.ndarray]) -> Sequence[Node]:
    """Return the nodes as the runtime fuses them; none if this host cannot tell their sizes."""
    try:
        shapes = {name: array.shape for name, array in request.items()}
        return read_model(model, shapes=shapes, arrays=request).nodes
    except ModelError:
        return ()


def memory(peak_bytes: int | None, emulator: EmulatorSection | None, profile: DeviceProfile, *, emulated: bool) -> Item:
    """Judge the peak of the device's memory by what the board leaves to programs.

    Args:
        emulator: the emulator's own share, a lower bound; None if the device was not emulated or it is not known.
        emulated: whether the emulator's memory is in the peak.
    """
    if peak_bytes is None:
        return Item(name="memory", verdict="INCONCLUSIVE", finding="this host does not report the peak")
    room = int(profile.memory.usable_bytes or profile.memory.visible_bytes)
    without_emulator = peak_bytes - (emulator.share_bytes if emulator is not None else 0)
    words = f"peak {format_bytes(peak_bytes)}"
    if emulator is not None:
        words += f", {format_bytes(without_emulator)} without the emulator"
    words += f"; {format_bytes(room)} {'usable' if profile.memory.usable_bytes else 'seen by Linux'} on the board"
    # The board needs less than the peak, and at most `without_emulator`, since the emulator's share is a lower bound.
    fits = without_emulator <= (1 - _HEADROOM) * room
    verdict: VerdictWord = "PASS" if fits else "INCONCLUSIVE" if emulated else "FAIL"
    return Item(name="memory", verdict=verdict, finding=f"{words}, {100 * (1 - without_emulator / room):.0f} % left")


def cold_start(board: Board, description: Mapping[str, Any], model: Model, profile: DeviceProfile) -> Item:
    """Say how long the board took from its start to being ready."""
    load_s = description.get("model_load_s", {}).get(model.name)
    words = [f"ready {format_seconds(board.ready_s)} after the start"]
    words += [f"model loaded in {format_seconds(load_s)}"] if load_s is not None else []
    if board.execution == "same-architecture" or profile.has_core_of_host:
        words[-1] += " (this host's time, not the board's)"
    elif board.execution != "native":
        words[-1] += f" ({board.execution} time, not the board's)"
    if profile.storage and profile.storage[0].read_bytes_per_s:
        rate = profile.storage[0].read_bytes_per_s
        limited = board.limits is not None and board.limits.read_bytes_per_s is not None
        words.append(
            f"reading the model from the board's storage takes at least {format_seconds(model.size_bytes / rate)}"
            f"{'' if limited else ' (not simulated here)'}"
        )
    return _passed("cold start", "; ".join(words))


def libraries(profile: DeviceProfile, release: RuntimeRelease) -> Item:
    """Judge whether a wheel of the release runs on the vendor's system: with its C library and its Python."""
    wheels, system = release.wheels, profile.system
    glibc = ".".join(map(str, wheels.glibc))
    words = f"the wheels of {release} need glibc {glibc} and Python 3.{wheels.oldest} to 3.{wheels.newest}"
    if system is None or system.glibc is None:
        return Item(name="libraries", verdict="INCONCLUSIVE", finding=f"{words}; the board's system is not known")
    has = [f"glibc {system.glibc}"] + ([f"Python {system.python}"] if system.python is not None else [])
    words += f"; {system.name} has {' and '.join(has)}"
    runs = tuple(map(int, system.glibc.split("."))) >= wheels.glibc
    if system.python is not None:
        runs = runs and wheels.oldest <= int(system.python.partition(".")[2]) <= wheels.newest
        newest = runtime_releases.newest_for(system.python, system.glibc)
        if not runs and newest is not None:
            words += f": {newest.version} is the newest release for it"
    return Item(name="libraries", verdict="PASS" if runs else "FAIL", finding=words)


def failure(error: DeviceError) -> Item:
    """Say why the board did not get as far as answering."""
    cause = _cause(error.log)
    finding = f"{error.problem}{f': {cause}' if cause else ''}"
    if isinstance(error, OutOfMemory):
        return Item(name="memory", verdict="FAIL", finding=error.problem)
    if isinstance(error, IllegalInstruction):
        return Item(name="instructions", verdict="FAIL", finding=error.problem)
    if isinstance(error, EmulatorCrashed | NotReady):
        return Item(name="loads", verdict="INCONCLUSIVE", finding=error.problem)
    if re.search(r"Could not find an implementation|NOT_IMPLEMENTED|is not a registered function/op", error.log):
        return Item(name="operations", verdict="FAIL", finding=finding)
    return Item(name="loads", verdict="FAIL", finding=finding)


def _cause(log: str) -> str:
    """Return the line in which the server says why it did not load a model, else the last line of its log."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    cause = next((line for line in reversed(lines) if line.startswith("edgesim-server:")), lines[-1] if lines else "")
    # ONNX Runtime begins with the place in its own sources and the whole signature of the function there.
    return re.sub(r"/onnxruntime_src/\S+ .*?\) (?=[A-Z])", "", cause).removeprefix("edgesim-server: ")


def _passed(name: str, finding: str) -> Item:
    return Item(name=name, verdict="PASS", finding=finding)
