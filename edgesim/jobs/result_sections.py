"""Sections of a result, each made of the value that it describes."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgesim.boards.board import Board
from edgesim.counting.counts import Counts, InstructionCount, interval_of_median, median
from edgesim.loadgen.scenario import Scenario
from edgesim.measure import statistics
from edgesim.measure.steady_state import WarmUp
from edgesim.models.configuration import Configuration
from edgesim.models.repository import Model
from edgesim.options import CPU, ProtocolName, RunOptions
from edgesim.predictions import Declined, Prediction, calibration
from edgesim.profiles import DeviceProfile
from edgesim.recording import Sample
from edgesim.results.sections import (
    ConfigurationSection,
    CountSection,
    DeviceTimeSection,
    Distribution,
    EnergySection,
    ImageSection,
    InstructionsSection,
    InvocationSection,
    ModelSection,
    ProfileSection,
    PublishedSection,
    RequestsSection,
    ScenarioSection,
    TargetSection,
    WarmUpSection,
    optional_section,
    section,
)


def image_section(board: Board) -> ImageSection:
    image = board.image
    if image is None:
        return ImageSection()
    return ImageSection(
        reference=image.reference,
        id=image.id,
        base=image.base,
        cached=image.cached,
        server_id=board.server_image if board.server_image != image.id else None,
    )


def model_section(model: Model, *, own_server: bool) -> ModelSection:
    configuration = model.configuration if own_server else None
    return ModelSection(
        name=model.name,
        sha256=model.sha256,
        version=model.version,
        size_bytes=model.size_bytes,
        parameters=model.parameters,
        opset=model.opset,
        signature=model.signature,
        configuration=_configuration_section(configuration) if configuration is not None else None,
        origin=model.origin,
    )


def _configuration_section(configuration: Configuration) -> ConfigurationSection:
    return ConfigurationSection(
        files=tuple(path.relative_to(configuration.directory).as_posix() for path in configuration.paths),
        sha256=configuration.sha256,
        settings=configuration.settings(),
    )


def profile_section(profile: DeviceProfile) -> ProfileSection:
    """Return the section on the profile of a run or a stack."""
    return ProfileSection(
        name=profile.name,
        sha256=profile.sha256,
        title=profile.title,
        mode=profile.mode,
        core=profile.cpu.core,
        architecture=profile.architecture,
        accelerator=profile.accelerator,
    )


def invocation_section(profile: DeviceProfile, model: str | Path | Model, options: RunOptions) -> InvocationSection:
    """Return the section on what a run was called with."""
    return InvocationSection(
        profile=profile.model_dump(mode="json", exclude_unset=True),
        model=str(model.path if isinstance(model, Model) else model),
        models=str(options.models) if options.models is not None else None,
        options=options.model_dump(mode="json"),
        calibrations={target: each.model_dump(mode="json") for target, each in calibration.of_board(profile).items()},
    )


def scenario_section(
    scenario: Scenario, inputs: str, warm_up: WarmUp | None, protocol: ProtocolName = "http"
) -> ScenarioSection:
    """Return the section on the traffic of a run or a stack; `inputs` says in words what was sent."""
    stop = scenario.stop
    return ScenarioSection(
        name=scenario.name,
        requests=stop.requests,
        duration_s=stop.duration_s,
        warmup=warm_up.requests if warm_up is not None else 0,
        seed=scenario.seed,
        inputs=inputs,
        qps=scenario.qps,
        samples=scenario.samples_per_query,
        protocol=protocol,
        clients=scenario.clients,
        precision=str(stop.precision) if stop.precision is not None else None,
        warm_up=optional_section(WarmUpSection, warm_up),
    )


def requests_section(samples: Sequence[Sample]) -> RequestsSection:
    """Return the section that counts the requests of a run or a stack."""
    ok = sum(sample.ok for sample in samples)
    failed = len(samples) - ok
    return RequestsSection(
        sent=len(samples), ok=ok, failed=failed, error_rate=failed / len(samples) if samples else None
    )


def query_latency(samples: Sequence[Sample]) -> Distribution:
    """Summarise, in milliseconds, from when each query was scheduled until its last request was done."""
    done: dict[int, float] = {}
    for sample in samples:
        end = sample.done_ns if sample.ok else math.inf
        done[sample.scheduled_ns] = max(done.get(sample.scheduled_ns, 0), end)
    return section(Distribution, statistics.summarise([(end - due) / 1e6 for due, end in done.items()]))


def measured_time(samples: Sequence[Sample], source: str) -> DeviceTimeSection:
    times = sorted(sample.service_time_ms for sample in samples if sample.ok)
    median = statistics.summarise(times).p50
    if median is None:
        return DeviceTimeSection(p50=None, low=None, high=None, method="none: too few requests")
    return DeviceTimeSection(p50=median, low=times[0], high=times[-1], method=f"{source}, minimum to maximum")


def measured_target(gpus: str | None, description: Mapping[str, Any], *, chosen: str) -> str:
    """Return what ran the model in a native run.

    Args:
        gpus: how the container has GPUs; None means that it has none.
        description: what edgesim's own server reports; empty for another image's server.
        chosen: the target that the user chose, which is taken for what another image's server uses.
    """
    if gpus is None:
        return CPU
    providers = description.get("providers")
    if not providers:
        return chosen
    if providers[0] == "TensorrtExecutionProvider":
        return f"gpu:tensorrt-{description.get('gpus')}"
    return "gpu:cuda" if providers[0] == "CUDAExecutionProvider" else CPU


def target_section(answer: Prediction | Declined) -> TargetSection:
    """Return the section on one target of the board; a declined one has the reason as its method."""
    if isinstance(answer, Declined):
        return TargetSection(p50_ms=None, low_ms=None, high_ms=None, method=f"none: {answer.reason}")
    return TargetSection(
        p50_ms=answer.p50_ms,
        low_ms=answer.low_ms,
        high_ms=answer.high_ms,
        method=answer.method,
        notes=answer.notes,
        published=tuple(section(PublishedSection, figure) for figure in answer.published),
    )


def energy(profile: DeviceProfile, time: DeviceTimeSection) -> EnergySection:
    """Estimate the energy of one inference: the device time at the whole board's power with all cores busy."""
    power = profile.power
    if power is None or power.load_w is None:
        return EnergySection(per_inference=None, method="none: the profile has no power under load")
    if profile.mode != profile.default_mode:
        return EnergySection(per_inference=None, method=f"none: the profile has no power of mode {profile.mode}")
    assert time.p50 is not None, "no time, no energy"
    seconds = time.p50 / 1e3
    above = (power.load_w - power.idle_w) * seconds if power.idle_w is not None else None
    return EnergySection(
        per_inference=power.load_w * seconds,
        above_idle=above,
        method=f"estimated: {power.load_w:g} W (the whole board with all cores busy) times the device time",
    )


def instructions_section(counts: Sequence[InstructionCount | None], threads: int) -> InstructionsSection | None:
    """Return the instructions of all containers of a run; None if nothing was counted.

    Args:
        threads: of one inference.
    """
    known = [count for count in counts if count is not None and count.requests]
    if not known:
        return None
    return InstructionsSection(
        inference=_count_section([each for count in known for each in count.inferences]),
        request=_count_section([each for count in known for each in count.requests]),
        load=_count_section([count.load for count in known if count.load is not None]),
        start=_count_section([count.start for count in known if count.start is not None]),
        threads=threads,
        by_thread={str(thread): used for thread, used in known[-1].threads.items()},
        method=f"{known[-1].emulator}: a plugin adds up the instructions of each block that runs",
    )


def _count_section(counts: Sequence[Counts]) -> CountSection | None:
    if not counts:
        return None
    middle = median(counts)
    low, high = interval_of_median([count.instructions for count in counts])
    return CountSection(
        p50=middle.instructions,
        low=low,
        high=high,
        samples=len(counts),
        by_class=dict(middle.by_class),
        loaded_bytes=middle.loaded_bytes,
        stored_bytes=middle.stored_bytes,
    )
