"""A paired run: two models, or one in two releases, in turns on fresh boards until the rules are decided."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Unpack

from edgesim import inputs, profiles
from edgesim.boards import placement
from edgesim.boards.launch import Launch, resolve_context
from edgesim.boards.scaling_targets import PredictedTimes
from edgesim.boards.start import compare_machine
from edgesim.engine.context import Context
from edgesim.errors import UsageError
from edgesim.gates import Rules, judge, paired_statistics
from edgesim.gates.judge import refuse
from edgesim.gates.result_metrics import is_time
from edgesim.gates.rules import Rule
from edgesim.host import cores
from edgesim.host.emulator import host_architecture
from edgesim.inputs.sequences import RequestSequence
from edgesim.jobs import paired_releases, same_release
from edgesim.jobs.board_session import on_cores
from edgesim.jobs.pair import Pair
from edgesim.jobs.paired_boards import with_emulated_boards
from edgesim.jobs.paired_rounds import Rounds, Side, SideName
from edgesim.jobs.result_builder import ResultBuilder
from edgesim.jobs.session_plan import SessionPlan
from edgesim.loadgen.scenario import Scenario, StopRule
from edgesim.measure import statistics
from edgesim.measure.detections import Matcher
from edgesim.measure.input_fit import require_fit
from edgesim.measure.statistics import PERCENTILES
from edgesim.models.repository import Model
from edgesim.options import CPU, REQUEST_DEFAULTS, Execution, InputOptions, RunKeywords, RunOptions
from edgesim.predictions import Declined
from edgesim.predictions.ratio import RatioBand, ratio_band
from edgesim.profiles import DeviceProfile
from edgesim.progress import Listener, Stages
from edgesim.recording import Sample
from edgesim.results.run_result import RunResult
from edgesim.results.sections import InterleavedSection, PredictedRatio, optional_section
from edgesim.results.verdict import Verdict


def run_pair(
    profile: str | Path | DeviceProfile,
    base: Model,
    candidate: Model,
    rules: Rules,
    options: RunOptions | None = None,
    *,
    max_rounds: int = paired_statistics.MOST_ROUNDS,
    all_rounds: bool = False,
    base_runtime: str | None = None,
    cand_runtime: str | None = None,
    listener: Listener | None = None,
    unfinished: Callable[[RunResult, RunResult], object] | None = None,
    **keywords: Unpack[RunKeywords],
) -> Pair:
    """Measure two models against each other on one board, and judge the candidate.

    Each round starts a fresh board for each side. Within a round the sides take turns (base, candidate, candidate,
    base; in the next round the other way round) with the same requests, one at a time. The rules are judged after the
    numbers of rounds that `edgesim.gates.paired_statistics.looks` gives; more rounds follow while a rule is undecided.
    Rules on memory and accuracy then get emulated boards where the sides are scaled, see `paired_boards`.

    Args:
        profile: a profile's name, ``name:mode``, a path to a YAML file, or a profile.
        options: the sections `inputs` and `board` apply. Without `execution`, a board runs ``native`` on itself,
            ``same-architecture`` on another host of its architecture, ``scaled`` on any other host, and a plain
            process ``host``. Inputs that came with the candidate go before those that came with the base.
        max_rounds: the job ends after this many rounds, even if a rule is undecided.
        all_rounds: run `max_rounds` rounds even if all rules are decided sooner.
        base_runtime, cand_runtime: releases of ONNX Runtime to compare, with the same model as base and candidate.
        unfinished: gets both results of the complete rounds, marked incomplete, if an interrupt or a failing board ends
            the job; not called before a round is complete.
        keywords: single options by name.

    Raises:
        UsageError: the models' inputs or outputs differ, a rule bounds a time that is no board's, or as `edgesim.run`.
        HostError: this host cannot run the board; DeviceError: a device failed.
    """
    options = RunOptions.of(options, **keywords)
    options.require_only(PAIR_OPTIONS, "a paired run has its own traffic and containers")
    if max_rounds < paired_statistics.FEWEST_ROUNDS:
        raise UsageError(
            f"`max_rounds={max_rounds}`: too few for a verdict", fix=f"{paired_statistics.FEWEST_ROUNDS} or more"
        )
    stages = Stages(listener)
    profile = profiles.load(profile)
    same_model = base.sha256 == candidate.sha256
    releases = paired_releases.of(profile, base_runtime, cand_runtime, options, same_model=same_model)
    board_rules = rules.of_board(profile.name, profile.mode)
    if not board_rules:
        raise UsageError(f"no rule applies to {profile.name}", fix="put a rule under rules: or under the board's name")
    context = resolve_context(options.board.engine, options.board.context)
    with stages.stage("preflight", "looking at the engine and its machine"):
        execution = _execution(Launch.of(profile, [base], options.board, context=context), stages)
    for rule in board_rules:
        refuse(rule, execution)
    if releases is not None:
        paired_releases.refuse_hidden(board_rules, execution)
    client_cores, device_cores = _cores(context)
    board_options = options.board.model_copy(update={"execution": execution})

    def launch_of(model: Model, release: str | None) -> Launch:
        of_side = board_options.model_copy(update={"runtime": release}) if release is not None else board_options
        return Launch.of(profile, [model], of_side, cores=device_cores, high_priority=True, context=context)

    of_base, of_candidate = releases if releases is not None else (None, None)
    launches = launch_of(base, of_base), launch_of(candidate, of_candidate)
    for launch in launches:
        launch.check()
        launch.require_loadable()
    with stages.stage("model", "reading both models, and running them on this host for comparison"):
        _check_signatures(base, candidate)
        origin = candidate if candidate.samples_path is not None or base.samples_path is None else base
        chosen = inputs.choose(origin, options.inputs)

        def side(name: SideName, model: Model, launch: Launch) -> Side:
            return _side(name, model, chosen, stages, launch, client_cores, options)

        sides = side("base", base, launches[0]), side("candidate", candidate, launches[1])
    looks = paired_statistics.looks(max_rounds)
    predicted = _predicted_ratio(profile, sides) if execution != "native" else None
    ratio = optional_section(PredictedRatio, predicted)
    section = InterleavedSection(
        job=uuid.uuid4().hex, side="base", looks=looks, requests=0, predicted=ratio, release=of_base
    )
    job = Rounds(
        sides=sides, stages=stages, needed=_needed(board_rules, chosen.sequence), most=max_rounds, all_rounds=all_rounds
    )
    with on_cores(client_cores):
        if options.board.engine == "docker":
            job.prime()
        try:
            for rounds in looks:
                while job.done < rounds and not job.failed:
                    job.round()
                results = [_result(side, section, job) for side in job.sides]
                verdict = judge(results[1], rules, results[0], paired=True)
                if job.failed or _invalid_for_good(results) or not (all_rounds or _undecided(verdict)):
                    break
            if not job.failed:
                results = with_emulated_boards(job.sides, results, board_rules, options, stages)
                verdict = judge(results[1], rules, results[0], paired=True)
                if releases is not None:
                    verdict = paired_releases.with_answers(verdict, job.sides)
        except BaseException:
            if unfinished is not None and job.done:
                unfinished(*(_cut_short(side, section, job) for side in job.sides))
            raise
    return Pair(base=results[0], candidate=results[1], verdict=verdict)


# The options that a paired run has a use for: it has its own traffic and its own containers.
PAIR_OPTIONS = frozenset(
    {
        "target",
        "engine",
        "context",
        "execution",
        "base_image",
        "runtime",
        "mount",
        "protocol",
        "ready_timeout_s",
        *InputOptions.model_fields,
        "match",
        "state",
        "generate",
        "host_libraries",
    }
)


def _execution(launch: Launch, stages: Stages) -> Execution:
    requested, default = launch.options.execution, default_execution(launch, stages)
    if requested == "native" and default == "scaled":
        profile = launch.profile
        raise UsageError(
            f"`execution=native`: {profile.name} is {profile.architecture}, and the host that runs it is not",
            fix="`execution=scaled` or emulated",
        )
    execution = requested if requested is not None else default
    placement.require_measurable(launch.target, execution, has_gpus=launch.gpus)
    if requested is None and execution != "native" and launch.target != CPU:
        return "scaled"  # the processor of a host says nothing about an accelerator
    return execution


def _invalid_for_good(results: Sequence[RunResult]) -> bool:
    """Return whether a side is INVALID for another reason than too few requests: more rounds do not help then."""
    return any(not reason.startswith("enough") for result in results for reason in result.validity.reasons)


def _undecided(verdict: Verdict) -> bool:
    """Return whether more rounds may change the verdict: a rule that counts rounds is undecided."""
    return verdict.word != "FAIL" and any(
        item.verdict == "INCONCLUSIVE" and "rounds" in item.figures and "predicted_undecided" not in item.figures
        for item in verdict.items
    )


def default_execution(launch: Launch, stages: Stages, *, build: bool = True) -> Execution:
    """Return the execution whose times mean something where the engine runs.

    A host of the board's architecture that is not the board runs both sides at its own speed: two sides that were
    slowed down to their predicted times would show the predictions' difference, and not the models'.

    Args:
        build: see `edgesim.boards.start.compare_machine`.
    """
    if launch.context is None:
        return placement.local_execution(launch.profile)[0]
    if launch.machine is None:  # without asking the engine, if the architecture decides
        if launch.profile.architecture != host_architecture():
            return "scaled"
        if launch.profile.has_core_of_host:
            return "native"
    runs_as = placement.by_itself(launch.profile, compare_machine(launch, stages, build=build))
    return "scaled" if runs_as == "emulated" else runs_as


def _cores(context: Context | None) -> tuple[Sequence[int] | None, Sequence[int] | None]:
    """Return one core of this host for the load generator, and the others for the boards; None if there is no choice.

    Without fixed cores a server runs beside the load generator in one round and away from it in the next. On two busy
    cores this moved the median by a tenth and more from round to round; with fixed cores, by a fiftieth.
    """
    if context is not None and context.machine is not None:
        return None, None
    client = cores.affinity()[:1]
    boards = cores.apart(client, containers=context is not None)
    return (client, boards) if boards else (None, None)


def _check_signatures(base: Model, candidate: Model) -> None:
    """Refuse models whose inputs or outputs differ: both get the same requests."""
    for what, of_base, of_candidate in (
        ("inputs", base.inputs, candidate.inputs),
        ("outputs", base.outputs, candidate.outputs),
    ):
        fits = len(of_base) == len(of_candidate) and all(
            one.name == other.name
            and one.datatype == other.datatype
            and len(one.shape) == len(other.shape)
            and all(a == b or -1 in (a, b) for a, b in zip(one.shape, other.shape, strict=True))
            for one, other in zip(of_base, of_candidate, strict=True)
        )
        if not fits:
            words = [", ".join(map(str, tensors)) for tensors in (of_base, of_candidate)]
            raise UsageError(f"cannot compare: the models' {what} differ: {words[0]} and {words[1]}")


def _needed(rules: Sequence[Rule], sequence: RequestSequence | None) -> int:
    """Return how many requests each side needs in a round, so that the percentiles of the rules are known."""
    if any(rule.metric.startswith("generation.time_to_first_token_ms") for rule in rules) and sequence is not None:
        return sequence.steps * _needed(rules, None)  # one request of a generation has the prompt
    percentiles = [PERCENTILES.get(rule.metric.rpartition(".")[2], 50.0) for rule in rules if is_time(rule.metric)]
    return max((statistics.smallest_sample(percentile) for percentile in percentiles), default=1)


def _side(
    name: SideName,
    model: Model,
    chosen: inputs.Inputs,
    stages: Stages,
    launch: Launch,
    client_cores: Sequence[int] | None,
    options: RunOptions,
) -> Side:
    """Return one side; `launch` has the execution that both sides run in."""
    model = replace(model, host_libraries=options.board.host_libraries)
    execution = launch.options.execution
    assert execution is not None, "a paired run chooses one"
    times = PredictedTimes.of(launch.profile, model, chosen, launch.target)
    prediction = times.prediction
    if execution == "scaled":
        if isinstance(prediction, Declined):
            error = prediction.as_error()
            others = "`engine=local` judges the change by this host's own time"
            error.fix = f"{error.fix}; or {others}" if error.fix else others
            raise error
        launch = launch.scaled_to(times.scaling_targets())
    compared = None
    if (reference := same_release.on_this_host(model, stages)) is not None:
        require_fit(model, reference, chosen)
        compared = same_release.of_board(launch, model, reference, chosen.requests[0])
    plan = SessionPlan(
        model=model,
        inputs=chosen,
        reference=compared,
        scenario=Scenario(name="single-stream", stop=StopRule(), seed=options.inputs.seed),
        warm_up=None,
        timeout_s=REQUEST_DEFAULTS[execution].timeout_s,
        client_cores=client_cores,
        matcher=Matcher.of(model, options.match, partial(reference.run, chosen.requests[0])) if reference else None,
    )
    builder = ResultBuilder(
        profile=launch.profile,
        model=model,
        stages=stages,
        prediction=prediction,
        targets=times.targets,
        target=launch.target,
        generation=times.generation,
    )
    return Side(name=name, model=model, launch=launch, plan=plan, builder=builder, times=times)


def _predicted_ratio(profile: DeviceProfile, sides: tuple[Side, Side]) -> RatioBand | None:
    base, candidate = (side.builder.prediction for side in sides)
    if isinstance(base, Declined) or isinstance(candidate, Declined):
        return None
    return ratio_band(profile, base, candidate)


def _result(side: Side, section: InterleavedSection, job: Rounds) -> RunResult:
    """Return one side's result; its rates leave out the time in which the other side had its turns."""
    result = side.builder.result()
    rates = [_rate(measurement.samples) for measurement in side.builder.measurements]
    answered, busy_s = _answered([sample for m in side.builder.measurements for sample in m.samples])
    # The busy share goes by the clock, which includes the other side's turns.
    scaling = result.scaling.model_copy(update={"busy_percent": None}) if result.scaling is not None else None
    each = 2 * job.turns.blocks * job.turns.requests if job.turns is not None else 0
    return result.model_copy(
        update={
            "interleaved": section.model_copy(
                update={
                    "side": side.name,
                    "requests": each,
                    "release": side.launch.options.runtime if section.release is not None else None,
                }
            ),
            "throughput_qps": answered / busy_s if busy_s else None,
            "scaling": scaling,
            "restarts": tuple(
                restart.model_copy(update={"throughput_qps": rate})
                for restart, rate in zip(result.restarts, rates, strict=False)
            ),
        }
    )


def _cut_short(side: Side, section: InterleavedSection, job: Rounds) -> RunResult:
    """Return one side's result of the complete rounds, marked incomplete."""
    side.builder.forget_since(job.done)
    side.builder.cut_short = True
    return _result(side, section, job)


def _answered(samples: Sequence[Sample]) -> tuple[int, float]:
    """Return the number of answered requests, and the seconds in which a request was under way."""
    return sum(sample.ok for sample in samples), sum(sample.latency_ms for sample in samples) / 1e3


def _rate(samples: Sequence[Sample]) -> float | None:
    answered, busy_s = _answered(samples)
    return answered / busy_s if answered and busy_s else None
