"""The result of a run of a stack."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgesim import stated_facts
from edgesim.host import host_facts, limit_values
from edgesim.host.limit_values import LimitReading, LimitValues
from edgesim.jobs.measurement import distribution, lag, throughput_qps
from edgesim.jobs.result_sections import profile_section, requests_section, scenario_section
from edgesim.measure import resource_usage, steady_state, validity
from edgesim.measure.resource_usage import ResourceUsage
from edgesim.measure.rule_outcome import RuleOutcome
from edgesim.measure.validity import Validity
from edgesim.progress import Stages
from edgesim.recording import Phase, Reading
from edgesim.results.sections import (
    HostLoadSection,
    HostSection,
    ImageSection,
    ResourcesSection,
    ValiditySection,
    optional_section,
    section,
)
from edgesim.results.stack_result import BudgetSection, ServiceSection, StackResult, StackSection
from edgesim.results.stamp import stamp
from edgesim.stacks.resolve import ResolvedService
from edgesim.stacks.running import RunningStack
from edgesim.stacks.stack_session import LoadPlan, StackMeasurement, board_readings, load_of
from edgesim.stacks.traffic import Traffic

# The optional facts of a stack file whose default is part of the digest, too; no new fact joins them.
_ALWAYS_IN_DIGEST = {
    "Build": {"args", "base", "dockerfile"},
    "Entry": {"model", "request"},
    "Request": {"body", "headers", "method", "path"},
    "Service": {
        *("after", "build", "command", "cpus", "entrypoint", "environment", "gpus", "healthy", "image", "memory"),
        *("models", "mount", "mounts", "once", "packages", "port", "publish", "repository", "restart", "runtime"),
        *("target", "user"),
    },
    "Stack": {"entry"},
    "StackMount": {"bind", "external", "volume", "writable"},
}


def result(
    running: RunningStack, measured: StackMeasurement, stages: Stages, *, traffic: Traffic | None, plan: LoadPlan | None
) -> StackResult:
    """Return the result so far. Without traffic there was no load, and the steps are the whole result."""
    resolved, samples = running.resolved, measured.samples
    running.states()
    killed = running.killed()
    load, origin_ns = load_of(running), samples[0].scheduled_ns if samples else 0
    scenario = scenario_section(plan.scenario, traffic.origin, measured.warm_up) if plan and traffic else None
    board_usage = _board_usage(running, load, sum(killed.get(name, 0) for name in resolved.on_board))
    return StackResult(
        **stamp(),
        execution=resolved.execution,
        stack=StackSection(
            name=resolved.name,
            sha256=_sha256(running),
            entry=resolved.stack.entry.service if resolved.stack.entry is not None else None,
            request=traffic.origin if traffic is not None else None,
        ),
        profile=profile_section(resolved.profile),
        host=section(
            HostSection,
            host_facts.describe(
                engine=running.engine.facts.title,
                emulator=str(running.emulator) if running.emulator is not None else None,
                cores=running.engine.facts.cores,
            ).beside(resolved.comparison),
        ),
        budget=_limits(running),
        scenario=scenario,
        stages_s=dict(stages.seconds),
        first_request_s=measured.first_request_s,
        requests=requests_section(samples),
        latency_ms=distribution(samples, lambda sample: sample.latency_ms),
        service_time_ms=distribution(samples, lambda sample: sample.service_time_ms),
        lag_ms=lag(samples),
        throughput_qps=throughput_qps(samples),
        generator=measured.generator.section(None),
        resources=section(ResourcesSection, board_usage),
        services={name: _service(running, service, load, killed) for name, service in resolved.services.items()},
        host_load=optional_section(HostLoadSection, measured.host_load),
        validity=section(ValiditySection, _validity(running, measured, board_usage, plan)),
        complete=not measured.interrupted,
        phases=tuple(phase.since(origin_ns) for phase in running.monitor.phases),
        timeline=tuple(reading.since(origin_ns) for reading in board_readings(running)),
        timelines={
            name: tuple(reading.since(origin_ns) for reading in readings)
            for name, readings in running.monitor.readings.items()
        },
        samples=tuple(sample.since(origin_ns) for sample in samples),
    )


def so_far(
    running: RunningStack, measured: StackMeasurement, stages: Stages, *, traffic: Traffic, plan: LoadPlan
) -> StackResult:
    """Return the result while the run is under way: marked incomplete, without samples."""
    unfinished = ValiditySection(valid=False, reasons=("complete: the run has not ended",))
    partial = result(running, replace(measured, samples=[]), stages, traffic=traffic, plan=plan)
    return partial.model_copy(
        update={"complete": False, "timeline": (), "timelines": {}, "phases": (), "validity": unfinished}
    )


def _sha256(running: RunningStack) -> str:
    """Return the digest of the stack file's contents and of the models that it names."""
    facts = stated_facts.stated(running.resolved.stack, _ALWAYS_IN_DIGEST)
    models = [model.sha256 for service in running.resolved.services.values() for model in service.models]
    return hashlib.sha256(json.dumps([facts, models], sort_keys=True).encode()).hexdigest()


def _limits(running: RunningStack) -> BudgetSection:
    limits = running.resolved.limits
    return BudgetSection(
        parent=running.naming.parent,
        memory_bytes=limits.memory_bytes,
        cpus=limits.cpus,
        processes=limits.processes,
        applied=_applied(running.monitor.limits),
        overcommit=running.resolved.overcommit,
        shortfalls=tuple(running.shortfalls),
    )


def _applied(limits: LimitValues) -> dict[str, int | float | None]:
    """Return the limits by the names in a stack's result; none if the engine does not run on this host."""
    if limits == LimitValues():
        return {}
    return {
        "memory_limit_bytes": limits.memory_bytes,
        "cpu_limit": limits.cpus,
        "processes_limit": limits.processes,
        "read_bytes_per_s": limits.read_bytes_per_s,
        "write_bytes_per_s": limits.write_bytes_per_s,
    }


def _service(
    running: RunningStack, service: ResolvedService, load: Sequence[Phase], killed: Mapping[str, int]
) -> ServiceSection:
    state, readings = running.monitor.states[service.name], running.monitor.readings.get(service.name, [])
    phases = [_all_of(readings)] if service.spec.once and readings else load
    board_cpus = running.resolved.limits.cpus if not service.spec.beside else None
    used = resource_usage.summarise(readings, phases, service.memory_bytes, board_cpus, running.monitor.source)
    return ServiceSection(
        kind="step" if service.spec.once else "service",
        beside=service.spec.beside,
        image=ImageSection(reference=service.image, id=state.image),
        models=tuple(model.name for model in service.models),
        state=state.status,
        health=state.health,
        exit_code=state.exit_code if state.ended else None,
        ran_s=state.ran_s,
        restarts=state.restarts,
        killed=killed.get(service.name, 0),
        memory_limit_bytes=service.memory_bytes if service.spec.memory is not None else None,
        cpu_limit=service.cpus if service.spec.cpus is not None else None,
        gpus=running.naming.gpus.method if service.gpus and running.naming.gpus is not None else None,
        proxies=dict(state.proxies),
        resources=section(ResourcesSection, replace(used, oom_kills=killed.get(service.name, 0))),
    )


def _all_of(readings: Sequence[Reading]) -> Phase:
    return Phase("all", readings[0].at_ns, readings[-1].at_ns)


def _board_usage(running: RunningStack, load: Sequence[Phase], kills: int) -> ResourceUsage:
    """Return the resources of the whole board; the services' kills are added, since cgroup v1 counts only those."""
    limits, readings = running.resolved.limits, board_readings(running)
    phases = load or ([_all_of(readings)] if readings else [])
    used = resource_usage.summarise(readings, phases, limits.memory_bytes, limits.cpus, running.monitor.source)
    return replace(used, oom_kills=kills)


def limit_readings(running: RunningStack) -> tuple[LimitReading, ...]:
    """Return the limits that all services share, with what the kernel holds; empty for an engine on another machine."""
    if not running.monitor.limits_known:
        return ()
    return tuple(limit_values.readings(running.resolved.limits.requested, running.monitor.limits))


def _validity(
    running: RunningStack, measured: StackMeasurement, board_usage: ResourceUsage, plan: LoadPlan | None
) -> Validity:
    if plan is None:
        finding = f"all {len(running.resolved.services)} steps ended with 0"
        return Validity((RuleOutcome(name="steps", verdict="ok", finding=finding),))
    samples, scenario = measured.samples, plan.scenario
    times_ms = [sample.service_time_ms if scenario.name == "offline" else sample.latency_ms for sample in samples]
    return validity.assess(
        validity.Evidence(
            scenario=scenario.name,
            samples=samples,
            load_s=sum(phase.end_ns - phase.begin_ns for phase in load_of(running)) / 1e9,
            oom_kills=board_usage.oom_kills,
            alive=measured.alive,
            paused_s=running.project.paused_s() + running.monitor.stopped_s,
            stopped_s=measured.stopped_s,
            interrupted=measured.interrupted,
            precision=scenario.stop.precision,
            warm_up=measured.warm_up,
            drift=steady_state.drift([ms for ms, sample in zip(times_ms, samples, strict=True) if sample.ok]),
            host_load=measured.host_load,
            limits=limit_readings(running),
            times_need_cpu=running.resolved.execution in ("native", "scaled"),
        )
    )
