"""What one run of a stack gave, put together as its result."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from edgesim import __version__
from edgesim.host import host_facts
from edgesim.jobs.board_session import distribution, lag, throughput_qps
from edgesim.loadgen.scenario import Scenario
from edgesim.measure import resource_usage, statistics, steady_state, validity
from edgesim.progress import Stages
from edgesim.recording import Phase, Reading, Sample
from edgesim.results.run_result import (
    ImageSection,
    ProfileSection,
    RequestsSection,
    ResourcesSection,
    Rule,
    ScenarioSection,
    ValiditySection,
)
from edgesim.results.stack_result import BudgetSection, ServiceSection, StackResult, StackSection
from edgesim.stacks.resolve import Part
from edgesim.stacks.stack_session import LoadPlan, Measurement, board_readings, load_of
from edgesim.stacks.traffic import Traffic
from edgesim.stacks.up import Running


def result(
    running: Running, measured: Measurement, stages: Stages, *, traffic: Traffic | None, plan: LoadPlan | None
) -> StackResult:
    """Everything, as far as it has come. Without traffic there was no load, and the steps are all."""
    resolved, samples = running.resolved, measured.samples
    running.states()
    killed = running.killed()
    load, origin_ns = load_of(running), samples[0].scheduled_ns if samples else 0
    scenario = _scenario(plan.scenario, measured, traffic.origin) if plan and traffic else None
    whole = _whole(running, load, sum(killed.values()))
    return StackResult(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        edgesim_version=__version__,
        execution=resolved.execution,
        stack=StackSection(
            name=resolved.name,
            sha256=_sha256(running),
            entry=resolved.stack.entry.service if resolved.stack.entry is not None else None,
            request=traffic.origin if traffic is not None else None,
        ),
        profile=ProfileSection(
            name=resolved.profile.name,
            sha256=resolved.profile.sha256,
            title=resolved.profile.title,
            mode=resolved.profile.mode,
        ),
        host=host_facts.describe(
            engine=f"Docker {running.engine.facts.version}",
            emulator=str(running.emulator) if running.emulator is not None else None,
        ),
        budget=_budget(running),
        scenario=scenario,
        stages_s=dict(stages.seconds),
        first_request_s=measured.first_request_s,
        requests=_requests(samples),
        latency_ms=distribution(samples, lambda sample: sample.latency_ms),
        service_time_ms=distribution(samples, lambda sample: sample.service_time_ms),
        lag_ms=lag(samples),
        throughput_qps=throughput_qps(samples),
        generator=measured.generator.section(None),
        resources=whole,
        services={name: _service(running, part, load, killed) for name, part in resolved.parts.items()},
        host_load=measured.host_load,
        validity=_judge(running, measured, scenario, whole, plan),
        complete=not measured.interrupted,
        phases=tuple(phase.since(origin_ns) for phase in running.watch.phases),
        timeline=tuple(reading.since(origin_ns) for reading in board_readings(running)),
        timelines={
            name: tuple(reading.since(origin_ns) for reading in readings)
            for name, readings in running.watch.readings.items()
        },
        samples=tuple(sample.since(origin_ns) for sample in samples),
    )


def so_far(running: Running, measured: Measurement, stages: Stages, *, traffic: Traffic, plan: LoadPlan) -> StackResult:
    """The result while it is measured: marked incomplete, without samples."""
    unfinished = ValiditySection(valid=False, reasons=("complete: the run has not come to its end",))
    found = result(running, replace(measured, samples=[]), stages, traffic=traffic, plan=plan)
    return found.model_copy(
        update={"complete": False, "timeline": (), "timelines": {}, "phases": (), "validity": unfinished}
    )


def _sha256(running: Running) -> str:
    """Of all that the stack file says, and of the models that it names."""
    facts = running.resolved.stack.model_dump(mode="json")
    models = [model.sha256 for part in running.resolved.parts.values() for model in part.models]
    return hashlib.sha256(json.dumps([facts, models], sort_keys=True).encode()).hexdigest()


def _budget(running: Running) -> BudgetSection:
    budget = running.resolved.budget
    return BudgetSection(
        parent=running.naming.parent,
        memory_bytes=budget.memory_bytes,
        cpus=budget.cpus,
        processes=budget.processes,
        applied=running.watch.limits,
        overcommit=running.resolved.overcommit,
        shortfalls=tuple(running.resolved.shortfalls),
    )


def _scenario(scenario: Scenario, measured: Measurement, origin: str) -> ScenarioSection:
    stop, precision = scenario.stop, scenario.stop.precision
    return ScenarioSection(
        name=scenario.name,
        requests=stop.requests,
        duration_s=stop.duration_s,
        warmup=measured.warm_up.requests if measured.warm_up is not None else 0,
        seed=scenario.seed,
        inputs=origin,
        qps=scenario.qps,
        samples=scenario.samples,
        clients=scenario.clients,
        precision=f"p{precision.percentile:g} within {precision.percent:g} %" if precision is not None else None,
        warm_up=measured.warm_up,
    )


def _requests(samples: Sequence[Sample]) -> RequestsSection:
    ok = sum(sample.ok for sample in samples)
    failed = len(samples) - ok
    return RequestsSection(
        sent=len(samples), ok=ok, failed=failed, error_rate=failed / len(samples) if samples else None
    )


def _service(running: Running, part: Part, load: Sequence[Phase], killed: Mapping[str, int]) -> ServiceSection:
    state, readings = running.watch.states[part.name], running.watch.readings.get(part.name, [])
    phases = [_all_of(readings)] if part.service.once and readings else load
    used = resource_usage.summarise(
        readings, phases, part.memory_bytes, running.resolved.budget.cpus, running.watch.source
    )
    return ServiceSection(
        kind="step" if part.service.once else "service",
        image=ImageSection(reference=part.image, id=state.image),
        models=tuple(model.name for model in part.models),
        state=state.status,
        health=state.health,
        exit_code=state.exit_code if state.ended else None,
        ran_s=state.ran_s,
        restarts=state.restarts,
        killed=killed.get(part.name, 0),
        memory_limit_bytes=part.memory_bytes if part.service.memory is not None else None,
        cpu_limit=part.cpus if part.service.cpus is not None else None,
        resources=used.model_copy(update={"oom_kills": killed.get(part.name, 0)}),
    )


def _all_of(readings: Sequence[Reading]) -> Phase:
    return Phase("all", readings[0].at_ns, readings[-1].at_ns)


def _whole(running: Running, load: Sequence[Phase], kills: int) -> ResourcesSection:
    """The whole board's, with the kills of all services: version 1 counts them in each alone."""
    budget, readings = running.resolved.budget, board_readings(running)
    phases = load or ([_all_of(readings)] if readings else [])
    used = resource_usage.summarise(readings, phases, budget.memory_bytes, budget.cpus, running.watch.source)
    return used.model_copy(update={"oom_kills": kills})


def _judge(
    running: Running,
    measured: Measurement,
    scenario: ScenarioSection | None,
    whole: ResourcesSection,
    plan: LoadPlan | None,
) -> ValiditySection:
    if scenario is None or plan is None:
        finding = f"all {len(running.resolved.parts)} steps ended well"
        return ValiditySection(valid=True, rules=(Rule(name="steps", verdict="ok", finding=finding),))
    samples, precision = measured.samples, plan.scenario.stop.precision
    latencies = np.array([sample.latency_ms if sample.ok else math.inf for sample in samples])
    load_s = sum(phase.end_ns - phase.begin_ns for phase in load_of(running)) / 1e9
    ordered = [sample.service_time_ms if scenario.name == "offline" else sample.latency_ms for sample in samples]
    return validity.judge(
        validity.Evidence(
            scenario=scenario,
            samples=samples,
            load_s=load_s,
            resources=whole,
            alive=measured.alive,
            interrupted=measured.interrupted,
            precise=statistics.is_precise(latencies, precision.percentile, precision.percent) if precision else None,
            drift=steady_state.drift([ms for ms, sample in zip(ordered, samples, strict=True) if sample.ok]),
            host_load=measured.host_load,
        )
    )
