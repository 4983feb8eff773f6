"""The items of a pre-release check: each takes what was seen on the board and gives a verdict with its figures."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.boards.board import Board
from edgesim.errors import (
    BuildFailed,
    DeviceError,
    EdgesimError,
    EmulatorCrashed,
    EngineRefused,
    IllegalInstruction,
    ImageUnavailable,
    KilledFromOutside,
    NotReady,
    OutOfMemory,
)
from edgesim.images import runtime_releases
from edgesim.images.runtime_releases import RuntimeRelease
from edgesim.inputs import Arrays
from edgesim.inputs.sequences import RequestSequence
from edgesim.measure import output_difference
from edgesim.measure.class_scores import class_scores
from edgesim.measure.detections import Detections, Matcher
from edgesim.measure.output_difference import Difference, Outputs
from edgesim.measure.reference import Reference, random_outputs
from edgesim.measure.resource_usage import ResourceUsage
from edgesim.measure.sequence_comparison import HostStep, compare_steps
from edgesim.measure.tolerance import Tolerance
from edgesim.models import custom_libraries, locales, runtime_support, session_loading
from edgesim.models.repository import Model
from edgesim.profiles import DeviceProfile
from edgesim.reports import generation_phrases
from edgesim.results.sections import DetectionsSection, EmulatorSection, SequenceSection, section
from edgesim.results.verdict import Item, VerdictWord
from edgesim.units import format_bytes, format_seconds

# One tolerance for all outputs, or by output name.
Allowed = Tolerance | Mapping[str, Tolerance] | None

# Part of the memory that the board leaves to programs: less headroom is too little for a week of running.
_HEADROOM = 0.1
# More than QEMU's user emulation takes: its buffer for translated code is 128 MiB (QEMU: tcg/region.c,
# DEFAULT_CODE_GEN_BUFFER_SIZE of user emulation on 64-bit hosts), beside its own program and stacks.
EMULATOR_ROOM = 256 << 20
# The emulator's share is that of a server whose model does nothing. The kernels of a real model are translated on top:
# at most as much again, by assumption.
_MOST_SHARES = 2
# How much less accurate than this host a board may be, as a part of all samples.
_MOST_ACCURACY_LOST = 0.01


@dataclass(frozen=True)
class ReferenceOutputs:
    """The right outputs, one mapping of arrays for each request, and their origin in words.

    Attributes:
        samples: number of samples in each request.
        again: computes the outputs once more, which shows those that are random; None for outputs from a file.
        problem: why there are no outputs.
        newest: what gave the outputs, if they are the model's own in edgesim's own release on this host.
        sequence: what makes each request of the answer before; None where each stands for itself.
        steps: the steps of the sequence that the requests are, from 0 on.
    """

    requests: Sequence[Arrays]
    outputs: Sequence[Mapping[str, NDArray[Any]]]
    origin: str
    samples: Sequence[int]
    again: Callable[[], Sequence[Mapping[str, NDArray[Any]]]] | None = None
    problem: str = ""
    newest: Reference | None = None
    sequence: RequestSequence | None = None
    steps: Sequence[int] = ()

    def fewest(self) -> "ReferenceOutputs":
        """Return the first request alone, with its outputs; and the last one of a sequence that grows until then."""
        again = self.again
        grows = self.sequence is not None and self.sequence.is_whole and len(self.requests) > 1
        chosen = [0, len(self.requests) - 1] if grows else [0]
        return replace(
            self,
            requests=[self.requests[i] for i in chosen],
            outputs=[self.outputs[i] for i in chosen if self.outputs],
            samples=[self.samples[i] for i in chosen],
            again=(lambda: [again()[i] for i in chosen]) if again is not None else None,
            steps=[self.steps[i] for i in chosen if self.steps],
        )

    def host_steps(self) -> list[HostStep]:
        """Return the steps of a sequence on this host."""
        return [HostStep(*step) for step in zip(self.steps, self.requests, self.outputs, strict=True)]


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


def custom_operations(model: Model, architecture: str) -> Item | None:
    """Judge the libraries of custom operations by their files; None for a model without any.

    Args:
        architecture: of the board's server.
    """
    files = list(custom_libraries.files(model, architecture))
    if not files:
        return None
    fine = {True: f"for {architecture}", False: "a Python package"}
    findings = [f"{file.name}: {file.problem or fine[file.path is not None]}" for file in files]
    bad = any(file.problem for file in files)
    return Item(name="custom operations", verdict="FAIL" if bad else "PASS", finding="; ".join(findings))


def loaded(model: Model, description: Mapping[str, Any], execution: str) -> Iterator[Item]:
    """Yield the items that a server proves by having loaded the model."""
    runtime = description.get("runtime", "its runtime")
    yield _passed("loads", f"{runtime} on {description.get('cpu_model') or execution}")
    yield _passed("operations", f"a kernel for {_kinds(len(model.operations))}")


def _kinds(count: int) -> str:
    return "its one kind" if count == 1 else f"each of {count} kinds"


def answers(
    outputs: Sequence[Outputs],
    reference: ReferenceOutputs,
    allowed: Allowed,
    matcher: Matcher | None = None,
) -> Item:
    """Judge the board's outputs by the reference outputs, output by output.

    A random output, and one that is NaN throughout on both sides, is INCONCLUSIVE; the worst output decides.

    Args:
        allowed: one tolerance for all outputs, or by output name; an output without one has that of its type.
        matcher: matches the rows of detections before they are compared; None leaves them in their order.
    """
    if reference.problem:
        return Item(name="answers", verdict="INCONCLUSIVE", finding=f"nothing to compare with: {reference.problem}")
    right, detections = reference.outputs, None
    if matcher is not None:
        outputs, right, detections = matcher.match(outputs, right, allowed)
    differences = output_difference.compare(outputs, right, allowed, samples=reference.samples)
    random = random_outputs(reference.outputs, reference.again, differences) if reference.again is not None else {}
    samples = sum(reference.samples)
    kind = "sample" if reference.sequence is None else "request"
    count = f"over {samples} {kind}{'s' if samples != 1 else ''}"
    judged = [difference for difference in differences if difference.output not in random]
    failed = [difference for difference in judged if not difference.within]
    unknown = [f"{name} is {words}" for name, words in random.items()]
    unknown += [f"{one.output}: these inputs give NaN on this host, too" for one in judged if one.shows_nothing]
    if judged and (failed or not unknown):
        worst = max(failed or judged, key=lambda difference: difference.max_absolute)
        words = _difference(worst, reference.origin)
        words += [f"{one.output}: {', '.join(one.notes())}" for one in judged if one.notes() and not one.problem]
        if reference.sequence is not None and not worst.problem:
            steps = compare_steps(reference.sequence, outputs, reference.host_steps(), worst.output)
            words.append(generation_phrases.steps(section(SequenceSection, steps)))
    else:
        words = [] if len(unknown) == len(differences) else ["all other outputs agree"]
    verdicts: set[VerdictWord] = {"FAIL" if failed else "INCONCLUSIVE" if unknown else "PASS"}
    if detections is not None:
        verdicts.add(detections.verdict)
        words = [*section(DetectionsSection, detections).words(), *words]
    verdict: VerdictWord = next(word for word in ("FAIL", "INCONCLUSIVE", "PASS") if word in verdicts)
    return Item(
        name="answers",
        verdict=verdict,
        finding="; ".join([*unknown, *words, count]),
        figures=_figures(detections) if detections is not None else {},
    )


def _figures(detections: Detections) -> dict[str, float]:
    known = {
        "matched": detections.matched,
        "more": len(detections.more),
        "fewer": len(detections.fewer),
        "min_iou": detections.min_iou,
        "max_score_difference": detections.max_score_difference,
    }
    return {name: value for name, value in known.items() if value is not None}


def release(
    outputs: Sequence[Outputs],
    newest: ReferenceOutputs,
    allowed: Allowed,
    matcher: Matcher | None = None,
    *,
    version: str,
) -> Item:
    """Judge what the board's release of ONNX Runtime answers by what edgesim's own answers, both on this host.

    Args:
        outputs: of release `version`.
        newest: of edgesim's own release.
    """
    item = answers(outputs, newest, allowed, matcher)
    return item.model_copy(
        update={"name": "release", "finding": f"on this host, ONNX Runtime {version}: {item.finding}"}
    )


def _difference(worst: Difference, origin: str) -> list[str]:
    if worst.problem:
        return [f"{worst.output} {worst.problem} of {origin}"]
    if not worst.values:
        return []
    words = [
        f"{worst.output} differs from {origin} by at most {worst.max_absolute:.2g}"
        f" ({worst.max_relative:.2g} relative, cosine {worst.cosine:.6f})"
    ]
    if worst.max_absolute:
        place = ", ".join(map(str, worst.worst[1:]))
        words.append(
            f"worst at [{place}] of request {worst.worst[0]}: {worst.actual:.6g} instead of {worst.expected:.6g}"
        )
        words += [f"allowed: {worst.allowed.origin}"] if worst.allowed.origin else []
    if worst.top_1 is not None:
        words.append(f"same class for {100 * worst.top_1:.0f} %")
    return words


def accuracy(outputs: Mapping[str, NDArray[Any]], labels: NDArray[np.int64], reference: ReferenceOutputs) -> Item:
    """Judge the share of labelled samples that the board classifies right, by the reference's share."""
    classes = _classes(outputs, labels)
    if classes is None:
        return Item(name="accuracy", verdict="INCONCLUSIVE", finding="no output has class scores")
    board = float((classes == labels).mean())
    words = f"{100 * board:.2f} % of {len(labels)}"
    reference_classes = _classes(output_difference.joined(reference.outputs), labels) if reference.outputs else None
    if reference_classes is None:
        return Item(name="accuracy", verdict="INCONCLUSIVE", finding=f"{words}, and nothing to compare with")
    host = float((reference_classes == labels).mean())
    lost = host - board
    words += (
        f"; {reference.origin} {100 * host:.2f} %"
        f" ({100 * lost:.2f} points lost, at most {100 * _MOST_ACCURACY_LOST:g} allowed)"
    )
    return Item(name="accuracy", verdict="PASS" if lost <= _MOST_ACCURACY_LOST else "FAIL", finding=words)


def _classes(outputs: Mapping[str, NDArray[Any]], labels: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return the class of each labelled sample by the output with class scores; None if no output has any."""
    name = class_scores(outputs, samples=len(labels), labelled=True)
    return outputs[name].argmax(axis=1) if name is not None and len(outputs[name]) == len(labels) else None


def memory(
    used: ResourceUsage,
    emulator: EmulatorSection | None,
    profile: DeviceProfile,
    *,
    emulated: bool,
    killed: str = "",
    grown: str = "",
    limited: bool = True,
) -> Item:
    """Judge the memory that the kernel cannot give back by what the board leaves to programs.

    The peak has page cache in it, which fills whatever memory is free: it is shown, and judged only where the kernel
    reports nothing better.

    Args:
        used: of the device since its start.
        emulator: the emulator's own share, a lower bound; None if the device was not emulated or it is not known.
        emulated: whether the emulator's memory is in the figures.
        killed: why an emulated device was killed within the board's memory, if this one has `EMULATOR_ROOM` on top.
        grown: what grew until the last request, such as a cache, in words.
        limited: whether the engine held the device to the board's memory.
    """
    needed, peak = used.memory_unreclaimable_bytes, used.memory_peak_bytes
    if (judged := needed if needed is not None else peak) is None:
        return Item(name="memory", verdict="INCONCLUSIVE", finding="this host does not report the peak")
    room = int(profile.memory.usable_bytes or profile.memory.visible_bytes)
    without_emulator = judged - (emulator.share_bytes if emulator is not None else 0)
    words = [f"{format_bytes(judged)} of unreclaimable memory" if needed is not None else _peak(judged)]
    if emulator is not None:
        words[0] += f", {format_bytes(without_emulator)} without the emulator"
    words += [f"{_peak(peak)} with page cache"] if needed is not None and peak is not None else []
    left = f"{100 * (1 - without_emulator / room):.0f} % left"
    usable = "usable" if profile.memory.usable_bytes else "seen by Linux"
    words.append(f"{format_bytes(room)} {usable} on the board, {left}")
    words += [grown] if grown else []
    words += [] if limited else ["measured without the board's limit, which the engine does not hold"]
    if killed:
        words.append(f"{killed}; these figures are with {format_bytes(EMULATOR_ROOM)} more, for the emulator")
    # The board needs at most `without_emulator`, since the emulator's share is a lower bound, and at least what is left
    # without page cache and without what the emulator may take.
    may_take = min(_MOST_SHARES * emulator.share_bytes, EMULATOR_ROOM) if emulator is not None else EMULATOR_ROOM
    at_least = (needed or 0) - (may_take if emulated else 0)
    most = (1 - _HEADROOM) * room
    verdict: VerdictWord = "PASS" if without_emulator <= most else "FAIL" if at_least > most else "INCONCLUSIVE"
    return Item(name="memory", verdict=verdict, finding="; ".join(words))


def _peak(size: int) -> str:
    return f"peak {format_bytes(size)}"


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


def boards_release(model: Model, profile: DeviceProfile, served: RuntimeRelease) -> Item | None:
    """Judge by the file whether the board's own release, outside of a container, loads the model.

    Returns:
        None where the profile does not tell that release, or the board is served with it.
    """
    own = runtime_releases.usual(profile)
    if own is None or own.release.version == served.version:
        return None
    why = runtime_support.refusal(model, own.release.version)
    does = "loads the model, by its file" if why is None else f"does not load the model: {why}"
    words = f"outside of a container the board has {own.release}, {own.reason}: it {does} (`runtime=board`)"
    return Item(name="board's release", verdict="PASS" if why is None else "FAIL", finding=words)


# What keeps a board from answering, and says nothing about the model.
_NOT_THE_MODELS = (BuildFailed, EmulatorCrashed, EngineRefused, ImageUnavailable, KilledFromOutside, NotReady)


def failure(error: DeviceError) -> Item:
    """Say why the board did not get as far as answering."""
    cause = _cause(error.log)
    finding = f"{error.problem}{f': {cause}' if cause else ''}"
    if isinstance(error, OutOfMemory):
        return Item(name="memory", verdict="INCONCLUSIVE" if error.emulated else "FAIL", finding=error.problem)
    if isinstance(error, IllegalInstruction):
        return Item(name="instructions", verdict="FAIL", finding=error.problem)
    if isinstance(error, _NOT_THE_MODELS) or locales.missing(error.log) is not None:
        return Item(name="loads", verdict="INCONCLUSIVE", finding=error.problem)
    if re.search(r"Could not find an implementation|NOT_IMPLEMENTED|is not a registered function/op", error.log):
        finding = "; ".join(filter(None, (finding, session_loading.library_fix(error.log))))
        return Item(name="operations", verdict="FAIL", finding=finding)
    return Item(name="loads", verdict="FAIL", finding=finding)


def _cause(log: str) -> str:
    """Return the line in which the server says why it did not load a model, else the last line of its log."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    cause = next((line for line in reversed(lines) if line.startswith("edgesim-server:")), lines[-1] if lines else "")
    # ONNX Runtime begins with the place in its own sources and the whole signature of the function there.
    cause = re.sub(r"/onnxruntime_src/\S+ .*?\) (?=[A-Z])", "", cause).removeprefix("edgesim-server: ")
    return session_loading.cause(cause)


def refused(name: str, error: EdgesimError) -> Item:
    """Return the item of what edgesim refuses before a board starts: what is wrong, and what to do."""
    return Item(name=name, verdict="FAIL", finding=error.with_fix)


def _passed(name: str, finding: str) -> Item:
    return Item(name=name, verdict="PASS", finding=finding)
