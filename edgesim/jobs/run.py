"""The main job: profile + model → board → load → measurement → result."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, Unpack

from edgesim import inputs, profiles
from edgesim.boards import hang, placement
from edgesim.boards.launch import Launch
from edgesim.boards.scaling_targets import PredictedTimes
from edgesim.boards.start import compare_machine, require_engine, start
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
from edgesim.host import cores
from edgesim.inputs import Inputs
from edgesim.jobs import published_image, same_release
from edgesim.jobs.board_session import measure
from edgesim.jobs.emulator_memory import emulator_memory
from edgesim.jobs.result_builder import ResultBuilder
from edgesim.jobs.result_halves import combined, without_emulated
from edgesim.jobs.result_sections import invocation_section
from edgesim.jobs.session_plan import FEW_REQUESTS, SessionPlan, check_levels, check_sequence, scenario_of
from edgesim.measure import steady_state
from edgesim.measure.detections import Matcher
from edgesim.measure.input_fit import require_fit
from edgesim.measure.reference import Reference
from edgesim.measure.release_reference import AnyReference
from edgesim.measure.validity import HostComparison
from edgesim.models import repository, state
from edgesim.models.repository import Model
from edgesim.options import (
    ALL_OPTIONS,
    CPU,
    REQUEST_DEFAULTS,
    EngineName,
    Execution,
    RequestDefaults,
    RunKeywords,
    RunOptions,
)
from edgesim.predictions import Declined, plausibility
from edgesim.profiles import DeviceProfile
from edgesim.progress import Listener, Stages
from edgesim.results.journal import Journal
from edgesim.results.run_result import RunResult

# An emulator's own failure says nothing about the model: the container is started again, this often at most.
_MOST_EMULATOR_FAILURES = 2

# The options that a run has a use for.
RUN_OPTIONS = ALL_OPTIONS - {"watch"}

# Seconds that a caller's own preparations took, for the result: "engine=31.2 environment=24.0".
STAGES_VARIABLE = "EDGESIM_STAGES"


def run(
    profile: str | Path | DeviceProfile,
    model: str | Path | Model | None = None,
    options: RunOptions | None = None,
    *,
    listener: Listener | None = None,
    serving_images: Mapping[str, str] | None = None,
    **keywords: Unpack[RunKeywords],
) -> RunResult:
    """Benchmark a model on a simulated board.

    Without the option `execution`, a board of another architecture than this host's runs twice: scaled, with the
    traffic of the options, and emulated, with a few requests; a board that cannot be scaled is emulated alone, with as
    few. Where this host is the board, the board runs ``native``. Any other host of the board's architecture runs the
    board's own image once, slowed down to the predicted time where that can be done (``same-architecture``).

    Args:
        profile: a profile's name, ``name:mode``, a path to a YAML file, or a profile.
        model: a model's name in the repository, a path to an ``.onnx`` file, or a model; None with the option `packed`,
            whose image has the model inside.
        options: all options; the defaults are in `edgesim.options`.
        listener: hears of each stage as it begins and ends.
        serving_images: images of edgesim's server that the engine has, by architecture, to run in place of those that
            edgesim would build.
        keywords: single options by name, such as ``qps=20``; they replace those of `options`.

    Returns:
        The result, VALID or INVALID.

    Raises:
        UsageError: profile, model or options are wrong.
        HostError: this host cannot run the board.
        DeviceError: the device failed; what was measured until then is in its `result`.
        Interrupted: Ctrl-C while measuring; what was measured until then is in its `result`.
        ResultError: the result cannot be written.
    """
    options = RunOptions.of(options, **keywords)
    stages = Stages(listener)
    if not published_image.is_chosen(model, options):
        assert model is not None, "one of both is given"
        job = _prepare(profile, model, options, stages)
        job = replace(job, launch=replace(job.launch, serving_images=serving_images or {}))
        return _run_job(job, options, model)
    profile = profiles.load(profile)
    with published_image.provided(profile, options, stages) as image:
        job = _prepare(profile, image.model, options, stages)
        job = replace(job, launch=image.in_place_of_mounts(job.launch))
        return _run_job(job, options, image.model.name)


def _run_job(job: "Job", options: RunOptions, model: str | Path | Model) -> RunResult:
    """Run a job, and keep its result; `model` is what the caller of the run called it with."""
    journal = Journal(options.output) if options.output is not None else None
    try:
        result = _run(job, options, journal)
    except EdgesimError as error:
        if journal is not None and isinstance(error.result, RunResult):
            journal.finish(error.result)
        raise
    result = result.model_copy(update={"invocation": invocation_section(job.profile, model, options)})
    if journal is not None:
        journal.finish(result)
    return result


@dataclass(frozen=True, kw_only=True)
class Job:
    """What all attempts of a run share.

    Attributes:
        times: the model's device time on each target of the board, or why none is predicted.
        host: the prediction beside this host's own time; None without a prediction.
        launch: how a board is started, but for its execution.
        matcher: matches the rows of detections, if the options ask for that.
    """

    profile: DeviceProfile
    model: Model
    inputs: Inputs
    reference: AnyReference | None
    times: PredictedTimes
    launch: Launch
    stages: Stages
    host: HostComparison | None = None
    matcher: Matcher | None = None

    def builder(self, not_scaled: str | None = None) -> ResultBuilder:
        """Return a builder for the result of one execution."""
        return ResultBuilder(
            profile=self.profile,
            model=self.model,
            stages=self.stages,
            prediction=self.times.prediction,
            targets=self.times.targets,
            target=self.launch.target,
            not_scaled=not_scaled,
            host=self.host,
            generation=self.times.generation,
        )

    def plan(self, options: RunOptions, defaults: RequestDefaults) -> SessionPlan:
        """Return what is measured on a board with these defaults."""
        return SessionPlan.of(
            options.traffic,
            defaults,
            model=self.model,
            inputs=self.inputs,
            reference=self.reference,
            seed=options.inputs.seed,
            matcher=self.matcher,
        )


def _prepare(
    profile: str | Path | DeviceProfile, model: str | Path | Model, options: RunOptions, stages: Stages
) -> Job:
    """Resolve profile, model, inputs and prediction.

    Every wrong option, a model that does not load, and an engine that does not answer are told before the model runs on
    this host for comparison, which takes a while. Only what the engine has to say about the board comes later.
    """
    options.require_only(RUN_OPTIONS, "a run keeps the models that it starts with")
    stages.seconds.update(_stages_before())
    profile = profiles.load(profile, model=model)
    check_levels(options.traffic)
    device_cores = _device_cores(options.traffic.client_cores, options.board.engine)
    scenario_of(options.traffic, REQUEST_DEFAULTS["native"], seed=options.inputs.seed)
    with stages.stage("model", "reading the model"):
        model = model if isinstance(model, Model) else repository.find(str(model), options.models)
        model = replace(model, host_libraries=options.board.host_libraries)
        launch = Launch.of(profile, [model], options.board, cores=device_cores)
        launch.check()
        launch.require_loadable()
        placement.require_measurable(launch.target, options.board.execution, has_gpus=launch.gpus)
        chosen = inputs.choose(model, options.inputs)
        check_sequence(chosen.sequence, options.traffic)
    if chosen.sequence is None and (suggestion := state.suggestion(model)):
        stages.note(suggestion)
    with stages.stage("reference", "running the model on this host for comparison"):
        matcher = compared = None
        reference = same_release.on_this_host(model, stages)
        require_engine(launch)
        if reference is not None:
            require_fit(model, reference, chosen)
            matcher = Matcher.of(model, options.match, partial(reference.run, chosen.requests[0]))
            compared = same_release.of_board(launch, model, reference, chosen.requests[0])
        times = PredictedTimes.of(profile, model, chosen, launch.target)
        host = _beside_host(profile, times, reference)
        steady_state.prepare()
    return Job(
        profile=profile,
        model=model,
        inputs=chosen,
        reference=compared,
        times=times,
        launch=launch,
        stages=stages,
        host=host,
        matcher=matcher,
    )


def _beside_host(profile: DeviceProfile, times: PredictedTimes, reference: Reference | None) -> HostComparison | None:
    """Return the prediction beside this host's own time; None where one of them is not known, or not a processor's."""
    prediction = times.prediction
    if isinstance(prediction, Declined) or prediction.target != CPU or reference is None:
        return None
    try:
        host_ms = reference.shortest_ms(times.arrays)
    except Exception:  # the comparison of the answers tells what the model refuses
        return None
    threads = min(prediction.threads, cores.count())
    return HostComparison(
        predicted_ms=plausibility.on_threads(profile, prediction, threads),
        host_ms=host_ms,
        threads=threads,
        times_as_slow=plausibility.times_as_slow(profile),
    )


# What a run takes: a scaled board alone; the board as it is alone (emulated, native, of the same architecture, or a
# process of this host); both in this order, of which the scaled board may be impossible; or the board's own image on a
# host of its architecture, slowed down if possible.
Executions = Literal["scaled", "unscaled", "both", "slowed down"]


def choose_executions(
    execution: Execution | None,
    *,
    can_be_slowed_down: bool,
    host: Callable[[], Execution],
) -> Executions:
    """Decide which executions a run takes.

    Args:
        execution: the one that was asked for; None leaves the choice to edgesim.
        can_be_slowed_down: whether the server can be slowed down to a time, as far as the options say.
        host: returns how the engine's host runs the board by itself: ``emulated``, ``native`` or ``same-architecture``;
            called only if that decides, since the engine may not even be there.
    """
    if execution == "scaled":
        return "scaled"
    if not can_be_slowed_down or execution not in (None, "same-architecture"):
        return "unscaled"
    runs_as = execution if execution is not None else host()
    return "both" if runs_as == "emulated" else "slowed down" if runs_as == "same-architecture" else "unscaled"


def _by_itself(job: Job) -> Execution:
    """Return how the engine's host runs the board by itself.

    Raises:
        UsageError: the host is the board, and its container does not get the target.
    """
    execution = placement.by_itself(job.profile, compare_machine(job.launch, job.stages))
    placement.require_measurable(job.launch.target, execution, has_gpus=job.launch.gpus)
    return execution


def _run(job: Job, options: RunOptions, journal: Journal | None) -> RunResult:
    """Run each execution, and combine the results.

    Raises:
        EdgesimError: with what was measured until then as its `result`.
    """
    why_not = job.launch.why_not_slowed_down
    executions = choose_executions(
        options.board.execution,
        can_be_slowed_down=why_not is None and not options.board.count,
        host=lambda: _by_itself(job),
    )
    scaled: RunResult | None = None
    not_scaled = why_not[0] if why_not is not None else None
    try:
        if executions != "unscaled":
            half = _part(job, "scaled") if executions == "both" else job
            try:
                slowed_down: Execution = "same-architecture" if executions == "slowed down" else "scaled"
                scaled = _run_scaled(half, options, journal, slowed_down)
            except (HostTooSlow, ScaleFailed, ModelError, ProfileError) as error:
                if executions == "scaled":
                    raise
                not_scaled = error.problem
                if half is not job:  # the result is the other half's, and what this one took is part of the run
                    job.stages.seconds |= {f"scaled: {name}": seconds for name, seconds in half.stages.seconds.items()}
                job.stages.note(f"not scaled: {not_scaled}")
        if not_scaled is not None and executions == "both":
            # The traffic was meant for the board's time: an emulator, often far slower, would drown in it.
            job.stages.note(f"emulated with {FEW_REQUESTS} requests; `execution=emulated` sends the options' traffic")
            return _attempt_all(job, job.launch, options.without({"repeat"}), journal, few=True, not_scaled=not_scaled)
        if scaled is None:
            return _attempt_all(job, job.launch, options, journal, not_scaled=not_scaled)
        if executions != "both":
            return scaled
        return combined(scaled, emulated_half(_part(job, "emulated"), options.without({"repeat"})), job.stages)
    except (EdgesimError, KeyboardInterrupt) as error:
        kept = what_is_kept(error, scaled, job.stages)
        if kept is None:
            raise
        if isinstance(error, EdgesimError):
            error.result = kept
            raise
        raise Interrupted("interrupted; the measurements so far are kept", result=kept) from error


def what_is_kept(error: BaseException, scaled: RunResult | None, stages: Stages) -> RunResult | None:
    """Return what a run that ended with `error` has measured: the scaled half, the half that failed, or both.

    Args:
        scaled: the result of the scaled half, if that half is complete.
    """
    partial = error.result if isinstance(error, EdgesimError) and isinstance(error.result, RunResult) else None
    if scaled is None:
        return partial
    return combined(scaled, partial, stages) if partial is not None else without_emulated(scaled, str(error))


def emulated_half(job: Job, options: RunOptions) -> RunResult:
    """Return what an emulated board shows beside a scaled one: a few requests in each of `repeat` containers.

    Raises:
        EdgesimError: with what was measured until then as its `result`.
    """
    # The journal is the scaled half's, and gets no other samples.
    return _attempt_all(job, job.launch, options, None, few=True)


def _part(job: Job, name: str) -> Job:
    """Return the job with stages of its own: of the scaled or of the emulated half of a run that has both."""
    return replace(job, stages=job.stages.part(name))


def _run_scaled(job: Job, options: RunOptions, journal: Journal | None, execution: Execution) -> RunResult:
    return _attempt_all(job, job.launch.scaled_to(job.times.scaling_targets(), execution), options, journal)


def _attempt_all(
    job: Job,
    launch: Launch,
    options: RunOptions,
    journal: Journal | None,
    *,
    few: bool = False,
    not_scaled: str | None = None,
) -> RunResult:
    """Measure fresh containers, one after the other, in one execution.

    Args:
        few: a few requests in each container, beside a scaled run or in its place.

    Raises:
        EdgesimError: with what was measured until then as its `result`.
    """
    builder, repeat = job.builder(not_scaled), options.repeat
    try:
        while len(builder.attempts) < repeat:
            complete = len(builder.attempts)
            if repeat > 1:
                job.stages.note(f"container {complete + 1} of {repeat}")
            try:
                _attempt(job, launch, options, builder, journal, few=few)
            except EmulatorCrashed as error:
                if builder.emulator_failures == _MOST_EMULATOR_FAILURES:
                    raise
                builder.forget_since(complete)
                builder.emulator_failures += 1
                job.stages.note(f"{error.problem}; once more")
        if not options.board.count:  # the emulator that counts has memory of its own, which is not the board's either
            builder.emulator_memory = emulator_memory(launch, builder.last.board, job.stages)
    except (EdgesimError, KeyboardInterrupt) as error:
        if not builder.attempts:
            raise
        builder.cut_short = len(builder.attempts) < repeat
        if isinstance(error, EdgesimError):
            error.result = builder.result()
            raise
        raise Interrupted("interrupted; the measurements so far are kept", result=builder.result()) from error
    return builder.result()


def _attempt(
    job: Job, launch: Launch, options: RunOptions, builder: ResultBuilder, journal: Journal | None, *, few: bool
) -> None:
    """Measure one container, from its start to its end; the builder has the attempt, complete or cut short."""
    with start(launch, job.stages) as board:
        plan = job.plan(options, board.request_defaults)
        measurement = builder.add(board, plan.with_few_requests(board.request_defaults) if few else plan)
        try:
            measure(
                board,
                builder.last.plan,
                job.stages,
                into=measurement,
                keeping=lambda samples: journal.keeping(samples, builder.so_far) if journal else nullcontext(),
            )
        except KeyboardInterrupt:
            measurement.interrupted = True
        state = board.device.state()
        measurement.alive, measurement.paused_s = state.running, board.device.paused_s()
        if measurement.interrupted:
            raise Interrupted("interrupted while measuring")
        if not state.running:
            raise board.death(state, "measuring")
        if any(not sample.ok for sample in measurement.samples[-1:]) and board.hangs(measurement.readings):
            raise hang.error(board.device, "a request waited for its answer")


def _device_cores(client_cores: Sequence[int] | None, engine: EngineName) -> Sequence[int] | None:
    """Return the cores of this host that are left for the device; None means all."""
    if client_cores is None:
        return None
    allowed = cores.affinity()
    if not set(client_cores) <= set(allowed) or not client_cores:
        requested, available = (",".join(map(str, each)) for each in (client_cores, allowed))
        raise UsageError(f"`client_cores={requested}`: edgesim may use the cores {available}")
    if not (left := cores.apart(client_cores, containers=engine == "docker")):
        raise UsageError(f"`client_cores={','.join(map(str, client_cores))}`: leaves no core for the board")
    return left


def _stages_before() -> dict[str, float]:
    """Return what the caller's preparations took, in seconds by stage, from EDGESIM_STAGES.

    Raises:
        UsageError: the variable is malformed.
    """
    seconds = {}
    for word in os.environ.get(STAGES_VARIABLE, "").split():
        name, _, value = word.partition("=")
        try:
            seconds[name] = float(value)
        except ValueError:
            raise UsageError(f"{STAGES_VARIABLE}: {word!r} is not NAME=SECONDS") from None
    return seconds
