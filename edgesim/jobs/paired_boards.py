"""Emulated boards in a scaled paired run: rules on memory and accuracy need the board's own instructions."""

from collections.abc import Sequence

from edgesim.boards.launch import Launch
from edgesim.errors import DeviceError, HostError
from edgesim.gates.metric_change import FEWEST_CONTAINERS
from edgesim.gates.result_metrics import OF_THE_BOARD, is_constant
from edgesim.gates.rules import Rule
from edgesim.jobs.paired_rounds import Side
from edgesim.jobs.result_halves import combined
from edgesim.jobs.run import Job, emulated_half
from edgesim.options import RunOptions
from edgesim.progress import Stages
from edgesim.results.run_result import RunResult


def with_emulated_boards(
    sides: Sequence[Side],
    results: Sequence[RunResult],
    rules: Sequence[Rule],
    options: RunOptions,
    stages: Stages,
) -> list[RunResult]:
    """Return the results of scaled sides with emulated halves, as far as the rules need them.

    A rule on memory or accuracy then has the verdict that it has on a result of `edgesim run`. A limit needs one
    emulated board of the candidate; a change of memory needs `FEWEST_CONTAINERS` of both sides for its interval. On a
    host that cannot emulate the board, the results stay as they are, and such rules are INCONCLUSIVE.

    Args:
        sides, results: the base and the candidate, in this order.

    Raises:
        DeviceError: an emulated board failed.
    """
    needed = [rule for rule in rules if rule.metric in OF_THE_BOARD]
    changes = [rule for rule in needed if rule.kind == "change"]
    if not needed or results[0].execution != "scaled":
        return list(results)
    scatters = any(not is_constant(results[1], rule.metric) for rule in changes)
    options = RunOptions.of(options, execution="emulated", repeat=FEWEST_CONTAINERS if scatters else 1)
    combinations = []
    for side, result in zip(sides, results, strict=True):
        if side.name == "base" and not changes:
            combinations.append(result)
            continue
        stages.note(f"the {side.name} emulated, for {', '.join(rule.text for rule in needed)}")
        try:
            combinations.append(combined(result, emulated_half(_job(side, options, stages), options), stages))
        except HostError as error:
            stages.note(f"not emulated: {error.problem}")
            return list(results)
        except DeviceError as error:
            error.problem = f"the {side.name}, emulated: {error.problem}"
            raise
    return combinations


def _job(side: Side, options: RunOptions, stages: Stages) -> Job:
    """Return the job of a side's emulated board, which starts as that of a run does: on all cores."""
    profile = side.launch.profile
    board_options = options.board.model_copy(update={"runtime": side.launch.options.runtime})
    return Job(
        profile=profile,
        model=side.model,
        inputs=side.plan.inputs,
        reference=side.plan.reference,
        times=side.times,
        launch=Launch.of(profile, [side.model], board_options, context=side.launch.context),
        stages=stages,
    )
