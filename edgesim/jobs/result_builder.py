"""The result of a run, built from its attempts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgesim.boards.board import Board
from edgesim.engine.container import OutsideFacts
from edgesim.host import host_load
from edgesim.host.identity import KERNEL_FEATURES
from edgesim.inputs.sequences import GenerationSequence
from edgesim.jobs import read_back
from edgesim.jobs.generation_result import further_tokens, generation_section
from edgesim.jobs.load_session import GeneratorUse
from edgesim.jobs.measurement import Measurement, distribution, lag, throughput_qps
from edgesim.jobs.result_sections import (
    energy,
    image_section,
    instructions_section,
    measured_target,
    measured_time,
    model_section,
    profile_section,
    query_latency,
    requests_section,
    scenario_section,
    target_section,
)
from edgesim.jobs.session_plan import SessionPlan
from edgesim.loadgen.scenario import Scenario
from edgesim.measure import resource_usage, statistics, validity, variance
from edgesim.measure.resource_usage import ResourceUsage
from edgesim.measure.steady_state import WarmUp
from edgesim.measure.validity import HostComparison, ScaleCheck, Validity
from edgesim.models.repository import Model
from edgesim.options import CPU
from edgesim.predictions import Declined, Prediction
from edgesim.predictions.generation import GenerationPrediction
from edgesim.profiles import DeviceProfile
from edgesim.progress import Stages
from edgesim.recording import Sample
from edgesim.results.run_result import RunResult
from edgesim.results.sections import (
    AgreementSection,
    DeviceSection,
    DeviceTimeSection,
    EmulatorSection,
    EnergySection,
    GenerationSection,
    HostLoadSection,
    HostSection,
    LifecycleSection,
    ResourcesSection,
    Restart,
    ScalingSection,
    Spread,
    ThrottleSection,
    ValiditySection,
    optional_section,
    section,
)
from edgesim.results.stamp import stamp

# Features in /proc/cpuinfo that are no instructions: an event stream, and readable processor registers.
_NO_INSTRUCTIONS = {"evtstrm", "cpuid"}


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One container of a run, and what was measured on it."""

    board: Board
    plan: SessionPlan
    measurement: Measurement


@dataclass(kw_only=True)
class ResultBuilder:
    """Builds the result of a run from its attempts, at any moment of the run.

    Attributes:
        outside: what this host knew of the last attempt's container while it ran.
        emulator_failures: how often the emulator failed by itself.
        cut_short: whether the run ended before its last attempt.
        prediction: of the model's device time on `target`, or why there is none.
        target: what runs the model on the board.
        targets: predictions for each target of the board, or why there is none.
        not_scaled: why a run that should also be scaled is not.
        host: the predicted device time beside this host's; None if one of them is not known.
        generation: the predicted times of a generation; None for other inputs, or without a prediction.
    """

    profile: DeviceProfile
    model: Model
    stages: Stages
    prediction: Prediction | Declined
    target: str = CPU
    targets: Mapping[str, Prediction | Declined] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    outside: OutsideFacts = field(default_factory=OutsideFacts)
    emulator_memory: EmulatorSection | None = None
    emulator_failures: int = 0
    cut_short: bool = False
    not_scaled: str | None = None
    host: HostComparison | None = None
    generation: GenerationPrediction | None = None

    def add(self, board: Board, plan: SessionPlan) -> Measurement:
        """Add the attempt of a board that is up; return the measurement that the attempt fills."""
        self.outside = board.device.from_outside()  # the host forgets a container that is gone
        sequence = plan.inputs.sequence
        is_generation = sequence is not None and sequence.is_whole
        measurement = Measurement(scenario=plan.scenario, is_generation=is_generation)
        attempt = Attempt(board=board, plan=plan, measurement=measurement)
        self.attempts.append(attempt)
        return attempt.measurement

    def forget_since(self, attempts: int) -> None:
        """Drop all but the first `attempts` attempts: the later ones were cut short, and show nothing."""
        del self.attempts[attempts:]

    @property
    def measurements(self) -> list[Measurement]:
        """What was measured, attempt by attempt."""
        return [attempt.measurement for attempt in self.attempts]

    @property
    def last(self) -> Attempt:
        """The attempt that stands for all where they share a property."""
        return self.attempts[-1]

    def so_far(self) -> RunResult:
        """Return the result while the run is under way: marked incomplete, without samples."""
        unfinished = ValiditySection(valid=False, reasons=("complete: the run has not ended",))
        return self.result().model_copy(
            update={"complete": False, "samples": (), "timeline": (), "phases": (), "validity": unfinished}
        )

    def result(self) -> RunResult:
        """Return the result of all attempts so far."""
        board, plan, measured = self.last.board, self.last.plan, self.last.measurement
        samples = self._samples()
        origin_ns = samples[0].scheduled_ns if samples else 0
        scenario = measured.scenario
        agreement = next((m.agreement for m in self.measurements if m.agreement is not None), None)
        loads = host_load.combined([load for m in self.measurements for load in m.host_loads])
        device_time = self._device_time(samples)
        return RunResult(
            **stamp(),
            execution=board.execution,
            profile=profile_section(self.profile),
            model=model_section(self.model, own_server=self.profile.image.reference is None),
            image=image_section(board),
            host=section(HostSection, board.host),
            device=self._device_section(),
            scenario=scenario_section(scenario, plan.inputs.origin, self._warm_up(), board.protocol),
            lifecycle_s=self._lifecycle(0),
            stages_s=dict(self.stages.seconds),
            requests=requests_section(samples),
            latency_ms=distribution(samples, lambda sample: sample.latency_ms),
            service_time_ms=distribution(samples, lambda sample: sample.service_time_ms),
            lag_ms=lag(samples),
            query_latency_ms=query_latency(samples) if scenario.name == "multi-stream" else None,
            throughput_qps=self._throughput_qps(),
            generation=self._generation(),
            generator=GeneratorUse.total([m.generator for m in self.measurements]).section(plan.client_cores),
            resources=section(ResourcesSection, self._resources()),
            emulator_memory=self.emulator_memory,
            emulator_failures=self.emulator_failures,
            instructions=instructions_section([m.instructions for m in self.measurements], board.intra_op_threads),
            host_load=optional_section(HostLoadSection, loads),
            device_time_ms=device_time,
            targets={name: target_section(answer) for name, answer in self.targets.items()},
            energy_j=self._energy(device_time),
            scaling=self._scaling(),
            not_scaled=self.not_scaled if board.execution in ("emulated", "same-architecture") else None,
            agreement=optional_section(AgreementSection, agreement),
            search=measured.search,
            levels=tuple(measured.levels),
            restarts=self._restarts() if len(self.attempts) > 1 else (),
            spread=self._spread() if len(self.attempts) > 1 else {},
            validity=section(ValiditySection, self._validity(scenario, samples)),
            complete=not self._interrupted(),
            phases=tuple(phase.since(origin_ns) for m in self.measurements for phase in m.phases),
            timeline=tuple(reading.since(origin_ns) for m in self.measurements for reading in m.readings),
            samples=tuple(sample.since(origin_ns) for sample in samples),
        )

    def _interrupted(self) -> bool:
        return self.cut_short or any(m.interrupted for m in self.measurements)

    def _samples(self) -> list[Sample]:
        return [sample for measured in self.measurements for sample in measured.samples]

    def _warm_up(self) -> WarmUp | None:
        """Return the warm-up of all attempts: the most doubtful one speaks for all."""
        warm_ups = [m.warm_up for m in self.measurements if m.warm_up is not None]
        return min(warm_ups, key=lambda warm_up: warm_up.found) if warm_ups else None

    def _resources(self) -> ResourceUsage:
        readings = [reading for m in self.measurements for reading in m.readings]
        # The largest values since the device started, such as while the model was loaded; counters go by the load.
        readings = [*(reading for attempt in self.attempts for reading in attempt.board.start_readings), *readings]
        load = [phase for m in self.measurements for phase in m.load]
        board = self.last.board
        return resource_usage.summarise(readings, load, board.memory_limit_bytes, board.cpus, board.device.source)

    def _device_section(self) -> DeviceSection:
        """Return what the server reports from inside the container, or what this host knows if it does not report."""
        board, description = self.last.board, self.last.measurement.description
        reported = {key: value for key, value in description.items() if key in DeviceSection.model_fields}
        known = {
            "architecture": self.outside.architecture or "unknown",
            "cpu_model": None,
            "cores": self.outside.cores or 0,
            "memory_limit_bytes": self.outside.limits.memory_bytes,
            "cpu_limit": self.outside.limits.cpus,
        }
        seen, expected = set(reported.get("cpu_features", ())), set(self.profile.cpu.features)
        comparable = bool(seen and expected) and board.execution not in ("host", "scaled")
        emulation = self.profile.emulation if board.execution == "emulated" else None
        extra = seen - expected - _NO_INSTRUCTIONS
        return DeviceSection(
            **{**known, **reported},
            features_missing=tuple(sorted(expected - seen - _NO_INSTRUCTIONS)) if comparable else (),
            features_extra=tuple(sorted(extra if emulation is not None else extra & KERNEL_FEATURES))
            if comparable and board.execution != "native"
            else (),
            qemu_cpu=emulation.qemu_cpu if emulation is not None else None,
            intra_op_threads=self._intra_op_threads(),
            limits=read_back.sections(board, self.outside, description),
            shortfalls=board.shortfalls,
            mount=board.mount,
            volume=board.volume,
            runtime_reason=board.runtime_reason,
            proxies=dict(self.outside.proxies),
        )

    def _intra_op_threads(self) -> int:
        """Return the threads of one inference: fewer than the board's if the model's configuration asks for fewer.

        A scaled server does not follow the configuration: how many threads of this host give the board's time is found
        by the tuning.
        """
        board, configuration = self.last.board, self.model.configuration
        if board.execution == "scaled" or configuration is None or self.profile.image.reference is not None:
            return board.intra_op_threads
        return min(configuration.served().intra_op_threads or board.intra_op_threads, board.intra_op_threads)

    def _lifecycle(self, i: int) -> LifecycleSection:
        board, measured = self.attempts[i].board, self.attempts[i].measurement
        to_steady = measured.steady_at_s
        return LifecycleSection(
            image=board.image_s,
            create=board.create_s,
            start=board.device.start_s,
            ready=board.ready_s,
            model_load=measured.description.get("model_load_s", {}).get(self.model.name),
            first_inference=measured.first_inference_s,
            steady=board.ready_s + to_steady if to_steady is not None else None,
        )

    def _throughput_qps(self) -> float | None:
        """Return answered requests per second over the load times of all containers."""
        rates = [(m.throughput_qps, sum(sample.ok for sample in m.samples)) for m in self.measurements]
        seconds = sum(count / rate for rate, count in rates if rate)
        return sum(count for rate, count in rates if rate) / seconds if seconds else None

    def _restarts(self) -> tuple[Restart, ...]:
        restarts, first = [], 0
        for i, measured in enumerate(self.measurements):
            readings = [*self.attempts[i].board.start_readings, *measured.readings]
            used = resource_usage.summarise(readings, measured.load)
            restarts.append(
                Restart(
                    lifecycle_s=self._lifecycle(i),
                    first_sample=first,
                    samples=len(measured.samples),
                    latency_ms=distribution(measured.samples, lambda sample: sample.latency_ms),
                    service_time_ms=distribution(measured.samples, lambda sample: sample.service_time_ms),
                    cpu_seconds=used.cpu_seconds,
                    memory_peak_bytes=used.memory_peak_bytes,
                    memory_anon_bytes=used.memory_anon_bytes,
                    memory_unreclaimable_bytes=used.memory_unreclaimable_bytes,
                    throughput_qps=measured.throughput_qps,
                )
            )
            first += len(measured.samples)
        return tuple(restarts)

    def _spread(self) -> dict[str, Spread]:
        runs = {
            "latency_ms": [[s.latency_ms for s in m.samples if s.ok] for m in self.measurements],
            "service_time_ms": [[s.service_time_ms for s in m.samples if s.ok] for m in self.measurements],
        }
        lifecycles = [self._lifecycle(i) for i in range(len(self.attempts))]
        for name in ("create", "start", "ready", "model_load", "first_inference", "steady"):
            values = [getattr(lifecycle, name) for lifecycle in lifecycles]
            runs[f"{name}_s"] = [[value] for value in values if value is not None]
        variances = {name: variance.analyse(groups) for name, groups in runs.items()}
        return {name: section(Spread, value) for name, value in variances.items() if value is not None}

    def _scaling(self) -> ScalingSection | None:
        """Return the scaling of the last container, with the board's busy share and the effect of heat."""
        measured, scale, thermal = self.last.measurement, self.last.board.scale, self.profile.thermal
        if measured.scaling is None or scale is None:
            return None
        rate, time_ms = throughput_qps(measured.samples), scale.times_ms[0]
        busy = min(rate * time_ms / 10, 100.0) if rate is not None and measured.heated_ns is None else None
        if measured.is_generation:  # its requests have no time in common
            busy = None
        scaling = section(ScalingSection, measured.scaling).model_copy(update={"busy_percent": busy})
        if thermal is None or measured.heated_ns is None:
            return scaling
        ok = [sample for sample in measured.samples if sample.ok]
        before = [sample.service_time_ms for sample in ok if sample.done_ns <= measured.heated_ns]
        after = [sample.service_time_ms for sample in ok if sample.sent_ns >= measured.heated_ns]
        throttle = ThrottleSection(
            after_s=thermal.full_speed_s,
            clock_hz=thermal.clock_hz,
            target_ms=time_ms,
            before_ms=statistics.summarise(before).p50,
            after_ms=statistics.summarise(after).p50,
        )
        return scaling.model_copy(update={"throttle": throttle})

    def _device_time(self, samples: Sequence[Sample]) -> DeviceTimeSection:
        """Return the device time: measured on the board itself, else predicted; no other machine's time counts.

        Of a profile that has the core of its host, the host's time is all that there is, and is called so.
        """
        execution, predicted = self.last.board.execution, self.prediction
        if execution == "native":
            further = further_tokens(samples) if self.last.measurement.is_generation else []
            what = ", the tokens after the first one" if further else ""
            target = measured_target(self.last.board.gpus, self.last.measurement.description, chosen=self.target)
            return measured_time(further or samples, f"{self._measured_on()}{what}").model_copy(
                update={"target": target}
            )
        if isinstance(predicted, Declined):
            others = "this host's" if execution == "same-architecture" else f"{execution}"
            method = f"none: {predicted.reason}, and {others} time is not the board's"
            return DeviceTimeSection(p50=None, low=None, high=None, method=method, target=self.target)
        return DeviceTimeSection(
            p50=predicted.p50_ms,
            low=predicted.low_ms,
            high=predicted.high_ms,
            method=predicted.method,
            target=self.target,
            notes=predicted.notes,
            server=predicted.server.p50_ms if predicted.server is not None else None,
            request=predicted.request_ms,
            sizes=predicted.sizes,
            on_host=self.host.host_ms if self.host is not None else None,
        )

    def _generation(self) -> GenerationSection | None:
        sequence = self.last.plan.inputs.sequence
        if not isinstance(sequence, GenerationSequence):
            return None
        return generation_section(sequence, self.measurements, self.generation)

    def _measured_on(self) -> str:
        """Return whose time a native run measures, in words."""
        host = self.last.board.host
        if self.profile.has_core_of_host:
            whose = f"the time of {host.context}" if host.context is not None else "this host's time"
            return f"{whose}, not a board's: {self.profile.name} has the core of its host"
        if host.context is not None:
            return f"measured on the board ({host.context}), the network to it included"
        return "measured on the board (this host)"

    def _energy(self, time: DeviceTimeSection) -> EnergySection | None:
        """Return the energy of one inference; None without a device time, or with the time of any host."""
        if time.p50 is None or self.profile.has_core_of_host:
            return None
        if self.target != CPU:
            return EnergySection(per_inference=None, method="none: the profile's watts are of busy processor cores")
        return energy(self.profile, time)

    def _scale_check(self) -> ScaleCheck | None:
        """Return the last check of the scaled model whose time was farthest from its target at the end."""
        records = [m.scaling for m in self.measurements if m.scaling is not None]
        models = [model for record in records for model in record.models]
        # A model without a last check counts as infinitely far.
        errors = [abs(model.error_percent) if model.error_percent is not None else math.inf for model in models]
        if not models:
            return None
        farthest = models[errors.index(max(errors))]
        return ScaleCheck(check_ms=farthest.check_ms, error_percent=farthest.error_percent)

    def _counts(self) -> int | None:
        """Return how many requests were counted; None for boards that are not counted."""
        if all(attempt.board.counter is None for attempt in self.attempts):
            return None
        return sum(len(m.instructions.requests) for m in self.measurements if m.instructions is not None)

    def _validity(self, scenario: Scenario, samples: Sequence[Sample]) -> Validity:
        drifts = [drift for m in self.measurements if (drift := m.drift()) is not None]
        return validity.assess(
            validity.Evidence(
                scenario=scenario.name,
                samples=samples,
                load_s=sum(_seconds(m.samples) for m in self.measurements),
                oom_kills=self._resources().oom_kills,
                alive=all(m.alive for m in self.measurements),
                paused_s=sum(m.paused_s for m in self.measurements),
                stopped_s=sum(m.stopped_s for m in self.measurements),
                interrupted=self._interrupted(),
                precision=self.last.plan.scenario.stop.precision,
                warm_up=self._warm_up(),
                drift=next((drift for drift in drifts if drift.notable), drifts[0] if drifts else None),
                host_load=host_load.combined([load for m in self.measurements for load in m.host_loads]),
                scale=self._scale_check(),
                counts=self._counts(),
                limits=read_back.readings(self.last.board, self.outside, self.last.measurement.description),
                times_need_cpu=self.last.board.execution in ("native", "scaled"),
                host=self.host if self.last.board.execution != "native" else None,
            )
        )


def _seconds(samples: Sequence[Sample]) -> float:
    if not samples:
        return 0.0
    return (max(sample.done_ns for sample in samples) - min(sample.scheduled_ns for sample in samples)) / 1e9
