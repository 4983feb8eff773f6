"""The main job: profile + model → device → load → measure → result."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import psutil

from edgesim import profiles
from edgesim.boards import hang, time_scaling
from edgesim.boards.start import DEFAULT_READY_TIMEOUT_S, Board, Launch, start, where
from edgesim.delivery.deliver import model_mounts
from edgesim.engine import docker_engine
from edgesim.errors import (
    EdgesimError,
    EmulatorCrashed,
    HostTooSlow,
    Interrupted,
    ModelError,
    ProfileError,
    ScaleFailed,
    UsageError,
)
from edgesim.jobs.defaults import DEFAULTS, stop_rule
from edgesim.jobs.emulator_memory import emulator_memory
from edgesim.jobs.result_builder import Outcome, combined, without_emulated
from edgesim.jobs.session import Measurement, Plan, measure
from edgesim.loadgen import inputs
from edgesim.loadgen.scenario import Scenario, StopRule
from edgesim.measure import reference as agreement
from edgesim.measure import steady_state, validity
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import EngineName, Execution, InputOptions, MountMethod, PeakLimit, Precision, ScenarioName
from edgesim.predictions import Prediction
from edgesim.profiles import DeviceProfile
from edgesim.progress import Listener, Stages
from edgesim.results.journal import Journal
from edgesim.results.run_result import RunResult

# The emulator's own failures say nothing about the model: after one the container is started again, so often at most.
_MOST_EMULATOR_FAILURES = 2

# Seconds that a caller's own preparations took, for the result: "engine=31.2 environment=24.0".
STAGES_VARIABLE = "EDGESIM_STAGES"


# A board that is emulated beside being scaled: whether it loads, answers as this host does, and fits.
_FEW_REQUESTS = 3


def run(
    profile_reference: str | DeviceProfile,
    model_reference: str | Path | Model,
    *,
    models: Path | None = None,
    execution: Execution | None = None,
    engine: EngineName = "docker",
    context: str | None = None,
    scenario: ScenarioName | None = None,
    qps: float | None = None,
    clients: int | None = None,
    samples_per_query: int | None = None,
    sweep: Sequence[float] = (),
    peak: PeakLimit | None = None,
    requests: int | None = None,
    duration_s: float | None = None,
    until: Precision | None = None,
    warmup: int | None = None,
    repeat: int = 1,
    seed: int = 0,
    source: Path | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    client_cores: Sequence[int] | None = None,
    base: str | None = None,
    mount: MountMethod | None = None,
    volume: str | None = None,
    results: Path | None = None,
    ready_timeout_s: float = DEFAULT_READY_TIMEOUT_S,
    output: Path | None = None,
    listener: Listener | None = None,
) -> RunResult:
    """Benchmark a model on a simulated board.

    Args:
        profile_reference: a profile's name, ``name:mode``, a path to a YAML file, or a profile.
        model_reference: a model's name in the repository, a path to an ``.onnx`` file, or a model.
        models: the model repository; ``models/`` and then the sample models without.
        execution: ``emulated`` or ``scaled`` alone; without, a board of another architecture than this host is both:
            scaled, with the traffic asked for, and emulated, with few requests. One of this host's own is ``native``.
        context: see `edgesim.boards.start.board`. A machine of the board's own architecture, such as the board
            itself, runs it ``native``.
        scenario: see `edgesim.loadgen.scenario.Scenario`; without, what `qps` or `samples_per_query` imply, or
            single-stream.
        qps: requests a second of the server scenario.
        clients: closed loops side by side, or offline the requests under way at a time.
        samples_per_query: requests in a query of the multi-stream scenario.
        sweep: rates at which to run the server scenario one after the other.
        peak: search for the highest rate that holds this.
        requests, duration_s, until: the run ends when all that are given are reached.
        warmup: requests before the measured ones, beside the very first, which is always apart; without, emulated none,
            else for as long as the level changes.
        repeat: over so many fresh containers, one after the other.
        seed: of random inputs and arrivals.
        source: real inputs, see `edgesim.loadgen.InputOptions`.
        shapes: sizes by input name, where the model leaves them open.
        ranges: smallest and largest random value by input name.
        client_cores: cores of this host for the load generator alone; the device gets the others.
        base: the image that the serving image is built on.
        mount, volume, results: see `edgesim.boards.start.board`.
        output: where the result is written; while it is measured, what is there already stands in
            ``NAME.incomplete.json`` beside it.
        listener: hears of the stages as they go.

    Returns:
        The result, VALID or INVALID.

    Raises:
        UsageError: profile, model or options are wrong.
        HostError: this host cannot do it.
        DeviceError: the device failed; what was measured until then is in its `result`.
        Interrupted: Ctrl-C while measuring; likewise.
        ResultError: the result cannot be written.
    """
    stages = Stages(listener)
    stages.seconds.update(_stages_before())
    board_profile = profiles.load(profile_reference)
    if sweep or peak is not None:
        _check_levels(scenario, qps, clients, samples_per_query, sweep, peak)
    device_cores = _device_cores(client_cores)
    with stages.stage("model", "reading the model, and running it on this host for comparison"):
        subject = (
            model_reference if isinstance(model_reference, Model) else repository.find(str(model_reference), models)
        )
        wishes = InputOptions(seed=seed, input=source, shapes=shapes or {}, ranges=ranges or {})
        chosen = inputs.choose(subject, wishes)
        reference = agreement.Reference(subject)
        steady_state.prepare()

    def plan(board: Board) -> Plan:
        defaults = DEFAULTS[board.execution]
        name: ScenarioName | None = "server" if sweep or peak is not None else scenario
        stop = stop_rule(requests, duration_s, until, defaults, server=name == "server" or qps is not None)
        return Plan(
            model=subject,
            inputs=chosen,
            reference=reference,
            scenario=Scenario.of(
                name,
                stop=stop,
                qps=sweep[0] if sweep else 1.0 if peak is not None else qps,
                seed=seed,
                samples=samples_per_query,
                clients=clients,
            ),
            warm_up=warmup if warmup is not None else defaults.warm_up,
            timeout_s=defaults.timeout_s,
            sweep=sweep,
            peak=peak,
            client_cores=client_cores,
        )

    def few(board: Board) -> Plan:
        """Beside a scaled run, which has the time: what the traffic is, is its own."""
        stop = StopRule(requests=_FEW_REQUESTS, duration_s=validity.SHORTEST_LOAD_S)
        told = replace(plan(board), scenario=Scenario.of(None, stop=stop, seed=seed), sweep=(), peak=None)
        return replace(told, warm_up=DEFAULTS[board.execution].warm_up)

    launch = Launch(
        profile=board_profile,
        mounts=model_mounts(subject, board_profile.image.mount_point),
        models=[subject],
        engine=engine,
        context=where(engine, context),
        execution=execution,
        base=base,
        way=mount,
        volume=volume,
        results=results,
        ready_timeout_s=ready_timeout_s,
        cores=device_cores,
    )
    prediction, declined = _predicted(board_profile, subject, chosen.requests[0])
    journal = Journal(output) if output is not None else None

    def measured(
        launch: Launch,
        plan: Callable[[Board], Plan],
        repeat: int,
        journal: Journal | None,
        not_scaled: str | None = None,
    ) -> RunResult:
        outcome = Outcome(
            profile=board_profile,
            model=subject,
            stages=stages,
            prediction=prediction,
            declined=declined.problem if declined is not None else "",
            not_scaled=not_scaled,
        )
        return _measured(launch, plan, outcome, repeat, journal)

    both = execution is None and engine == "docker" and launch.own_server
    both = both and launch.machine is None
    both = both and board_profile.architecture != docker_engine.Engine(launch.context).facts.architecture
    scaled: RunResult | None = None
    not_scaled: str | None = None
    try:
        if execution == "scaled" or both:
            try:
                if prediction is None:
                    assert declined is not None, "one of the two"
                    raise declined
                aim = time_scaling.target(board_profile, subject, chosen.requests[0], prediction)
                scaled = measured(replace(launch, execution="scaled", targets=[aim]), plan, repeat, journal)
            except (HostTooSlow, ScaleFailed, ModelError, ProfileError) as error:
                if not both:
                    raise
                not_scaled = error.problem
                stages.note(f"not scaled: {not_scaled}")
        if scaled is None:
            result = measured(launch, plan, repeat, journal, not_scaled)
        elif both:
            # The journal stays the scaled run's: its samples, and no others.
            result = combined(scaled, measured(launch, few, 1, None), stages)
        else:
            result = scaled
    except (EdgesimError, KeyboardInterrupt) as error:
        # What has been measured is not lost with what has not.
        kept = error.result if isinstance(error, EdgesimError) and isinstance(error.result, RunResult) else None
        if scaled is not None:
            kept = combined(scaled, kept, stages) if kept is not None else without_emulated(scaled, str(error))
        if kept is None:
            raise
        if journal is not None:
            journal.finish(kept)
        if isinstance(error, EdgesimError):
            error.result = kept
            raise
        raise Interrupted("interrupted; what was measured is kept", result=kept) from error
    if journal is not None:
        journal.finish(result)
    return result


def _predicted(
    board_profile: DeviceProfile, subject: Model, arrays: inputs.Arrays
) -> tuple[Prediction | None, UsageError | None]:
    """The model's time on the board, or why there is none."""
    try:
        return time_scaling.predicted(board_profile, subject, arrays), None
    except (ModelError, ProfileError) as error:
        return None, error


def _measured(
    launch: Launch, plan: Callable[[Board], Plan], outcome: Outcome, repeat: int, journal: Journal | None
) -> RunResult:
    """So many fresh containers, one after the other.

    Raises:
        EdgesimError: with what was measured until then as its `result`.
    """
    stages = outcome.stages
    try:
        while len(outcome.boards) < repeat:
            if repeat > 1:
                stages.note(f"container {len(outcome.boards) + 1} of {repeat}")
            before = len(outcome.boards)
            try:
                _measure_once(launch, plan, stages, outcome, journal)
            except EmulatorCrashed as error:
                if outcome.emulator_failures == _MOST_EMULATOR_FAILURES:
                    raise
                outcome.forget_since(before)
                outcome.emulator_failures += 1
                stages.note(f"{error.problem}; once more")
        outcome.emulator_memory = emulator_memory(launch, outcome.boards[-1], stages)
    except (EdgesimError, KeyboardInterrupt) as error:
        if not outcome.boards:
            raise
        outcome.cut_short = len(outcome.boards) < repeat
        if isinstance(error, EdgesimError):
            error.result = outcome.result()
            raise
        raise Interrupted("interrupted; what was measured is kept", result=outcome.result()) from error
    return outcome.result()


def _measure_once(
    launch: Launch, plan: Callable[[Board], Plan], stages: Stages, outcome: Outcome, journal: Journal | None
) -> None:
    """One container, from its start to its end; what it gave is added to the outcome, whole or cut short."""
    with start(launch, stages) as board:
        measurement = Measurement()
        outcome.add(board, plan(board), measurement)
        try:
            measure(
                board,
                outcome.plans[-1],
                stages,
                into=measurement,
                keeping=lambda samples: journal.keeping(samples, outcome.so_far) if journal else nullcontext(),
            )
        except KeyboardInterrupt:
            measurement.interrupted = True
        state = board.device.state()
        measurement.alive = state.running
        if measurement.interrupted:
            raise Interrupted("interrupted while measuring")
        if not state.running:
            raise board.death(state, "measuring")
        if any(not sample.ok for sample in measurement.samples[-1:]) and board.hangs(measurement.readings):
            raise hang.error(board.device.log(), "a request waited for its answer")


def _check_levels(
    scenario: ScenarioName | None,
    qps: float | None,
    clients: int | None,
    samples: int | None,
    sweep: Sequence[float],
    peak: PeakLimit | None,
) -> None:
    option = "--sweep" if sweep else "--find-peak"
    if sweep and peak is not None:
        raise UsageError("--sweep and --find-peak: one of them")
    if scenario not in (None, "server") or qps is not None or clients is not None or samples is not None:
        raise UsageError(
            f"{option}: sets the rate itself, in the server scenario", fix=f"only {option}, without the other"
        )


def _device_cores(client_cores: Sequence[int] | None) -> list[int] | None:
    """The cores of this host that are left for the device."""
    if client_cores is None:
        return None
    all_cores = set(psutil.Process().cpu_affinity() or ())
    if not set(client_cores) <= all_cores or not client_cores:
        given, there = (",".join(map(str, cores)) for cores in (client_cores, sorted(all_cores)))
        raise UsageError(f"--client-cores {given}: this host's are {there}")
    if not (left := sorted(all_cores - set(client_cores))):
        raise UsageError("--client-cores: leaves no core for the device")
    return left


def _stages_before() -> dict[str, float]:
    """What the caller spent before, from EDGESIM_STAGES; malformed words are a usage error."""
    seconds = {}
    for word in os.environ.get(STAGES_VARIABLE, "").split():
        name, _, value = word.partition("=")
        try:
            seconds[name] = float(value)
        except ValueError:
            raise UsageError(f"{STAGES_VARIABLE}: {word!r} is not NAME=SECONDS") from None
    return seconds
