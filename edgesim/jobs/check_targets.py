"""The check's items for accelerators: whether the runtime of the board's release takes a model, by its file alone.

The board's container runs on the CPU. What is said here of a GPU follows from the model, the profile, and what the
runtime's documentation says of each release.
"""

from collections.abc import Collection, Iterator, Sequence

from edgesim.errors import ModelError
from edgesim.models import tensorrt_support
from edgesim.models.repository import Model
from edgesim.models.tensorrt_facts import TensorRt
from edgesim.models.tensorrt_support import Findings
from edgesim.profiles import DeviceProfile
from edgesim.profiles.accelerator import Accelerator
from edgesim.results.verdict import Item, VerdictWord
from edgesim.units import format_bytes

_BYTES = {"fp32": 4, "fp16": 2, "int8": 1}
# Of each kind of reason; the rest is counted.
_MOST_REASONS = 4


def items(profile: DeviceProfile, model: Model, targets: Collection[str] | None = None) -> Iterator[Item]:
    """Yield an item for each target of a board that is an accelerator.

    What is the same for all precisions of an accelerator stands in its first item.

    Args:
        targets: names of targets, all of which the board has; None means all.
    """
    for accelerator in profile.accelerators:
        chosen = [target for target in accelerator.targets if targets is None or target in targets]
        if chosen:
            yield from _of_accelerator(accelerator, chosen, profile, model)


def _of_accelerator(
    accelerator: Accelerator, targets: Sequence[str], profile: DeviceProfile, model: Model
) -> Iterator[Item]:
    findings = _examine(accelerator, model)
    if isinstance(findings, str):
        for target in targets:
            yield Item(name=target, verdict="INCONCLUSIVE", finding=findings)
        return
    common = "; ".join((*_common_words(findings, model), *findings.remarks))
    for target in targets:
        precision = target.rpartition("-")[2]
        refused = list(_of_precision(precision, accelerator, findings))
        weights, fits = _weights(precision, accelerator, profile, model)
        own = [weights] if not fits or (target == targets[0] and model.parameters) else []
        if precision == "int8" and not findings.is_quantized and not refused:
            own.append("int8 takes calibration data, or a model with QuantizeLinear and DequantizeLinear")
        is_refused = bool(refused or findings.refused or not fits)
        verdict: VerdictWord = "FAIL" if is_refused else "INCONCLUSIVE" if findings.doubted else "PASS"
        if target == targets[0]:
            words = [*refused, f"TensorRT {findings.facts.version} {common}", *own]
        else:
            words = [*refused, *own, f"{'otherwise ' if refused or own else ''}as {targets[0]}"]
        figures = {"parts": float(findings.parts), "left": float(sum(findings.left.values()))}
        yield Item(name=target, verdict=verdict, finding="; ".join(words), figures=figures)


def _common_words(findings: Findings, model: Model) -> Iterator[str]:
    """Yield what a release makes of a model, by its documentation, after the name of the release."""
    if not findings.refused and not findings.doubted:
        yield f"takes {_kinds(len(model.operations))}, by its documentation"
    if findings.refused:
        yield f"does not take {_listed(findings.refused)}"
        yield _fallback(findings)
    if findings.doubted:
        doubts = _listed(findings.doubted)
        yield f"leaves open {doubts}"


def _examine(accelerator: Accelerator, model: Model) -> Findings | str:
    """Compare a model with the release of TensorRT that the board comes with; in words, why that cannot be done."""
    runtime = accelerator.runtime
    if runtime is None or runtime.name != "tensorrt":
        program = runtime.name if runtime is not None else "its runtime"
        return f"edgesim has no list of the operations that {program} takes on the {accelerator.title}"
    if runtime.version is None:
        return "the profile does not say which release of TensorRT the board's system comes with"
    facts = TensorRt.of(runtime.version)
    if facts is None:
        return f"edgesim has no list of the operations that TensorRT {runtime.version} takes"
    try:
        return tensorrt_support.examine(model, facts)
    except ModelError as error:
        return error.problem


def _of_precision(precision: str, accelerator: Accelerator, findings: Findings) -> Iterator[str]:
    """Yield why an engine cannot be built in a precision, or should not be."""
    if precision not in accelerator.precisions:
        slower = "; TensorRT warns that it slows a network down" if precision == "int8" else ""
        yield f"{precision} has no fast path on the {accelerator.title}{slower}"
    elif findings.is_quantized and precision != "int8":
        # "Int8 precision has been set for a layer or layer output, but int8 is not configured in the builder":
        # issue 13381 of microsoft/onnxruntime.
        has_int8 = "int8" in accelerator.precisions
        other = "another target" if has_int8 else "which has no fast path here"
        yield f"quantized operations take an engine that is built with int8, {other}"


def _fallback(findings: Findings) -> str:
    count = sum(findings.left.values())
    names = ", ".join(f"{number} {name}" for name, number in sorted(findings.left.items())[:_MOST_REASONS])
    more = ", …" if len(findings.left) > _MOST_REASONS else ""
    parts = f"{findings.parts} part{'' if findings.parts == 1 else 's'}"
    nodes = f"{count} node{'' if count == 1 else 's'}"
    return (
        f"ONNX Runtime's TensorRT provider would give TensorRT {parts} and leave {nodes} to CUDA or the CPU "
        f"({names}{more})"
    )


def _weights(precision: str, accelerator: Accelerator, profile: DeviceProfile, model: Model) -> tuple[str, bool]:
    """Return what is known of the memory that an engine takes, and whether that much fits."""
    room = int(profile.memory.usable_bytes or profile.memory.visible_bytes)
    weights = model.parameters * _BYTES.get(precision, 4)
    context = int(accelerator.context_bytes or 0)
    known = (
        f"a context about {format_bytes(context)}, activations an unknown amount more"
        if context
        else "a context and activations an unknown amount more"
    )
    words = (
        f"weights take at least {format_bytes(weights)} in {precision}, {known}, of the {format_bytes(room)} that "
        "GPU and CPU share"
    )
    return words, weights + context <= room


def _listed(reasons: Sequence[str]) -> str:
    more = f"; and {len(reasons) - _MOST_REASONS} more" if len(reasons) > _MOST_REASONS else ""
    return "; ".join(reasons[:_MOST_REASONS]) + more


def _kinds(count: int) -> str:
    return "its one kind of operation" if count == 1 else f"each of its {count} kinds of operations"
