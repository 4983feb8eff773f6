"""``edgesim check --runtimes``: the releases of ONNX Runtime that a model loads in, and whether their answers agree.

What a model needs follows from its file; each release then proves it, on the board, by loading the model.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, Unpack

from edgesim import inputs, profiles
from edgesim.boards.launch import Launch
from edgesim.boards.start import start
from edgesim.errors import DeviceError, ModelError, UsageError
from edgesim.images import runtime_releases
from edgesim.inputs import Arrays
from edgesim.jobs import check_items
from edgesim.jobs.check import OPTIONS, TIMEOUT_S
from edgesim.measure import model_tolerances, output_difference
from edgesim.measure.detections import Matcher
from edgesim.measure.input_fit import require_fit
from edgesim.measure.reference import Reference
from edgesim.measure.tolerance import Tolerance
from edgesim.models import repository, runtime_support
from edgesim.models.repository import Model
from edgesim.models.session_loading import LibraryNotNamed
from edgesim.options import DetectionMatch, RunKeywords, RunOptions
from edgesim.profiles import DeviceProfile
from edgesim.progress import Listener, Stages, Tally
from edgesim.results.sections import DetectionsSection, section
from edgesim.results.stamp import stamp
from edgesim.results.verdict import Item, Verdict, VerdictWord

_ERROR_CODE = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : ")
_REQUESTS = 2  # an emulated request takes seconds, and there is a board for each release


@dataclass(frozen=True, kw_only=True)
class _Tried:
    """A release that was tried.

    Attributes:
        refusal: why the file says that the release does not load the model; None if it does not say so.
        failure: why the board did not answer; None if it did.
        verdict: on the failure, which may be no fault of the model.
        answers: the outputs of each request; empty if it did not answer.
        execution: how the board ran; None if it did not answer.
    """

    version: str
    refusal: str | None
    failure: str | None = None
    verdict: VerdictWord = "FAIL"
    answers: Sequence[Arrays] = ()
    execution: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Comparison:
    """How the answers of two releases are compared, as those of a board and of this host are in a check.

    Attributes:
        tolerances: by output name; an output without one has that of its type.
        matcher: matches the rows of detections first; None leaves them in their order.
    """

    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)
    matcher: Matcher | None = None

    @classmethod
    def of(cls, model: Model, match: DetectionMatch | None, tried: Sequence[_Tried]) -> Self:
        """Return the comparison that the model and the option ask for.

        Raises:
            UsageError: the outputs have no detections, or what the option names is not there.
        """
        answers = next((one.answers[0] for one in reversed(tried) if one.answers), None)
        return cls(
            tolerances=model_tolerances.of_outputs(model),
            matcher=Matcher.of(model, match, lambda: answers) if answers is not None else None,
        )


def check_runtimes(
    profile: str | Path | DeviceProfile,
    model: str | Path,
    releases: str = "all",
    options: RunOptions | None = None,
    *,
    outside_container: bool = False,
    listener: Listener | None = None,
    **keywords: Unpack[RunKeywords],
) -> Verdict:
    """Check which releases of ONNX Runtime load a model on a board, and compare their answers.

    Args:
        profile, model, options, keywords: see `edgesim.check`.
        releases: versions and ranges with commas, all of which are judged; or ``all``, of which only the board's own
            release is judged.
        outside_container: whether a release also has to have a wheel for the vendor's system.

    Returns:
        A verdict with an item for each release. The answers are compared with those of the newest release that loads.

    Raises:
        UsageError: the profile, the options, a release or the files beside the model are wrong.
        HostError: this host cannot run the board.
    """
    stages, options = Stages(listener), RunOptions.of(options, **keywords)
    options.require_only(OPTIONS - {"runtime"}, "a check of releases chooses them itself: `runtimes`")
    if options.board.engine == "local":
        raise UsageError(
            "`runtimes`: each release is part of a serving image, and `engine=local` has this host's release",
            fix="`engine=docker`, or no `runtimes`",
        )
    profile = profiles.load(profile, model=model)
    own = runtime_releases.usual(profile) or runtime_releases.of_board(profile, None)
    versions = runtime_releases.versions(releases)
    if releases == "all" and own.release.version not in versions:
        versions = sorted({*versions, own.release.version}, key=runtime_support.key)
    found = repository.find(str(model), options.models)
    chosen = inputs.choose(found, options.inputs)
    with stages.stage("reference", "running the model on this host"):
        by_host = _require_fit(found, chosen, options.match)
    requests = chosen.requests[:_REQUESTS]
    needs = runtime_support.Needs.of(found)
    tried = []
    tally = Tally(len(versions), "releases")
    for number, version in enumerate(versions, 1):
        stages.note(f"release {number} of {len(versions)}: ONNX Runtime {version}")
        board_options = options.board.model_copy(update={"runtime": version})
        launch = Launch.of(profile, [found], board_options)
        launch.check()
        refusal = needs.refusal(version) or by_host.refusal(version)
        try:
            execution, answers = _answers(launch, found, requests, stages)
        except DeviceError as error:
            failed = check_items.failure(error)
            tried.append(_Tried(version=version, refusal=refusal, failure=failed.finding, verdict=failed.verdict))
        else:
            tried.append(_Tried(version=version, refusal=refusal, answers=answers, execution=execution))
        tally.add()
        tally.announce(stages)
    comparison = _Comparison.of(found, options.match, tried)
    items = [_item(one, tried, comparison) for one in tried]
    if outside_container:
        items = [_with_wheel(item, profile) for item in items]
    judged = [item for item in items if releases != "all" or item.name == own.release.version]
    return Verdict(
        **stamp(),
        profile=profile.reference,
        board=profile.title_and_mode,
        model=found.name,
        execution=next((one.execution for one in tried if one.execution is not None), None),
        items=(_summary(tried, own, needs.first()), *judged),
        not_judged=tuple(item for item in items if item not in judged),
    )


@dataclass(frozen=True)
class _ByHost:
    """What this host's release of ONNX Runtime says of a model.

    Attributes:
        failure: why it does not load the model; None if it does.
    """

    failure: str | None = None

    def refusal(self, version: str) -> str | None:
        """Return why a release does not load the model either; None if nothing is known of it, or it is newer."""
        import onnxruntime

        own = onnxruntime.__version__
        if self.failure is None or runtime_support.key(version) > runtime_support.key(own):
            return None
        return f"ONNX Runtime {own} on this host does not load it either: {self.failure}"


def _require_fit(model: Model, chosen: inputs.Inputs, match: DetectionMatch | None) -> _ByHost:
    """Refuse inputs and matches that do not go with the model on this host, if this host's release loads it.

    Raises:
        ModelError: the model does not take an input.
        UsageError: the outputs have no detections, or what the option names is not there.
    """
    try:
        reference = Reference(model)
    except LibraryNotNamed:
        return _ByHost()
    except ModelError as error:
        words = error.problem.removeprefix(f"{model.path}: ").removeprefix("ONNX Runtime does not load it: ")
        return _ByHost(failure=_ERROR_CODE.sub("", words))
    require_fit(model, reference, chosen)
    Matcher.of(model, match, lambda: reference.run(chosen.requests[0]))
    return _ByHost()


def _answers(launch: Launch, model: Model, requests: Sequence[Arrays], stages: Stages) -> tuple[str, Sequence[Arrays]]:
    """Return how a board ran, and what it answered to each request.

    Raises:
        DeviceError: it does not load the model, dies, or does not answer.
    """
    with (
        start(launch, stages) as board,
        closing(board.endpoint.peer(model, timeout_s=TIMEOUT_S)) as peer,
    ):
        answers = [peer.infer(peer.encode(arrays)) for arrays in requests]
        if failed := [answer.outcome for answer in answers if answer.outcome != "ok"]:
            state = board.device.state()
            if not state.running:
                raise board.death(state, "answering")
            raise DeviceError(f"a request failed: {failed[0]}", log=board.device.log())
        return board.execution, [peer.decode(answer.payload) for answer in answers]


def _summary(tried: Sequence[_Tried], own: runtime_releases.Choice, by_file: str | None) -> Item:
    """Return the item that says which release a model needs, and which one the board has.

    Args:
        by_file: the oldest release that loads the model by its file, which need not be among those tried.
    """
    loads = [one.version for one in tried if one.failure is None]
    has = f"the board has {own.release.version} ({own.reason})"
    if not loads:
        sure = all(one.verdict == "FAIL" for one in tried)
        finding = f"none of {len(tried)} releases answers; {has}"
        return Item(name="needs", verdict="FAIL" if sure else "INCONCLUSIVE", finding=finding)
    older = [one for one in tried if runtime_support.key(one.version) < runtime_support.key(loads[0])]
    needed = f"ONNX Runtime {loads[0]}{' or newer' if older else ', the oldest that was tried, or newer'}"
    if older and by_file is not None and _is_between(by_file, older[-1].version, loads[0]):
        needed += f" of those tried, by its file {by_file}"
    enough = runtime_support.key(own.release.version) >= runtime_support.key(loads[0])
    return Item(name="needs", verdict="PASS" if enough else "FAIL", finding=f"{needed}; {has}")


def _is_between(version: str, low: str, high: str) -> bool:
    return runtime_support.key(low) < runtime_support.key(version) < runtime_support.key(high)


def _with_wheel(item: Item, profile: DeviceProfile) -> Item:
    """Return the item of a release with whether its wheel runs on the vendor's system."""
    wheel = check_items.libraries(profile, runtime_releases.choose(item.name))
    order: Sequence[VerdictWord] = ("FAIL", "INCONCLUSIVE", "PASS")
    verdict = min(item.verdict, wheel.verdict, key=order.index)
    return item.model_copy(update={"verdict": verdict, "finding": f"{item.finding}; {wheel.finding}"})


def _item(one: _Tried, tried: Sequence[_Tried], comparison: _Comparison) -> Item:
    """Return the item of one release."""
    if one.failure is not None:
        by_file = one.refusal if one.refusal is not None else f"the file speaks for it, but: {one.failure}"
        return Item(name=one.version, verdict="FAIL" if one.refusal is not None else one.verdict, finding=by_file)
    words = "loads" if one.refusal is None else f"loads, although the file speaks against it: {one.refusal}"
    newest = next(other for other in reversed(tried) if other.failure is None)
    if one is newest:
        return Item(name=one.version, verdict="PASS", finding=f"{words}; the others' answers are compared with its own")
    answers, expected = one.answers, newest.answers
    verdict: VerdictWord = "PASS"
    if comparison.matcher is not None:
        answers, expected, detections = comparison.matcher.match(answers, expected, comparison.tolerances)
        verdict = detections.verdict
        words += f"; beside {newest.version}, {'; '.join(section(DetectionsSection, detections).words())}"
    differences = output_difference.compare(answers, expected, comparison.tolerances)
    worst = max(differences, key=lambda difference: (not difference.within, difference.max_absolute))
    if worst.problem:
        words += f"; beside {newest.version}, {worst.output} {worst.problem}"
    else:
        words += f"; answers differ from {newest.version} by {worst.max_absolute:.2g} at most"
    return Item(name=one.version, verdict=verdict if worst.within else "FAIL", finding=words)
