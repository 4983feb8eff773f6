"""A stack's benchmark: stack file → services on one board → load on the entry → result."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from edgesim.boards.start import DEFAULT_READY_TIMEOUT_S
from edgesim.errors import EdgesimError, Interrupted, StackError
from edgesim.jobs.defaults import DEFAULTS, stop_rule
from edgesim.loadgen.scenario import Scenario
from edgesim.measure import steady_state
from edgesim.options import InputOptions, Precision, ScenarioName
from edgesim.progress import Listener, Stages
from edgesim.recording import Sample
from edgesim.results.journal import Journal
from edgesim.results.stack_result import StackResult
from edgesim.stacks import stack_loader, stack_result_builder, up
from edgesim.stacks import traffic as entry
from edgesim.stacks.stack import Stack
from edgesim.stacks.stack_session import LoadPlan, Measurement, measure
from edgesim.stacks.up import Plan, Running

# Where a run of one model finds the end of its warm-up by rule; here so many requests go before the measured ones.
_WARM_UP = 20


def run(
    source: Path | str | Stack,
    *,
    scenario: ScenarioName | None = None,
    qps: float | None = None,
    clients: int | None = None,
    samples_per_query: int | None = None,
    requests: int | None = None,
    duration_s: float | None = None,
    until: Precision | None = None,
    warmup: int | None = None,
    seed: int = 0,
    inputs_from: Path | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    base: str | None = None,
    ready_timeout_s: float = DEFAULT_READY_TIMEOUT_S,
    output: Path | None = None,
    listener: Listener | None = None,
) -> StackResult:
    """Benchmark a stack through its entry service; a stack of nothing but steps is run once, and each step measured.

    It is this run's own: volumes are empty at the beginning and gone at the end, ports are any that are free.

    Args:
        source: a stack file, or a stack.
        inputs_from: real inputs of the entry's model, see `edgesim.loadgen.InputOptions`.
        scenario, qps, clients, samples_per_query, requests, duration_s, until, warmup, seed, shapes, ranges, output,
            base, ready_timeout_s, listener: as for `edgesim.jobs.run.run`.

    Raises:
        UsageError: the stack, what it names, or the options are wrong.
        HostError: this host cannot do it.
        DeviceError: a service failed; what was measured until then is in its `result`.
        Interrupted: Ctrl-C while measuring; likewise.
        ResultError: the result cannot be written.
    """
    stages = Stages(listener)
    written = source if isinstance(source, Stack) else stack_loader.read(Path(source))
    wishes = InputOptions(seed=seed, input=inputs_from, shapes=shapes or {}, ranges=ranges or {})
    only_steps = all(service.once for service in written.services.values())
    resolved = up.of_engine(written, None, base=base)
    plan = None
    if only_steps and (scenario, qps, clients, samples_per_query, requests, duration_s, until, warmup) != (None,) * 8:
        raise StackError(f"stack {written.name}: has nothing but steps, which take no requests", fix="no such option")
    if not only_steps:
        with stages.stage("requests", "making the requests"):
            entry.check(resolved, wishes)
            steady_state.prepare()
        defaults = DEFAULTS[resolved.execution]
        stop = stop_rule(requests, duration_s, until, defaults, server=scenario == "server" or qps is not None)
        warm_up = warmup if warmup is not None else defaults.warm_up if defaults.warm_up is not None else _WARM_UP
        plan = LoadPlan(
            scenario=Scenario.of(scenario, stop=stop, qps=qps, seed=seed, samples=samples_per_query, clients=clients),
            warm_up=warm_up,
            timeout_s=defaults.timeout_s,
        )
    start = Plan(temporary=True, base=base, ready_timeout_s=ready_timeout_s)
    journal = Journal(output) if output is not None else None
    try:
        with up.temporary(source if isinstance(source, Stack) else Path(source), start, stages) as running:
            result = _measured(running, plan, wishes, stages, journal)
    except EdgesimError as error:
        if isinstance(error.result, StackResult) and journal is not None:
            journal.finish(error.result)
        raise
    if journal is not None:
        journal.finish(result)
    return result


def _measured(
    running: Running, plan: LoadPlan | None, wishes: InputOptions, stages: Stages, journal: Journal | None
) -> StackResult:
    """What a stack that is up gives.

    Raises:
        EdgesimError: with what was measured until then as its `result`.
    """
    measured = Measurement()
    if plan is None:
        return stack_result_builder.result(running, measured, stages, traffic=None, plan=None)
    traffic = entry.traffic(running, wishes, timeout_s=plan.timeout_s)

    def keeping(samples: Sequence[Sample]) -> AbstractContextManager[None]:
        if journal is None:
            return nullcontext()
        return journal.keeping(
            samples, lambda: stack_result_builder.so_far(running, measured, stages, traffic=traffic, plan=plan)
        )

    try:
        measure(running, traffic, plan, stages, into=measured, keeping=keeping)
        running.check()
    except KeyboardInterrupt as interrupt:
        measured.interrupted = True
        so_far = stack_result_builder.result(running, measured, stages, traffic=traffic, plan=plan)
        raise Interrupted("interrupted; what was measured is kept", result=so_far) from interrupt
    except EdgesimError as error:
        measured.alive = False
        error.result = stack_result_builder.result(running, measured, stages, traffic=traffic, plan=plan)
        raise
    return stack_result_builder.result(running, measured, stages, traffic=traffic, plan=plan)
