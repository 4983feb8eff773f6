"""The reference in the board's release of ONNX Runtime, where this host can run that release."""

from dataclasses import replace

from edgesim.boards.launch import Launch
from edgesim.errors import EdgesimError, HostError, ModelError
from edgesim.images import python_packages
from edgesim.inputs import Arrays
from edgesim.jobs import check_items
from edgesim.jobs.check_items import Allowed, ReferenceOutputs
from edgesim.measure import sequence_comparison
from edgesim.measure.detections import Matcher
from edgesim.measure.reference import Reference, RunFailed
from edgesim.measure.release_reference import AnyReference, ReleaseReference
from edgesim.models.repository import Model
from edgesim.models.session_loading import LibraryNotNamed
from edgesim.progress import Stages
from edgesim.results.verdict import Item


def on_this_host(model: Model, stages: Stages) -> Reference | None:
    """Return the model on this host, in edgesim's own release; None, with a note, where its libraries are not named.

    Raises:
        ModelError: this host cannot load it for another reason.
    """
    try:
        return Reference(model)
    except LibraryNotNamed as error:
        stages.note(f"the answers are not compared: {error.with_fix}")
        return None


def of_board(launch: Launch, model: Model, newest: Reference, request: Arrays) -> AnyReference:
    """Return the model on this host in the release that the board has; where there is none, `newest` with the reason.

    Args:
        newest: the model in edgesim's own release.
        request: one that the model takes.
    """
    if launch.runtime is None or launch.runtime.release.version == newest.release:
        return newest
    release = launch.runtime.release
    if model.host_libraries:
        return newest.in_place_of("its libraries of custom operations are loaded in edgesim's own release alone")
    if any(tensor.datatype == "BF16" for tensor in (*model.inputs, *model.outputs)):
        return newest.in_place_of("BF16 is not carried between releases, whose Python interfaces differ in it")
    try:
        python, packages = python_packages.fetch_for_this_host(release)
        reference = ReleaseReference(model=model, release=release.version, python=python, packages=packages)
        reference.run(request)
    except (HostError, ModelError) as error:
        return newest.in_place_of(error.problem)
    except RunFailed as error:
        return newest.in_place_of(f"{release} on this host does not take the inputs: {error}")
    return reference


def tell_apart(
    launch: Launch, model: Model, reference: ReferenceOutputs, allowed: Allowed, matcher: Matcher | None = None
) -> tuple[ReferenceOutputs, Item | None]:
    """Return the right outputs for a board's release, and what the release alone changes in the model's answers.

    The model's own outputs on this host become those of the board's release: what the board answers otherwise is then
    the board's. Golden outputs, and those of another model, stay what they are.

    Args:
        reference: the right outputs, of whichever release.
        allowed: the tolerance of the outputs.
        matcher: see `check_items.answers`.

    Returns:
        The item is INCONCLUSIVE where the releases cannot be compared on this host, and None where both are the same.
    """
    if reference.problem or launch.runtime is None:
        return reference, None
    try:
        newest = reference.newest if reference.newest is not None else Reference(model)
        beside = _outputs(newest, reference)
    except (ModelError, RunFailed):  # the board says what it does with such a model
        return reference, None
    same = of_board(launch, model, newest, reference.requests[0])
    if same is newest:
        return reference, None
    if isinstance(same, ReleaseReference):
        try:
            of_release, answers = _outputs(same, reference), None
            if reference.sequence is not None:
                # The state is the release's own, so that its difference adds up; the tokens are the newest release's.
                answers = sequence_comparison.ask_board(reference.sequence, beside.host_steps(), same.run)
        except (HostError, ModelError, RunFailed) as error:
            same = newest.in_place_of(error.problem if isinstance(error, EdgesimError) else str(error))
        else:
            item = check_items.release(answers or of_release.outputs, beside, allowed, matcher, version=same.release)
            return of_release if reference.newest is not None else reference, item
    finding = (
        f"the board's ONNX Runtime {launch.runtime.release.version} does not run on this host for comparison, so"
        f" that a difference from {same.release} may be the release's: {same.other_release}"
    )
    item = Item(name="release", verdict="INCONCLUSIVE", finding=finding)
    return replace(reference, origin=beside.origin if reference.newest is not None else reference.origin), item


def _outputs(runs: AnyReference, reference: ReferenceOutputs) -> ReferenceOutputs:
    """Return what a release on this host answers to the requests of `reference`; a sequence has states of its own."""
    requests, outputs = reference.requests, reference.outputs
    if runs is not reference.newest:
        if reference.sequence is not None:
            steps = sequence_comparison.run_on_host(reference.sequence, runs.run, reference.steps)
            requests, outputs = [step.arrays for step in steps], [step.outputs for step in steps]
        else:
            outputs = runs.run_all(requests)
    return replace(
        reference,
        requests=requests,
        outputs=outputs,
        origin=f"ONNX Runtime {runs.release} on this host",
        again=lambda: runs.run_all(requests),
    )
