"""A stack's benchmark: stack file → services on one board → load on the entry → result."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Unpack

from edgesim.errors import EdgesimError, Interrupted, StackError
from edgesim.jobs.session_plan import scenario_of
from edgesim.measure import steady_state
from edgesim.options import REQUEST_DEFAULTS, InputOptions, RunKeywords, RunOptions, TrafficOptions
from edgesim.progress import Listener, Stages
from edgesim.recording import Sample
from edgesim.results.journal import Journal
from edgesim.results.stack_result import StackResult
from edgesim.stacks import stack_loader, stack_result_builder, traffic, up
from edgesim.stacks.running import RunningStack
from edgesim.stacks.stack import Stack
from edgesim.stacks.stack_session import LoadPlan, StackMeasurement, measure
from edgesim.stacks.up import Plan

# Requests before the measured ones: a run of one model finds the end of its warm-up by rule, a stack does not.
_WARM_UP = 20

# The options of a run that a stack has a use for; the others are about one model, or the stack file has them.
STACK_OPTIONS = frozenset(
    {
        "scenario",
        "qps",
        "clients",
        "samples_per_query",
        "requests",
        "duration_s",
        "until",
        "warmup",
        *InputOptions.model_fields,
        "base_image",
        "ready_timeout_s",
        "output",
    }
)
# Why an option is refused, and what to do instead.
REFUSED_BECAUSE, REFUSED_FIX = "is for one model, not for a stack", "the stack file says what runs, and with what"


def run(
    source: str | Path | Stack,
    options: RunOptions | None = None,
    *,
    listener: Listener | None = None,
    **keywords: Unpack[RunKeywords],
) -> StackResult:
    """Benchmark a stack through its entry service; run a stack of steps alone once, and measure each step.

    The stack is this run's own: its volumes are empty at the beginning and gone at the end, and it takes free ports.

    Args:
        source: a stack file, or a stack.
        options: the options that `STACK_OPTIONS` names apply; the stack file says the rest.
        keywords: single options by name.

    Raises:
        UsageError: the stack, what it names, or the options are wrong.
        HostError: this host cannot run the stack.
        DeviceError: a service failed; what was measured until then is in its `result`.
        Interrupted: Ctrl-C while measuring; what was measured until then is in its `result`.
        ResultError: the result cannot be written.
    """
    options = RunOptions.of(options, **keywords)
    options.require_only(
        STACK_OPTIONS,
        REFUSED_BECAUSE,
        fix=REFUSED_FIX,
        error=StackError,
    )
    load, stages = options.traffic, Stages(listener)
    stack = source if isinstance(source, Stack) else stack_loader.read(Path(source))
    only_steps = _has_only_steps(stack)
    resolved = up.of_engine(stack, None, base=options.board.base_image)
    plan = None
    if only_steps and load != TrafficOptions():
        raise StackError(f"stack {stack.name}: has only steps, which receive no requests", fix="no such option")
    if not only_steps:
        with stages.stage("requests", "making the requests"):
            traffic.check(resolved, options.inputs)
            steady_state.prepare()
        defaults = REQUEST_DEFAULTS[resolved.execution]
        warm_up = defaults.warm_up if defaults.warm_up is not None else _WARM_UP
        plan = LoadPlan(
            scenario=scenario_of(load, defaults, seed=options.inputs.seed),
            warm_up=load.warmup if load.warmup is not None else warm_up,
            timeout_s=defaults.timeout_s,
        )
    start = Plan(
        temporary=True, any_port=True, base=options.board.base_image, ready_timeout_s=options.board.ready_timeout_s
    )
    journal = Journal(options.output) if options.output is not None else None
    try:
        with up.temporary(source if isinstance(source, Stack) else Path(source), start, stages) as running:
            result = _measured(running, plan, options.inputs, stages, journal)
    except EdgesimError as error:
        if isinstance(error.result, StackResult) and journal is not None:
            journal.finish(error.result)
        raise
    if journal is not None:
        journal.finish(result)
    return result


def options_of(stack: Stack) -> frozenset[str]:
    """Return the fields of a run's options that this stack takes; a stack of steps alone takes none of traffic."""
    return STACK_OPTIONS - TrafficOptions.model_fields.keys() if _has_only_steps(stack) else STACK_OPTIONS


def _has_only_steps(stack: Stack) -> bool:
    return all(service.once for service in stack.services.values())


def _measured(
    running: RunningStack, plan: LoadPlan | None, options: InputOptions, stages: Stages, journal: Journal | None
) -> StackResult:
    """Measure a stack that is up.

    Raises:
        EdgesimError: with what was measured until then as its `result`.
    """
    measured = StackMeasurement()
    if plan is None:
        return stack_result_builder.result(running, measured, stages, traffic=None, plan=None)
    requests = traffic.traffic(running, options, timeout_s=plan.timeout_s)

    def result() -> StackResult:
        return stack_result_builder.result(running, measured, stages, traffic=requests, plan=plan)

    def keeping(samples: Sequence[Sample]) -> AbstractContextManager[None]:
        if journal is None:
            return nullcontext()
        return journal.keeping(
            samples, lambda: stack_result_builder.so_far(running, measured, stages, traffic=requests, plan=plan)
        )

    try:
        measure(running, requests, plan, stages, into=measured, keeping=keeping)
        running.check()
    except KeyboardInterrupt as interrupt:
        measured.interrupted = True
        raise Interrupted("interrupted; the measurements so far are kept", result=result()) from interrupt
    except EdgesimError as error:
        measured.alive = False
        error.result = result()
        raise
    return result()
