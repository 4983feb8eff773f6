"""The pre-release check: profile + model → board → answers, memory, libraries → one verdict for each item."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, Unpack

import numpy as np
from numpy.typing import NDArray

from edgesim import inputs, profiles
from edgesim.boards.board import DESCRIPTION, Board
from edgesim.boards.launch import Launch
from edgesim.boards.start import require_engine, start
from edgesim.errors import DeviceError, ModelError, ModelUnsupported, OutOfMemory, ReleaseTooOld, UsageError
from edgesim.host.limit_values import LimitReading
from edgesim.images import runtime_releases
from edgesim.inputs import array_files
from edgesim.inputs.sequences import GenerationSequence
from edgesim.jobs import check_items, check_precision, check_targets, published_image, read_back, same_release
from edgesim.jobs.emulator_memory import emulator_memory
from edgesim.jobs.published_image import PublishedImage
from edgesim.loadgen import client
from edgesim.measure import model_tolerances, resource_usage, sequence_comparison
from edgesim.measure.detections import Matcher
from edgesim.measure.host_session import TooLong
from edgesim.measure.input_fit import refusal, require_fit
from edgesim.measure.output_difference import Outputs, joined
from edgesim.measure.reference import Reference, RunFailed
from edgesim.measure.resource_usage import ResourceUsage
from edgesim.measure.tolerance import Tolerance
from edgesim.models import hardware_specific, repository, state
from edgesim.models.repository import Model
from edgesim.models.session_loading import LibraryNotNamed
from edgesim.options import InputOptions, RunKeywords, RunOptions
from edgesim.predictions import require_target
from edgesim.profiles import DeviceProfile
from edgesim.progress import Listener, Stages, Tally
from edgesim.results.stamp import stamp
from edgesim.results.verdict import Item, Verdict
from edgesim.units import format_bytes

Ran = TypeVar("Ran")
GOLDEN = "golden.npz"  # the right outputs for the model's own samples, in the same directory
# More inputs tell little more, and an emulated request takes seconds.
_REQUESTS = 8
TIMEOUT_S = 600.0
# The options of a run that a check has a use for. The board is not scaled, since a check is of the board's own
# instructions.
OPTIONS = frozenset(
    {
        *InputOptions.model_fields,
        "models",
        "match",
        "engine",
        "context",
        "base_image",
        "runtime",
        "gpus",
        "host_libraries",
        "packed",
        "protocol",
        "mount",
        "volume",
        "ready_timeout_s",
    }
)


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """What a check looks at in addition to what every check does.

    Attributes:
        reference: a model whose outputs on this host are right; None means the model itself, or its golden outputs.
        tolerance: of the outputs; None means by their types, and by the precision in which the model computes them.
        outside_container: whether the model will run on the vendor's system and not in a container.
        max_artifact_bytes: the most that the model's files may take.
        requests: the most requests that are sent and compared; labelled inputs are one if they can.
        targets: accelerators with a runtime and a precision, such as ``gpu:tensorrt-fp16``, that are judged, too. None
            are by default: all of the board's are then shown, and not judged.
    """

    reference: str | Path | None = None
    tolerance: Tolerance | None = None
    outside_container: bool = False
    max_artifact_bytes: int | None = None
    requests: int = _REQUESTS
    targets: tuple[str, ...] = ()


def check(
    profile: str | Path | DeviceProfile,
    model: str | Path | None = None,
    checks: CheckOptions | None = None,
    options: RunOptions | None = None,
    *,
    listener: Listener | None = None,
    **keywords: Unpack[RunKeywords],
) -> Verdict:
    """Check before a release what a board will do with a model.

    What the model or the board does wrong is an item that fails, and no exception.

    Args:
        profile: a profile's name, ``name:mode``, a path to a YAML file, or a profile.
        model: a model's name in the repository, or a path to an ``.onnx`` file; None with the option `packed`, whose
            image has the model inside.
        checks: what is looked at in addition.
        options: `models` and the sections `inputs` and `board` apply; real inputs may come with `labels`.
        keywords: single options by name.

    Raises:
        UsageError: the profile, the options or the files beside the model are wrong, or there is no such model.
        HostError: this host cannot run the board.
    """
    checks, stages = checks if checks is not None else CheckOptions(), Stages(listener)
    if checks.requests < 1:
        raise UsageError(f"`requests={checks.requests}`: a check sends at least 1")
    options = RunOptions.of(options, **keywords)
    options.require_only(OPTIONS, "a check has its own requests, and its own container")
    profile = profiles.load(profile, model=model)
    for target in checks.targets:
        require_target(profile, target)
    if not published_image.is_chosen(model, options):
        assert model is not None, "one of both is given"
        return _check(profile, model, checks, options, stages)
    with published_image.provided(profile, options, stages) as image:
        inside = RunOptions.of(options, models=image.repository)
        return _check(profile, image.model.name, checks, inside, stages, image)


def _check(
    profile: DeviceProfile,
    model: str | Path,
    checks: CheckOptions,
    options: RunOptions,
    stages: Stages,
    image: PublishedImage | None = None,
) -> Verdict:
    def verdict(
        items: Sequence[Item], name: str, board: Board | None = None, not_judged: Sequence[Item] = ()
    ) -> Verdict:
        return Verdict(
            **stamp(),
            profile=profile.reference,
            board=profile.title_and_mode,
            model=name,
            execution=board.execution if board is not None else None,
            items=tuple(items),
            not_judged=tuple(not_judged),
            mount=board.mount if board is not None else None,
        )

    try:
        loaded = repository.find(str(model), options.models)
    except ModelUnsupported:
        raise
    except ModelError as error:
        if not _exists(str(model), options.models):
            raise
        return verdict([check_items.refused("artifact", error)], str(model))
    loaded = replace(loaded, host_libraries=options.board.host_libraries)
    launch = Launch.of(profile, [loaded], options.board)
    if image is not None:
        launch = image.in_place_of_mounts(launch)
    items = [check_items.artifact(loaded, checks.max_artifact_bytes)]
    if (refused := hardware_specific.refusal(loaded, launch.architecture)) is not None:
        return verdict([*items, check_items.refused("operations", refused)], loaded.name)
    if (operations := check_items.custom_operations(loaded, launch.architecture)) is not None:
        items.append(operations)
        if operations.verdict == "FAIL":
            return verdict(items, loaded.name)
    launch.check()
    try:
        launch.require_loadable()
    except ReleaseTooOld as error:
        return verdict([*items, check_items.refused("loads", error)], loaded.name)
    not_judged = list[Item]()
    if loaded.size_bytes > profile.memory.visible_bytes and options.board.engine != "local":
        # The reference takes this host's memory and minutes, and a model that does not fit needs none.
        stages.note(
            f"the files of {loaded.name} take {format_bytes(loaded.size_bytes)}, and Linux on the board sees"
            f" {format_bytes(profile.memory.visible_bytes)} of memory: loading it there before anything else"
        )
        try:
            _require_memory(launch, stages)
        except OutOfMemory as error:
            return verdict([*items, check_items.failure(error)], loaded.name)
    allowed = checks.tolerance if checks.tolerance is not None else model_tolerances.of_outputs(loaded)
    with stages.stage("reference", "running the reference on this host"):
        chosen = inputs.choose(loaded, options.inputs)
        if chosen.sequence is None and (suggestion := state.suggestion(loaded)):
            stages.note(suggestion)
        require_engine(launch)
        reference = _reference_outputs(loaded, chosen, checks, options.inputs.input)
        first = reference.outputs[0] if reference.outputs else {}
        matcher = Matcher.of(loaded, options.match, lambda: first) if first else None
        reference, by_release = same_release.tell_apart(launch, loaded, reference, allowed, matcher)
    if by_release is not None:  # what cannot be compared on this host is no doubt about the model
        (items if by_release.verdict != "INCONCLUSIVE" else not_judged).append(by_release)
    # The file alone decides these, whatever the board does with the model.
    of_targets = list(check_targets.items(profile, loaded, checks.targets or None))
    if not checks.targets:
        not_judged += of_targets
        of_targets = []

    def answers(board: Board, reference: check_items.ReferenceOutputs) -> list[Item]:
        return list(_items_of_the_answers(board, loaded, chosen, reference, allowed, matcher, profile, stages))

    def run(launch: Launch, reference: check_items.ReferenceOutputs, killed: str = "") -> tuple[Board, list[Item]]:
        with start(launch, stages) as board:
            with resource_usage.Recorder(board.device.read, interval_s=board.device.reading_interval_s) as recorder:
                of_the_board = answers(board, reference)
            used = resource_usage.summarise([*board.start_readings, *recorder.readings], [])
            of_the_board += _items_of_the_start(
                board, launch, loaded, profile, used, stages, killed=killed, grown=_grown(chosen)
            )
            return board, of_the_board

    try:
        try:
            board, of_the_board = run(launch, reference)
        except OutOfMemory as error:
            if not error.emulated:
                raise
            stages.note(f"{error.problem}; once more with room for the emulator")
            # The question is whether the model fits: one request is enough, and the one with the longest cache.
            once_more = partial(run, reference=reference.fewest(), killed=error.problem)
            board, of_the_board = _with_room_for_the_emulator(once_more, launch)
    except DeviceError as error:
        return verdict([*items, check_items.failure(error), *of_targets], loaded.name, not_judged=not_judged)
    items += of_the_board
    release = runtime_releases.of_board(profile, options.board.runtime).release
    if checks.outside_container:
        items.append(check_items.libraries(profile, release))
    if (own := check_items.boards_release(loaded, profile, release)) is not None:
        (items if checks.outside_container else not_judged).append(own)
    return verdict([*items, *of_targets], loaded.name, board, not_judged)


def _require_memory(launch: Launch, stages: Stages) -> None:
    """Load the model on the board, to see whether it fits; whatever else goes wrong is not looked at.

    Raises:
        OutOfMemory: the model does not fit, whatever the emulator takes.
    """

    def load(launch: Launch) -> None:
        try:
            with start(launch, stages):
                pass
        except OutOfMemory:
            raise
        except DeviceError:
            pass

    try:
        load(launch)
    except OutOfMemory as error:
        if not error.emulated:
            raise
        _with_room_for_the_emulator(load, launch)


def _with_room_for_the_emulator(run: Callable[[Launch], Ran], launch: Launch) -> Ran:
    """Run a board that was killed once more, with more memory than the emulator takes on top of the board's.

    Raises:
        OutOfMemory: the board was killed again, so the model does not fit, whatever the emulator takes.
    """
    memory, room = launch.profile.memory, check_items.EMULATOR_ROOM
    larger = memory.model_copy(update={"visible_bytes": memory.visible_bytes + room})
    profile = launch.profile.model_copy(update={"memory": larger})
    try:
        return run(replace(launch, profile=profile))
    except OutOfMemory as again:
        raise OutOfMemory(
            f"does not fit: killed at the board's memory limit of {format_bytes(memory.visible_bytes)}, and again with"
            f" {format_bytes(room)} more, which is more than the emulator takes",
            fix=again.fix,
            log=again.log,
        ) from again


def _exists(reference: str, models: Path | None) -> bool:
    """Return whether a file or a model directory of that name exists, whatever is wrong with it."""
    if repository.names_a_file(reference):
        return Path(reference).exists()
    return ((models or Path("models")) / reference).is_dir()


def _reference_outputs(
    model: Model, chosen: inputs.Inputs, checks: CheckOptions, real_inputs: Path | None
) -> check_items.ReferenceOutputs:
    """Return the right outputs: golden ones from a file, or those of the reference model on this host.

    Raises:
        UsageError: the reference model does not take the inputs.
        ModelError: the model itself does not take them, or the file of golden outputs is wrong.
    """
    # A labelled set is sent in the batches that the accuracy needs anyway, so every sample of them is compared.
    if labelled := chosen.labelled[: checks.requests]:
        requests, samples = [one.arrays for one in labelled], [len(one.labels) for one in labelled]
    else:
        requests = list(chosen.requests[: checks.requests])
        samples = [inputs.samples_in(model, request) for request in requests]
    golden = model.samples_path.with_name(GOLDEN) if model.samples_path is not None else None
    if (
        chosen.sequence is None
        and checks.reference is None
        and real_inputs is None
        and golden is not None
        and golden.is_file()
    ):
        right = _read_golden(golden, requests)
        return check_items.ReferenceOutputs(requests, right, f"the golden outputs in {golden.name}", samples)
    try:
        reference_model = repository.find(str(checks.reference)) if checks.reference is not None else model
    except ModelError as error:
        error.problem = f"`reference`: {error.problem}"
        raise
    origin = f"{reference_model.name} on this host" if checks.reference is not None else "this host"
    outputs: list[Mapping[str, NDArray[Any]]] = []
    steps: list[int] = []
    try:
        reference = Reference(replace(reference_model, host_libraries=model.host_libraries))
        if chosen.sequence is not None:
            steps = sequence_comparison.compared_steps(chosen.sequence, checks.requests)
            host = sequence_comparison.run_on_host(chosen.sequence, reference.run, steps)
            requests, samples = [step.arrays for step in host], [1] * len(host)
            outputs.extend(step.outputs for step in host)

        def run() -> Iterator[Mapping[str, NDArray[Any]]]:
            return (reference.run(arrays) for arrays in requests)

        if chosen.sequence is None:
            outputs.extend(run())
    except LibraryNotNamed as error:
        return check_items.ReferenceOutputs(requests[:1], [], origin, samples[:1], problem=error.with_fix)
    except TooLong:  # the board would not end, either, and it is asked for longer
        raise
    except ModelError as error:
        return check_items.ReferenceOutputs(requests[:1], [], origin, samples[:1], problem=error.problem)
    except RunFailed as error:
        if checks.reference is not None:
            raise UsageError(f"`reference={checks.reference}`: does not take this model's inputs: {error}") from error
        if chosen.sequence is not None:
            require_fit(model, reference, chosen)
        raise refusal(model, chosen, requests[len(outputs)], error) from error
    own = reference if checks.reference is None else None
    return check_items.ReferenceOutputs(
        requests,
        outputs,
        origin,
        samples,
        again=lambda: list(run()),
        newest=own,
        sequence=chosen.sequence,
        steps=steps,
    )


def _read_golden(path: Path, requests: Sequence[inputs.Arrays]) -> list[Mapping[str, NDArray[Any]]]:
    """Read the outputs for each request from a file with the outputs of all samples along the first axis.

    Raises:
        ModelError: the file cannot be read, or has too few outputs.
    """
    arrays = array_files.read(path, array_files.most_bytes(), what="output")
    if any(values.ndim == 0 for values in arrays.values()):
        raise ModelError(f"{path}: an output has no axis of samples")
    rows, begin = [], 0
    for request in requests:
        count = next((len(values) for values in request.values()), 1)
        rows.append({name: values[begin : begin + count] for name, values in arrays.items()})
        begin += count
    if not arrays or min(map(len, arrays.values())) < begin:
        raise ModelError(f"{path}: has outputs for fewer samples than there are inputs")
    return list(rows)


def _items_of_the_answers(
    board: Board,
    model: Model,
    chosen: inputs.Inputs,
    reference: check_items.ReferenceOutputs,
    allowed: Tolerance | Mapping[str, Tolerance],
    matcher: Matcher | None,
    profile: DeviceProfile,
    stages: Stages,
) -> Iterator[Item]:
    """Yield what a board that has loaded the model answers.

    Raises:
        DeviceError: the board died.
    """
    with closing(board.endpoint.peer(model, timeout_s=TIMEOUT_S)) as peer:
        description = peer.get_json(DESCRIPTION)
        yield from check_items.loaded(model, description, board.execution)
        tally = Tally(len(reference.requests), "requests")
        with stages.stage("answers", "comparing the board's answers with the right ones", tally.progress):

            def ask(arrays: inputs.Arrays) -> Outputs:
                outputs = peer.answer(arrays)
                tally.add()
                tally.announce(stages)
                return outputs

            outputs: list[Outputs] = []
            try:
                if reference.sequence is not None and reference.outputs:
                    outputs = sequence_comparison.ask_board(reference.sequence, reference.host_steps(), ask)
                else:
                    outputs = list(map(ask, reference.requests))
            except client.RequestFailed as error:
                state = board.device.state()
                if not state.running:
                    raise board.death(state, "answering") from error
                yield Item(name="answers", verdict="FAIL", finding=f"a request failed: {error}")
            else:
                yield check_items.answers(outputs, reference, allowed, matcher)
        if chosen.labelled and outputs:
            labels = np.concatenate([one.labels for one in chosen.labelled[: len(outputs)]])
            yield check_items.accuracy(joined(outputs), labels, reference)
        yield from check_precision.items(model, chosen.requests[0], profile, description, board.execution)


def _grown(chosen: inputs.Inputs) -> str:
    """Return how large the cache of a generation grows, in words; empty for other inputs."""
    sequence = chosen.sequence
    if not isinstance(sequence, GenerationSequence):
        return ""
    length = sequence.cached(sequence.steps)
    return f"with a cache of {format_bytes(sequence.cache_bytes_at(length))} for {length} tokens"


def _limits(board: Board) -> list[LimitReading]:
    return read_back.readings(board, board.device.from_outside(), {})


def _items_of_the_start(
    board: Board,
    launch: Launch,
    model: Model,
    profile: DeviceProfile,
    used: ResourceUsage,
    stages: Stages,
    *,
    killed: str,
    grown: str,
) -> Iterator[Item]:
    """Yield what a board took to load the model and answer: its memory, and the time of its start.

    Args:
        profile: of the board, whatever memory `launch` gives it.
        killed: why the board was killed before, if it was; see `check_items.memory`.
        grown: what grew until the last request; see there, too.
    """
    emulator = emulator_memory(launch, board, stages) if used.memory_peak_bytes is not None else None
    emulated = board.execution == "emulated"
    limited = not any(each.name == "memory_bytes" and each.is_lost for each in _limits(board))
    yield check_items.memory(used, emulator, profile, emulated=emulated, killed=killed, grown=grown, limited=limited)
    with closing(board.endpoint.peer(model, timeout_s=TIMEOUT_S)) as peer:
        yield check_items.cold_start(board, peer.get_json(DESCRIPTION), model, profile)
