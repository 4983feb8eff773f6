"""A paired run of one model in two releases of ONNX Runtime: what it takes, and what it shows beside the rules."""

from collections.abc import Sequence

from edgesim.errors import DeviceError, UsageError
from edgesim.gates.predicted_change import NO_RELEASE, has_prediction
from edgesim.gates.rules import Rule
from edgesim.images import runtime_releases
from edgesim.inputs import samples_in
from edgesim.jobs import check_items
from edgesim.jobs.check_items import ReferenceOutputs
from edgesim.jobs.paired_rounds import Side
from edgesim.measure import model_tolerances
from edgesim.models.repository import Model
from edgesim.options import Execution, RunOptions
from edgesim.profiles import DeviceProfile
from edgesim.results.stamp import stamp
from edgesim.results.verdict import Verdict

_BOTH = "`base_runtime` and `cand_runtime`"


def of(
    profile: DeviceProfile, base: str | None, candidate: str | None, options: RunOptions, *, same_model: bool
) -> tuple[str, str] | None:
    """Return the releases of both sides; None for a paired run of two models.

    Raises:
        UsageError: only one is given, they come with two models, or a text names no single release.
    """
    if base is None and candidate is None:
        return None
    if base is None or candidate is None:
        raise UsageError(f"{_BOTH}: both of them")
    if not same_model:
        raise UsageError(
            f"{_BOTH}: give two models or two releases, not both: a change could come from either", fix="one model"
        )
    if options.board.runtime is not None:
        raise UsageError(f"`runtime={options.board.runtime}`: {_BOTH} name the releases")
    if options.board.engine == "local":
        raise UsageError(f"{_BOTH}: `engine=local` has this host's release", fix="`engine=docker`")
    of_base = runtime_releases.of_board(profile, base, option="base_runtime")
    of_candidate = runtime_releases.of_board(profile, candidate, option="cand_runtime")
    return of_base.release.version, of_candidate.release.version


def refuse_predicted(rules: Sequence[Rule]) -> None:
    """Refuse rules of change on a prediction, which is the same for both releases, where counts decide.

    Raises:
        UsageError: there is such a rule.
    """
    for rule in rules:
        if rule.kind == "change" and has_prediction(rule.metric, "emulated", slowed_down=False):
            raise UsageError(f"{rule.text}: {NO_RELEASE}", fix="omit the rule")


def refuse_hidden(rules: Sequence[Rule], execution: Execution) -> None:
    """Refuse rules of which none can show a difference of two releases, before the work.

    Raises:
        UsageError: each rule is of a time that is predicted, or slowed down to the prediction.
    """
    scaled = execution == "scaled"
    if all(rule.kind == "change" and has_prediction(rule.metric, execution, slowed_down=scaled) for rule in rules):
        raise UsageError(
            f"{rules[0].text}: {NO_RELEASE}",
            fix="count: `rule=instructions: +1 %`; or measure times, on the board (`context`) or on x86-gateway; or"
            " judge cold_start_s or memory_unreclaimable_bytes",
        )


def with_answers(verdict: Verdict, sides: Sequence[Side]) -> Verdict:
    """Return the verdict with an item on the candidate's answer to the first request, beside the base's."""
    base, candidate = sides
    if base.answer is None or candidate.answer is None:
        return verdict
    request, reference = base.plan.inputs.requests[0], base.plan.reference
    right = ReferenceOutputs(
        [request],
        [base.answer],
        f"ONNX Runtime {base.launch.options.runtime}",
        [samples_in(base.model, request)],
        again=(lambda: [reference.run(request)]) if reference is not None else None,
    )
    item = check_items.answers([candidate.answer], right, model_tolerances.of_outputs(base.model))
    if base.launch.options.execution == "scaled":
        finding = f"{item.finding}; by this host's instructions, not the board's: edgesim check has those (`runtimes`)"
        item = item.model_copy(update={"finding": finding})
    return verdict.model_copy(update={"items": (*verdict.items, item)})


def verdict_on_failure(profile: DeviceProfile, model: Model, error: DeviceError) -> Verdict:
    """Return the verdict on a paired run of two releases of which one does not load the model, or fails with it."""
    return Verdict(
        **stamp(),
        profile=profile.reference,
        board=profile.title_and_mode,
        model=model.name,
        execution=None,
        items=(check_items.failure(error),),
    )
