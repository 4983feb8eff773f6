"""Two models in one job: both sides in turns on fresh boards, round after round, until the rules are decided."""

import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgesim import profiles
from edgesim.boards import time_scaling
from edgesim.boards.start import DEFAULT_READY_TIMEOUT_S, Launch, where
from edgesim.delivery.deliver import model_mounts
from edgesim.engine import docker_engine
from edgesim.engine.context import Context
from edgesim.errors import ModelError, ProfileError, UsageError
from edgesim.gates import Rules, judge, paired
from edgesim.gates.judge import refuse
from edgesim.gates.result_metrics import PERCENTILES, is_time
from edgesim.gates.rules import Rule
from edgesim.host.emulator import host_architecture
from edgesim.jobs.paired_rounds import Rounds, Side, SideName
from edgesim.jobs.result_builder import Outcome
from edgesim.jobs.session import Plan, held_to
from edgesim.loadgen import inputs
from edgesim.loadgen.scenario import Scenario, StopRule
from edgesim.measure import reference, statistics
from edgesim.models.repository import Model
from edgesim.options import EngineName, Execution, InputOptions, MountMethod
from edgesim.predictions import Prediction
from edgesim.profiles import DeviceProfile
from edgesim.progress import Listener, Stages
from edgesim.recording import Sample
from edgesim.results.run_result import InterleavedSection, RunResult
from edgesim.results.verdict import Check

_TIMEOUT_S: Mapping[Execution, float] = {"emulated": 300.0, "scaled": 300.0, "native": 30.0, "host": 30.0}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """What an interleaved job gave: the results of both sides, and the verdict by the rules."""

    base: RunResult
    candidate: RunResult
    check: Check


def interleave(
    profile_reference: str | DeviceProfile,
    base: Model,
    candidate: Model,
    rules: Rules,
    *,
    engine: EngineName = "docker",
    context: str | None = None,
    execution: Execution | None = None,
    most_rounds: int = paired.MOST_ROUNDS,
    all_rounds: bool = False,
    seed: int = 0,
    source: Path | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    image_base: str | None = None,
    mount: MountMethod | None = None,
    ready_timeout_s: float = DEFAULT_READY_TIMEOUT_S,
    listener: Listener | None = None,
    unfinished: Callable[[RunResult, RunResult], object] | None = None,
) -> Pair:
    """Measure two models against each other on one board, and judge the candidate.

    Each round starts a fresh board for each side; then they take turns (base, candidate, candidate, base; in the next
    round the other way round), with the same requests, one at a time. The rules are looked at after so many rounds as
    `edgesim.gates.paired.looks` says, and more are added while one is undecided.

    Args:
        context: see `edgesim.boards.start.board`.
        execution: without, ``native`` on a board of this host's own kind, else ``scaled``; ``host`` of a plain process.
        most_rounds: then the job ends, whatever is undecided.
        all_rounds: do not end sooner.
        seed, source, shapes, ranges: of the inputs, as `edgesim.run` has them. Real inputs that came with the candidate
            are taken before the base's.
        unfinished: gets both results, of the rounds that were done and incomplete, where the job is interrupted or a
            board fails.

    Raises:
        UsageError: the models take or give different things, a rule is of a time that is no board's, or as for
            `edgesim.run`.
        HostError: this host cannot; DeviceError: a device failed.
    """
    if most_rounds < paired.FEWEST_ROUNDS:
        raise UsageError(f"{most_rounds} rounds: they say nothing", fix=f"{paired.FEWEST_ROUNDS} or more")
    stages = Stages(listener)
    simulated = profiles.load(profile_reference)
    chosen_rules = rules.of_board(simulated.name, simulated.mode)
    if not chosen_rules:
        raise UsageError(f"no rule is for {simulated.name}", fix="put one under rules: or under its name")
    where_from = where(engine, context)
    natural = default_execution(simulated, where_from)
    execution = execution if execution is not None else natural
    if execution == "native" and natural == "scaled":
        raise UsageError(
            f"--execution native: {simulated.name} is {simulated.architecture}, and not what runs it",
            fix="--execution scaled or emulated",
        )
    for rule in chosen_rules:
        refuse(rule, execution)
    if engine == "local" and mount is not None:
        raise UsageError(f"--mount {mount}: --engine local has no container", fix="without it, or --engine docker")
    client_cores, device_cores = _cores(where_from)
    with stages.stage("model", "reading both models, and running them on this host for comparison"):
        _check_signatures(base, candidate)
        wishes = InputOptions(seed=seed, input=source, shapes=shapes or {}, ranges=ranges or {})
        origin = candidate if candidate.samples_path is not None or base.samples_path is None else base
        asked = inputs.choose(origin, wishes)
        prepared = {
            name: _side(
                name,
                subject,
                asked,
                stages,
                Launch(
                    profile=simulated,
                    mounts=model_mounts(subject, simulated.image.mount_point),
                    models=[subject],
                    engine=engine,
                    context=where_from,
                    execution=execution,
                    base=image_base,
                    way=mount,
                    ready_timeout_s=ready_timeout_s,
                    cores=device_cores,
                    first=True,
                ),
                client_cores,
                seed,
            )
            for name, subject in _named(base, candidate)
        }
    looks = paired.looks(most_rounds)
    section = InterleavedSection(job=uuid.uuid4().hex, side="base", looks=looks, requests=0)
    job = Rounds(
        sides=(prepared["base"], prepared["candidate"]), stages=stages, needed=_needed(chosen_rules), most=most_rounds
    )
    with held_to(client_cores):
        if engine == "docker":
            job.prime()
        try:
            for rounds in looks:
                while job.done < rounds and not job.failed:
                    job.round()
                results = [_result(side, section, job) for side in job.sides]
                check = judge(results[1], rules, results[0])
                if job.failed or _spoilt(results) or not (all_rounds or _undecided(check)):
                    break
        except BaseException:
            if unfinished is not None and job.done:
                unfinished(*(_cut_short(side, section, job) for side in job.sides))
            raise
    return Pair(base=results[0], candidate=results[1], check=check)


def _named(base: Model, candidate: Model) -> tuple[tuple[SideName, Model], tuple[SideName, Model]]:
    return ("base", base), ("candidate", candidate)


def _spoilt(results: Sequence[RunResult]) -> bool:
    """Whether a side is INVALID for more than too little of it: then it stays so."""
    return any(not reason.startswith("enough") for result in results for reason in result.validity.reasons)


def _undecided(check: Check) -> bool:
    """Whether more rounds may change the verdict of the whole: by a rule that has rounds to count."""
    return check.verdict != "FAIL" and any(
        item.verdict == "INCONCLUSIVE" and "rounds" in item.figures for item in check.items
    )


def default_execution(simulated: DeviceProfile, context: Context | None) -> Execution:
    """What time can be told by where the engine runs; `context` is None of a plain process."""
    if context is None:
        return "host"
    there = docker_engine.Engine(context).facts.architecture if context.machine is not None else host_architecture()
    return "native" if simulated.architecture == there else "scaled"


def _cores(context: Context | None) -> tuple[Sequence[int] | None, Sequence[int] | None]:
    """One core of this host for the load generator, the others for the boards; None where there is no such choice.

    Else a server has its place beside the generator in one round and away from it in the next, which on two busy cores
    moved the median by a tenth and more from round to round, and by a fiftieth when held.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    elsewhere = context is not None and context.machine is not None
    return (cores[:1], cores[1:]) if len(cores) > 1 and not elsewhere else (None, None)


def _check_signatures(base: Model, candidate: Model) -> None:
    """The same requests go to both, so both must take and give the same."""
    for what, ours, theirs in (("inputs", base.inputs, candidate.inputs), ("outputs", base.outputs, candidate.outputs)):
        fits = len(ours) == len(theirs) and all(
            one.name == other.name
            and one.datatype == other.datatype
            and len(one.shape) == len(other.shape)
            and all(a == b or -1 in (a, b) for a, b in zip(one.shape, other.shape, strict=True))
            for one, other in zip(ours, theirs, strict=True)
        )
        if not fits:
            words = [", ".join(map(str, tensors)) for tensors in (ours, theirs)]
            raise UsageError(f"the models' {what} differ: {words[0]} and {words[1]}: no like with like")


def _needed(rules: Sequence[Rule]) -> int:
    """Requests that a side must have in a round, for the percentiles of the rules to be known."""
    wanted = [PERCENTILES.get(rule.metric.partition(".")[2], 50.0) for rule in rules if is_time(rule.metric)]
    return max((statistics.smallest_sample(percentile) for percentile in wanted), default=1)


def _side(
    name: SideName,
    subject: Model,
    asked: inputs.Inputs,
    stages: Stages,
    launch: Launch,
    client_cores: Sequence[int] | None,
    seed: int,
) -> Side:
    prediction: Prediction | None = None
    declined = ""
    try:
        prediction = time_scaling.predicted(launch.profile, subject, asked.requests[0])
    except (ModelError, ProfileError) as error:
        if launch.execution == "scaled":
            raise
        declined = error.problem
    if launch.execution == "scaled" and prediction is not None:
        aim = time_scaling.target(launch.profile, subject, asked.requests[0], prediction)
        launch = replace(launch, targets=[aim])
    assert launch.execution is not None, "it was chosen"
    plan = Plan(
        model=subject,
        inputs=asked,
        reference=reference.Reference(subject),
        scenario=Scenario(name="single-stream", stop=StopRule(), seed=seed),
        warm_up=None,
        timeout_s=_TIMEOUT_S[launch.execution],
        client_cores=client_cores,
    )
    outcome = Outcome(profile=launch.profile, model=subject, stages=stages, prediction=prediction, declined=declined)
    return Side(name=name, model=subject, launch=launch, plan=plan, outcome=outcome)


def _result(side: Side, section: InterleavedSection, job: Rounds) -> RunResult:
    """One side's result; of its rates the waiting for the other side's turns is no part."""
    found = side.outcome.result()
    rates = [_rate(measurement.samples) for measurement in side.outcome.measurements]
    answered, busy_s = _answered([sample for m in side.outcome.measurements for sample in m.samples])
    # How busy a board was goes by the clock, and the other side's turns are in that.
    scaling = found.scaling.model_copy(update={"busy_percent": None}) if found.scaling is not None else None
    each = 2 * job.turns.blocks * job.turns.requests if job.turns is not None else 0
    return found.model_copy(
        update={
            "interleaved": section.model_copy(update={"side": side.name, "requests": each}),
            "throughput_qps": answered / busy_s if busy_s else None,
            "scaling": scaling,
            "restarts": tuple(
                restart.model_copy(update={"throughput_qps": rate})
                for restart, rate in zip(found.restarts, rates, strict=False)
            ),
        }
    )


def _cut_short(side: Side, section: InterleavedSection, job: Rounds) -> RunResult:
    """Of the rounds that were done."""
    side.outcome.forget_since(job.done)
    side.outcome.cut_short = True
    return _result(side, section, job)


def _answered(samples: Sequence[Sample]) -> tuple[int, float]:
    """How many requests were answered, and for how many seconds one was under way."""
    return sum(sample.ok for sample in samples), sum(sample.latency_ms for sample in samples) / 1e3


def _rate(samples: Sequence[Sample]) -> float | None:
    answered, busy_s = _answered(samples)
    return answered / busy_s if answered and busy_s else None
