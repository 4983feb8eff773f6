"""The check before a release: profile + model → board → answers, memory, libraries → a verdict for each."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from edgesim import __version__, profiles
from edgesim.boards.start import DESCRIPTION, Board, Launch, start, where
from edgesim.delivery.deliver import model_mounts
from edgesim.errors import (
    DeviceError,
    EmulatorCrashed,
    IllegalInstruction,
    ModelError,
    NotReady,
    OutOfMemory,
    UsageError,
)
from edgesim.images import python_packages
from edgesim.jobs.emulator_memory import emulator_memory
from edgesim.loadgen import client, inputs
from edgesim.measure import output_difference
from edgesim.measure import reference as agreement
from edgesim.measure.output_difference import Tolerance
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import MountMethod, RunKeywords, RunOptions
from edgesim.predictions import graph
from edgesim.profiles import DeviceProfile
from edgesim.progress import Listener, Stages
from edgesim.results.verdict import Check, Item, Verdict
from edgesim.units import format_bytes, format_seconds

GOLDEN = "golden.npz"  # the right outputs for the model's own samples, beside them
# Real inputs beyond these tell little more, and an emulated one takes seconds.
_MOST_REQUESTS = 8
_TIMEOUT_S = 600.0
# Of the memory that the board leaves to programs; what is below it is too near for a week of running.
_HEADROOM = 0.1
# In points: what a board may be worse than this host.
_MOST_ACCURACY_LOST = 0.01
_LOW_PRECISION = {
    "QLinearConv",
    "QLinearMatMul",
    "ConvInteger",
    "MatMulInteger",
    "DynamicQuantizeLinear",
    "QuantizeLinear",
    "DequantizeLinear",
    "QGemm",
}


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """What a check looks at in addition to what every check does.

    Attributes:
        reference: a model whose outputs on this host are right; None means the model itself, or its golden outputs.
        tolerance: of the outputs; None means by their types.
        outside_container: whether the model will run on the vendor's system and not in a container.
        max_artifact_bytes: the most that the model's files may take.
    """

    reference: Path | None = None
    tolerance: Tolerance | None = None
    outside_container: bool = False
    max_artifact_bytes: int | None = None


def check(
    profile: str | Path | DeviceProfile,
    model: str | Path,
    checks: CheckOptions | None = None,
    options: RunOptions | None = None,
    *,
    listener: Listener | None = None,
    **keywords: Unpack[RunKeywords],
) -> Check:
    """Check before a release what a board will do with a model.

    What the model or the board does wrong is an item that fails, and no exception.

    Args:
        profile: a profile's name, ``name:mode``, a path to a YAML file, or a profile.
        model: a model's name in the repository, or a path to an ``.onnx`` file.
        checks: what is looked at in addition.
        options: `models` and the sections `inputs` and `board` apply; real inputs may come with `labels`.
        keywords: single options by name.

    Raises:
        UsageError: the profile, the options or the files beside the model are wrong, or there is no such model.
        HostError: this host cannot run the board.
    """
    checks, stages = checks if checks is not None else CheckOptions(), Stages(listener)
    options = RunOptions.of(options, **keywords)
    model_reference, models = model, options.models
    board_profile = profiles.load(profile)

    def verdict(
        items: list[Item],
        execution: str | None = None,
        name: str = str(model_reference),
        mounted: MountMethod | None = None,
    ) -> Check:
        return Check(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            edgesim_version=__version__,
            profile=board_profile.reference,
            board=board_profile.title,
            model=name,
            execution=execution,
            items=tuple(items),
            mount=mounted,
        )

    try:
        subject = repository.find(str(model_reference), models)
    except ModelError as error:
        if not _exists(str(model_reference), models):
            raise
        return verdict([Item(name="artefact", verdict="FAIL", finding=error.problem)])
    items = [_artefact(subject, checks)]
    with stages.stage("reference", "running the reference on this host"):
        chosen = inputs.choose(subject, options.inputs)
        reference = _reference(subject, chosen, checks, options.inputs.input)
    launch = Launch(
        profile=board_profile,
        mounts=model_mounts(subject, board_profile.image.mount_point),
        models=[subject],
        engine=options.board.engine,
        context=where(options.board.engine, options.board.context),
        base=options.board.base_image,
        way=options.board.mount,
        volume=options.board.volume,
        ready_timeout_s=options.board.ready_timeout_s,
    )
    try:
        with start(launch, stages) as board:
            items += _on_the_board(board, launch, subject, chosen, reference, checks, stages)
            execution, mounted = board.execution, board.mount
    except DeviceError as error:
        return verdict([*items, _failure(error)], name=subject.name)
    if checks.outside_container:
        items.append(_libraries(board_profile))
    return verdict(items, execution, subject.name, mounted)


def _exists(reference: str, repository: Path | None) -> bool:
    """Whether there is something of that name, whatever is wrong with it."""
    if reference.endswith(".onnx"):
        return Path(reference).exists()
    return any((directory / reference).is_dir() for directory in (repository or Path("models"),))


def _artefact(subject: Model, checks: CheckOptions) -> Item:
    files = 1 + len(subject.data_paths)
    words = f"{format_bytes(subject.size_bytes)} in {files} file{'s' if files > 1 else ''}, opset {subject.opset}"
    if checks.max_artifact_bytes is None:
        return Item(name="artefact", verdict="PASS", finding=words)
    fits = subject.size_bytes <= checks.max_artifact_bytes
    return Item(
        name="artefact",
        verdict="PASS" if fits else "FAIL",
        finding=f"{words}; at most {format_bytes(checks.max_artifact_bytes)}",
    )


@dataclass(frozen=True)
class _Right:
    """The right outputs, one mapping for each request, and where they come from; `problem` says why there are none."""

    requests: list[inputs.Arrays]
    outputs: Sequence[Mapping[str, NDArray[Any]]]
    origin: str
    labelled: NDArray[np.int64] | None = None
    problem: str = ""


def _reference(subject: Model, chosen: inputs.Inputs, checks: CheckOptions, real_inputs: Path | None) -> _Right:
    # A labelled set goes through as the one batch that the accuracy takes anyway: every sample is looked at.
    requests = [chosen.labelled[0]] if chosen.labelled is not None else list(chosen.requests[:_MOST_REQUESTS])
    golden = subject.samples_path.with_name(GOLDEN) if subject.samples_path is not None else None
    if checks.reference is None and real_inputs is None and golden is not None and golden.is_file():
        outputs = _golden(golden, requests)
        labelled = _classes(outputs[0]) if chosen.labelled is not None else None
        return _Right(requests, outputs, f"the golden outputs in {golden.name}", labelled)
    yardstick = repository.find(str(checks.reference)) if checks.reference is not None else subject
    origin = f"{yardstick.path.name} on this host" if checks.reference is not None else "this host"
    try:
        session = agreement.Reference(yardstick)
        outputs = [session.run(arrays) for arrays in requests]
        labelled = _classes(outputs[0]) if chosen.labelled is not None else None
    except ModelError as error:
        return _Right(requests, [], origin, problem=error.problem)
    except Exception as error:  # ONNX Runtime's share no base but this
        if checks.reference is not None:
            raise UsageError(f"--reference {checks.reference}: does not take this model's inputs: {error}") from error
        return _Right(requests, [], origin, problem=" ".join(str(error).split()))
    return _Right(requests, outputs, origin, labelled)


def _golden(path: Path, requests: Sequence[inputs.Arrays]) -> list[Mapping[str, NDArray[Any]]]:
    """The outputs for each request, from a file that has them for all samples along the first axis.

    Raises:
        ModelError: it is no such file, or has too few.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not a file of outputs: {error}", fix="numpy.savez makes one") from error
    rows, begin = [], 0
    for request in requests:
        count = len(next(iter(request.values())))
        rows.append({name: values[begin : begin + count] for name, values in arrays.items()})
        begin += count
    if not arrays or min(map(len, arrays.values())) < begin:
        raise ModelError(f"{path}: has outputs for fewer samples than there are inputs")
    return list(rows)


def _on_the_board(
    board: Board,
    launch: Launch,
    subject: Model,
    chosen: inputs.Inputs,
    right: _Right,
    checks: CheckOptions,
    stages: Stages,
) -> Iterator[Item]:
    """What a board that has loaded the model does with it.

    Raises:
        DeviceError: it died.
    """
    with closing(client.Client(board.device.direct_url, subject, timeout_s=_TIMEOUT_S)) as peer:
        description = peer.get_json(DESCRIPTION)
        runtime = description.get("runtime", "its runtime")
        yield _passed("loads", f"{runtime} on {description.get('cpu_model') or board.execution}")
        yield _passed("operations", f"a kernel for each of {len(subject.operations)} kinds")
        with stages.stage("answers", "comparing the board's answers with the right ones"):
            answers = [peer.infer(peer.encode(arrays)) for arrays in right.requests]
            failed = [answer.outcome for answer in answers if answer.outcome != "ok"]
            if failed:
                state = board.device.state()
                if not state.running:
                    raise board.death(state, "answering")
                yield Item(name="answers", verdict="FAIL", finding=f"a request failed: {failed[0]}")
            else:
                ours = [client.decode(answer.payload) for answer in answers]
                yield _answers(ours, right, checks)
        if chosen.labelled is not None and not failed:
            yield _accuracy(ours[0], chosen.labelled[1], right)
        yield from _low_precision(subject, chosen.requests[0], launch.profile, description)
        reading = board.device.read()
    yield _memory(reading.memory_peak_bytes, board, launch, stages)
    yield _cold_start(board, description, subject, launch.profile)


def _answers(ours: list[dict[str, NDArray[Any]]], right: _Right, checks: CheckOptions) -> Item:
    if right.problem:
        return Item(name="answers", verdict="INCONCLUSIVE", finding=f"nothing to compare with: {right.problem}")
    try:
        differences = output_difference.compare(ours, right.outputs, checks.tolerance)
    except ValueError as error:
        return Item(name="answers", verdict="FAIL", finding=f"not those of {right.origin}: {error}")
    worst = max(differences, key=lambda difference: (not difference.within, difference.max_absolute))
    words = [
        f"{worst.output} differs from {right.origin} by {worst.max_absolute:.2g} at most"
        f" ({worst.max_relative:.2g} relative, cosine {worst.cosine:.6f})"
    ]
    if worst.max_absolute:
        place = ", ".join(map(str, worst.worst[1:]))
        words.append(f"worst at [{place}] of request {worst.worst[0]}: {worst.ours:.6g} for {worst.theirs:.6g}")
    if worst.top_1 is not None:
        words.append(f"same class for {100 * worst.top_1:.0f} %")
    samples = sum(len(next(iter(request.values()))) for request in right.requests)
    count = f"over {samples} sample{'s' if samples > 1 else ''}"
    return Item(name="answers", verdict="PASS" if worst.within else "FAIL", finding=f"{'; '.join(words)}; {count}")


def _classes(outputs: Mapping[str, NDArray[Any]]) -> NDArray[np.int64] | None:
    """The class of each row, by the first output that has classes."""
    scores = next((values for values in outputs.values() if values.ndim == 2 and values.shape[1] > 1), None)
    return scores.argmax(axis=1) if scores is not None else None


def _accuracy(ours: Mapping[str, NDArray[Any]], labels: NDArray[np.int64], right: _Right) -> Item:
    classes = _classes(ours)
    if classes is None:
        return Item(name="accuracy", verdict="INCONCLUSIVE", finding="no output of it is class scores")
    board = float((classes == labels).mean())
    words = f"{100 * board:.2f} % of {len(labels)}"
    if right.labelled is None:
        return Item(name="accuracy", verdict="INCONCLUSIVE", finding=f"{words}, and nothing to compare with")
    host = float((right.labelled == labels).mean())
    lost = host - board
    words += (
        f"; {right.origin} {100 * host:.2f} % ({100 * lost:.2f} points lost, {100 * _MOST_ACCURACY_LOST:g} at most)"
    )
    return Item(name="accuracy", verdict="PASS" if lost <= _MOST_ACCURACY_LOST else "FAIL", finding=words)


def _low_precision(
    subject: Model, request: Mapping[str, np.ndarray], board: DeviceProfile, description: Mapping[str, Any]
) -> Iterator[Item]:
    """Which kernels it takes is what the core has; what they cost is in the answers and the accuracy."""
    features = set(description.get("cpu_features", ())) or set(board.cpu.features)
    found = []
    if quantized := sum(count for kind, count in subject.operations.items() if kind in _LOW_PRECISION):
        kernels = "i8mm" if "i8mm" in features else "dot product" if "asimddp" in features else "plain"
        found.append(f"{quantized} quantized operations on {kernels} kernels")
    if halves := _half_precision(subject, request):
        # As ONNX Runtime's optimized graphs show under the emulator: casts around all of it, or half kernels.
        kernels = "on FP16 kernels as far as the runtime has them" if "asimdhp" in features else "computed in FP32"
        found.append(f"{halves} operations in FP16, {kernels} (the core {_has('asimdhp', features)})")
    if found:
        yield _passed("low precision", f"{'; '.join(found)}; what that costs is in answers and accuracy")


def _has(feature: str, features: Collection[str]) -> str:
    return f"has {feature}" if feature in features else f"lacks {feature}"


def _half_precision(subject: Model, request: Mapping[str, np.ndarray]) -> int:
    """How many operations give half precision; 0 where their sizes are only known at run time."""
    try:
        nodes = graph.read(subject.path, shapes={name: array.shape for name, array in request.items()})
    except ModelError:
        return 0
    return sum(node.precision == "fp16" for node in nodes)


def _memory(peak_bytes: int | None, board: Board, launch: Launch, stages: Stages) -> Item:
    if peak_bytes is None:
        return Item(name="memory", verdict="INCONCLUSIVE", finding="this host does not tell the peak")
    memory = launch.profile.memory
    room = int(memory.usable_bytes or memory.visible_bytes)
    emulator = emulator_memory(launch, board, stages)
    least = peak_bytes - (emulator.share_bytes if emulator is not None else 0)
    words = f"peak {format_bytes(peak_bytes)}"
    if emulator is not None:
        words += f", {format_bytes(least)} without the emulator"
    words += f"; {format_bytes(room)} {'usable' if memory.usable_bytes else 'seen by Linux'} on the board"
    allowed = (1 - _HEADROOM) * room
    # Without the emulator it is less than the peak and, the estimate being a lower bound of that, no more than `least`.
    verdict: Verdict = "PASS" if least <= allowed else "INCONCLUSIVE" if emulator is not None else "FAIL"
    return Item(name="memory", verdict=verdict, finding=f"{words}, {100 * (1 - least / room):.0f} % left")


def _cold_start(board: Board, description: Mapping[str, Any], subject: Model, on: DeviceProfile) -> Item:
    load_s = description.get("model_load_s", {}).get(subject.name)
    words = [f"ready {format_seconds(board.ready_s)} after the start"]
    words += [f"model loaded in {format_seconds(load_s)}"] if load_s is not None else []
    if board.execution != "native":
        words[-1] += f" ({board.execution} time, not the board's)"
    if on.storage and on.storage[0].read_bytes_per_s:
        rate = on.storage[0].read_bytes_per_s
        held = board.limits is not None and board.limits.read_bytes_per_s is not None
        words.append(
            f"reading it from the board's storage takes {format_seconds(subject.size_bytes / rate)} at least"
            f"{'' if held else ' (not simulated here)'}"
        )
    return _passed("cold start", "; ".join(words))


def _libraries(on: DeviceProfile) -> Item:
    """The C library that the runtime's packages were built for, against the vendor's."""
    needed = python_packages.glibc_needed(python_packages.ensure(on.architecture))
    words = f"the runtime's packages need glibc {'.'.join(map(str, needed))}"
    if on.system is None or on.system.glibc is None:
        return Item(name="libraries", verdict="INCONCLUSIVE", finding=f"{words}; the board's is not known")
    theirs = tuple(map(int, on.system.glibc.split(".")))
    verdict: Verdict = "PASS" if theirs >= needed else "FAIL"
    return Item(name="libraries", verdict=verdict, finding=f"{words}; {on.system.name} has {on.system.glibc}")


def _failure(error: DeviceError) -> Item:
    """Why the board did not get as far as answering."""
    said = _cause(error.log)
    finding = f"{error.problem}{f': {said}' if said else ''}"
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
    """The line in which the server says why it did not load a model."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    told = next((line for line in reversed(lines) if line.startswith("edgesim-server:")), lines[-1] if lines else "")
    # ONNX Runtime names the place in its own sources first, with the whole signature of the function.
    return re.sub(r"/onnxruntime_src/\S+ .*?\) (?=[A-Z])", "", told).removeprefix("edgesim-server: ")


def _passed(name: str, finding: str) -> Item:
    return Item(name=name, verdict="PASS", finding=finding)
