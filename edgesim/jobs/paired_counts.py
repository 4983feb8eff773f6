"""A paired count: the instructions of two models, or of one in two releases, on one emulated board."""

from edgesim.gates import Rules, judge
from edgesim.gates.result_metrics import is_count
from edgesim.jobs import paired_releases
from edgesim.jobs.count import COUNT_OPTIONS, count
from edgesim.jobs.pair import Pair
from edgesim.models.repository import Model
from edgesim.options import RunOptions
from edgesim.profiles import DeviceProfile
from edgesim.progress import Listener


def counts_decide(profile: DeviceProfile, rules: Rules) -> bool:
    """Return whether a rule for the board bounds instructions, so that both sides have to be counted."""
    return any(is_count(rule.metric) for rule in rules.of_board(profile.name, profile.mode))


def count_pair(
    profile: DeviceProfile,
    base: Model,
    candidate: Model,
    rules: Rules,
    options: RunOptions,
    *,
    base_runtime: str | None = None,
    cand_runtime: str | None = None,
    listener: Listener | None = None,
) -> Pair:
    """Count the instructions of two models, or of one in two releases of ONNX Runtime, and judge the candidate.

    No turns are needed: the host and what else runs on it have no part in a count. Both get the same inputs, those that
    came with the candidate before those that came with the base. Rules on answers, size and predicted device time are
    judged along; rules on times are refused, as of any emulated board.

    Args:
        base_runtime, cand_runtime: releases to compare, with the same model as base and candidate.

    Raises:
        UsageError: an option has no meaning for counts, or as `edgesim.count`.
    """
    options.require_only(COUNT_OPTIONS, "a rule on instructions counts both models in an emulator")
    same_model = base.sha256 == candidate.sha256
    releases = paired_releases.of(profile, base_runtime, cand_runtime, options, same_model=same_model)
    if releases is not None:
        paired_releases.refuse_predicted(rules.of_board(profile.name, profile.mode))
    if options.inputs.input is None:
        samples = candidate.samples_path if candidate.samples_path is not None else base.samples_path
        options = RunOptions.of(options, input=samples)
    sides = tuple(zip((base, candidate), releases or (None, None), strict=True))
    results = [
        count(
            profile,
            model,
            RunOptions.of(options, runtime=release) if release is not None else options,
            listener=listener,
        )
        for model, release in sides
    ]
    verdict = judge(results[1], rules, results[0], paired=True)
    if releases is not None:
        of_base, of_candidate = (f"{model.name}, ONNX Runtime {release}" for model, release in sides)
        verdict = verdict.model_copy(update={"base": of_base, "candidate": of_candidate})
    return Pair(base=results[0], candidate=results[1], verdict=verdict)
