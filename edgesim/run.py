"""The main job: profile + model → device → load → measure → result."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgesim import model, profile
from edgesim.board import DEFAULT_READY_TIMEOUT_S, DESCRIPTION, Board, EngineName, Launch, start
from edgesim.device.device import model_mounts
from edgesim.errors import Interrupted, UsageError
from edgesim.load import client, generator, inputs
from edgesim.load.scenario import SingleStream
from edgesim.measure import agreement, resources, statistics, validity
from edgesim.model import Model
from edgesim.profile import DeviceProfile
from edgesim.result import (
    AgreementSection,
    DeviceSection,
    DeviceTimeSection,
    Execution,
    LifecycleSection,
    ModelSection,
    ProfileSection,
    Reading,
    RequestsSection,
    ResourcesSection,
    RunResult,
    Sample,
    ScenarioSection,
)
from edgesim.stages import Listener, Stages
from edgesim.version import __version__

# Seconds that a caller's own preparations took, for the result: "engine=31.2 environment=24.0".
STAGES_VARIABLE = "EDGESIM_STAGES"


@dataclass(frozen=True, kw_only=True)
class _Defaults:
    """What a run does when not told: an emulated request takes seconds, a native one milliseconds."""

    requests: int
    duration_s: float
    warmup: int
    timeout_s: float


_DEFAULTS: Mapping[Execution, _Defaults] = {
    "emulated": _Defaults(requests=5, duration_s=3.0, warmup=0, timeout_s=300.0),
    "native": _Defaults(requests=100, duration_s=5.0, warmup=10, timeout_s=30.0),
    "host": _Defaults(requests=100, duration_s=5.0, warmup=10, timeout_s=30.0),
}


def run(
    profile_reference: str | DeviceProfile,
    model_reference: str | Path | Model,
    *,
    models: Path | None = None,
    execution: Execution | None = None,
    engine: EngineName = "docker",
    requests: int | None = None,
    duration_s: float | None = None,
    warmup: int | None = None,
    seed: int = 0,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    base: str | None = None,
    ready_timeout_s: float = DEFAULT_READY_TIMEOUT_S,
    listener: Listener | None = None,
) -> RunResult:
    """Benchmark a model on a simulated board.

    Args:
        profile_reference: a profile's name, ``name:mode``, a path to a YAML file, or a profile.
        model_reference: a model's name in the repository, a path to an ``.onnx`` file, or a model.
        models: the model repository; ``models/`` and then the sample models without.
        requests, duration_s: the run ends when both are reached; one given alone is the only rule.
        warmup: requests before the measured ones, beside the very first, which is always apart.
        seed: of the random inputs.
        shapes: sizes by input name, where the model leaves them open.
        base: the image that the serving image is built on.
        listener: hears of the stages as they go.

    Returns:
        The result, VALID or INVALID.

    Raises:
        UsageError: profile, model or options are wrong.
        HostError: this host cannot do it.
        DeviceError: the device failed; what was measured until then is in its `result`.
        Interrupted: Ctrl-C while measuring; likewise.
    """
    stages = Stages(listener)
    stages.seconds.update(_stages_before())
    board_profile = (
        profile_reference if isinstance(profile_reference, DeviceProfile) else profile.load(profile_reference)
    )
    with stages.stage("model", "reading the model, and running it on this host for comparison"):
        subject = model_reference if isinstance(model_reference, Model) else model.find(str(model_reference), models)
        chosen = inputs.choose(subject, seed=seed, shapes=shapes)
        reference = agreement.Reference(subject)

    launch = Launch(
        profile=board_profile,
        mounts=model_mounts(subject, board_profile.image.mount_point),
        models=[subject],
        engine=engine,
        execution=execution,
        base=base,
        ready_timeout_s=ready_timeout_s,
    )
    with start(launch, stages) as started:
        defaults = _DEFAULTS[started.execution]
        scenario = _scenario(requests, duration_s, defaults)
        warmups = warmup if warmup is not None else defaults.warmup
        measured = _Measured()
        try:
            with closing(client.Client(started.url, subject, timeout_s=defaults.timeout_s)) as peer:
                _measure(started, peer, chosen, reference, scenario, warmups, stages, into=measured)
        except KeyboardInterrupt:
            measured.interrupted = True
        state = started.device.state()
        judged = validity.judge(
            measured.samples, measured.resources(started), alive=state.running, interrupted=measured.interrupted
        )
        result = RunResult(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            edgesim_version=__version__,
            execution=started.execution,
            profile=_profile_section(board_profile),
            model=_model_section(subject),
            image=started.image,
            host=started.host,
            device=_device_section(started, measured),
            scenario=ScenarioSection(
                name="single-stream", requests=scenario.requests, duration_s=scenario.duration_s,
                warmup=warmups, seed=seed, inputs=chosen.origin,
            ),
            lifecycle_s=LifecycleSection(
                image=started.image_s,
                create=started.create_s,
                ready=started.ready_s,
                model_load=measured.model_load_s(subject),
                first_inference=measured.first_inference_s,
            ),
            stages_s=dict(stages.seconds),
            requests=_requests_section(measured.samples),
            latency_ms=statistics.summarise([sample.latency_ms for sample in measured.samples if sample.ok]),
            service_time_ms=statistics.summarise([sample.service_time_ms for sample in measured.samples if sample.ok]),
            throughput_qps=_throughput_qps(measured.samples),
            resources=measured.resources(started),
            device_time_ms=_device_time(started.execution, measured.samples),
            agreement=measured.agreement,
            validity=judged,
            samples=tuple(sample.since(measured.origin_ns) for sample in measured.samples),
            timeline=tuple(reading.since(measured.origin_ns) for reading in measured.readings),
        )  # fmt: skip
        if measured.interrupted:
            raise Interrupted("interrupted while measuring", result=result)
        if not state.running:
            error = started.death(state, "measuring")
            error.result = result
            raise error
        return result


@dataclass
class _Measured:
    """What a run has given so far, whole or cut short."""

    description: dict[str, Any] = field(default_factory=dict)
    first_inference_s: float | None = None
    samples: list[Sample] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    agreement: AgreementSection | None = None
    interrupted: bool = False

    @property
    def origin_ns(self) -> int:
        return self.samples[0].scheduled_ns if self.samples else 0

    def model_load_s(self, subject: Model) -> float | None:
        seconds: float | None = self.description.get("model_load_s", {}).get(subject.name)
        return seconds

    def resources(self, started: Board) -> ResourcesSection:
        return resources.summarise(self.readings, started.memory_limit_bytes)


def _measure(
    started: Board,
    peer: client.Client,
    chosen: inputs.Inputs,
    reference: agreement.Reference,
    scenario: SingleStream,
    warmups: int,
    stages: Stages,
    *,
    into: _Measured,
) -> None:
    """First inference, warm-up, load, comparison. A device that cannot do the first is asked for nothing more."""
    into.description = peer.get_json(DESCRIPTION)
    bodies = [peer.encode(arrays) for arrays in chosen.requests]

    with stages.stage("first inference", "first inference"):
        begun = time.monotonic_ns()
        first = peer.infer(bodies[0])
        done = time.monotonic_ns()
    if first.outcome != "ok":
        into.samples.append(Sample(begun, begun, done, first.outcome))
        return
    into.first_inference_s = (done - begun) / 1e9

    if warmups:
        with stages.stage("warm-up", f"{warmups} warm-up requests"):
            for i in range(warmups):
                peer.infer(bodies[i % len(bodies)])
    with (
        stages.stage("load", f"single-stream, at least {scenario.requests} requests and {scenario.duration_s:g} s"),
        resources.record(started.device.read, into=into.readings),
    ):
        generator.single_stream(
            peer.infer, bodies, scenario, into=into.samples, still_alive=lambda: started.device.state().running
        )

    with stages.stage("comparison", "comparing the device's answers with this host's"):
        into.agreement = _compare(peer, first, chosen, reference)


def _compare(
    peer: client.Client, first: client.Answer, chosen: inputs.Inputs, reference: agreement.Reference
) -> AgreementSection | None:
    """All labelled inputs as one batch where there are some, else the very first request; None if it went wrong."""
    if chosen.labelled is None:
        return agreement.compare(client.decode(first.payload), reference.run(chosen.requests[0]))
    batch, labels = chosen.labelled
    answer = peer.infer(peer.encode(batch))
    if answer.outcome != "ok":
        return None
    return agreement.compare(client.decode(answer.payload), reference.run(batch), labels)


def _scenario(requests: int | None, duration_s: float | None, defaults: _Defaults) -> SingleStream:
    if requests is None and duration_s is None:
        return SingleStream(requests=defaults.requests, duration_s=defaults.duration_s)
    return SingleStream(requests=requests if requests is not None else 1, duration_s=duration_s or 0.0)


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


def _profile_section(board_profile: DeviceProfile) -> ProfileSection:
    return ProfileSection(
        name=board_profile.name, sha256=board_profile.sha256, title=board_profile.title, mode=board_profile.mode
    )


def _model_section(subject: Model) -> ModelSection:
    return ModelSection(
        name=subject.name,
        sha256=subject.sha256,
        version=subject.version,
        size_bytes=subject.size_bytes,
        parameters=subject.parameters,
        opset=subject.opset,
    )


def _device_section(started: Board, measured: _Measured) -> DeviceSection:
    """What the server found inside; of another image's server, which does not tell, what this host knows."""
    description = measured.description or started.device.from_outside()
    found = {key: value for key, value in description.items() if key in DeviceSection.model_fields}
    unknown = {"architecture": "unknown", "cpu_model": None, "cores": 0, "memory_limit_bytes": None, "cpu_limit": None}
    return DeviceSection(
        **{**unknown, **found}, intra_op_threads=started.intra_op_threads, shortfalls=started.shortfalls
    )


def _requests_section(samples: Sequence[Sample]) -> RequestsSection:
    ok = sum(sample.ok for sample in samples)
    return RequestsSection(sent=len(samples), ok=ok, failed=len(samples) - ok)


def _throughput_qps(samples: Sequence[Sample]) -> float | None:
    """Answered requests over the time from the first one due to the last one done."""
    ok = sum(sample.ok for sample in samples)
    return ok * 1e9 / (samples[-1].done_ns - samples[0].scheduled_ns) if ok else None


def _device_time(execution: Execution, samples: Sequence[Sample]) -> DeviceTimeSection:
    """Measured where the host is of the board's kind; nowhere else can a time be taken for the board's."""
    if execution != "native":
        return DeviceTimeSection(
            p50=None, low=None, high=None, method=f"none: nothing is predicted, and {execution} time is not the board's"
        )
    times = sorted(sample.service_time_ms for sample in samples if sample.ok)
    median = statistics.summarise(times).p50
    if median is None:
        return DeviceTimeSection(p50=None, low=None, high=None, method="none: too few requests")
    return DeviceTimeSection(
        p50=median, low=times[0], high=times[-1], method="measured on this host, minimum to maximum"
    )
