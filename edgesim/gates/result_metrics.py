"""Metrics: the figures of a result that rules can bound, by name."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesim.gates.histogram import times_ms
from edgesim.measure.statistics import PERCENTILES
from edgesim.options import Execution
from edgesim.recording import Sample
from edgesim.results.metric_directions import HIGHER_IS_BETTER as HIGHER_IS_BETTER
from edgesim.results.run_result import RunResult
from edgesim.results.sections import Distribution, LifecycleSection, ResourcesSection, Restart
from edgesim.units import format_bytes

# Times of whatever ran the model: an emulator's say nothing about the board.
_TIMES = (
    "latency_ms.",
    "service_time_ms.",
    "generation.",
    "throughput_qps",
    "cold_start_s",
    "cpu_seconds_per_request",
)
_STATISTICS = ("min", "mean", *PERCENTILES, "max")
_DETECTIONS = ("matched", "more", "fewer", "min_iou", "max_score_difference")

NAMES = (
    *(f"device_time_ms.{name}" for name in ("p50", "low", "high")),
    *(f"{time}.{name}" for time in ("latency_ms", "service_time_ms") for name in _STATISTICS),
    *(f"generation.{time}.{name}" for time in ("time_to_first_token_ms", "inter_token_ms") for name in _STATISTICS),
    "generation.tokens_per_second",
    "throughput_qps",
    "cold_start_s",
    "cpu_seconds_per_request",
    "memory_peak_bytes",
    "memory_anon_bytes",
    "memory_unreclaimable_bytes",
    "artifact_bytes",
    "accuracy",
    *(f"detections.{name}" for name in _DETECTIONS),
    "energy_j",
    "failed_requests",
    "instructions",
    "instructions.request",
    "instructions.load",
)

# A predicted time of one target of the board: ``targets.gpu:tensorrt-fp16.p50``, in milliseconds.
_TARGET = re.compile(r"targets\.([a-z][a-z0-9]*(?::[a-z0-9-]+)?)\.(p50|low|high)(?:_ms)?")

# Metrics of the board's own instructions: a run of another architecture's does not have them.
OF_THE_BOARD = frozenset(
    (
        "memory_peak_bytes",
        "memory_anon_bytes",
        "memory_unreclaimable_bytes",
        "accuracy",
        *(f"detections.{name}" for name in _DETECTIONS),
    )
)
# Machines as the kernel names them, by the architecture in a profile.
_MACHINES = {"arm64": "aarch64", "amd64": "x86_64"}
# The interval around a predicted device time; its ends are metrics of their own.
BAND = "80 % band"
# Metrics that a scaled run has of the host, not of the board.
UNSCALED = frozenset(("cold_start_s", "cpu_seconds_per_request"))
# These depend on the model and its answers alone, so they are equal in every run.
_CONSTANT = frozenset(
    ("artifact_bytes", "accuracy", "failed_requests", *(f"detections.{name}" for name in _DETECTIONS))
)
# From this part of the memory limit on, a peak is what page cache was allowed to fill.
_SATURATED = 0.99
# What the device time of a native run is, which is measured and not predicted; its energy follows from the median.
_MEASURED_AS: Mapping[str, str] = {
    "device_time_ms.p50": "service_time_ms.p50",
    "device_time_ms.low": "service_time_ms.min",
    "device_time_ms.high": "service_time_ms.max",
    "energy_j": "service_time_ms.p50",
}


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One figure of a result; `value` is None if the result does not have the figure.

    `low` to `high` is an interval around the value, and `interval_kind` says which: the band of a prediction, or the
    confidence interval of a measurement. `elsewhere` says why the value is not the board's, and what has the board's;
    empty if the value is the board's, or a time, about which the execution says enough.

    `needs_samples` is how many answered requests a percentile takes that is missing because there are fewer;
    `infinite` says that the value is missing because it reaches into the failed requests, whose time is infinite;
    `unknown` says why there is no prediction.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    interval_kind: str = ""
    elsewhere: str = ""
    needs_samples: int | None = None
    infinite: bool = False
    unknown: str = ""


def canonical(name: str) -> str | None:
    """Return the name of a metric as results and baselines have it; None if there is no such metric.

    ``targets.cpu.p50_ms``, as the result file writes it, is ``targets.cpu.p50``.
    """
    if name in NAMES:
        return name
    target = _TARGET.fullmatch(name)
    return f"targets.{target[1]}.{target[2]}" if target is not None else None


def target_of(name: str) -> str | None:
    """Return the target that a metric is the predicted time of; None for any other metric."""
    match = _TARGET.fullmatch(name)
    return match[1] if match is not None else None


def of_targets(*results: RunResult) -> list[str]:
    """Return the metrics of the targets that all these results predict, but for the one of their device time."""
    first, *others = results
    return [
        f"targets.{name}.p50"
        for name, section in first.targets.items()
        if section.p50_ms is not None
        and name != first.device_time_ms.target
        and all(name in other.targets and other.targets[name].p50_ms is not None for other in others)
    ]


def is_predicted(name: str, execution: Execution) -> bool:
    """Whether a metric follows from a prediction, which it does not in a native run but for other targets' times."""
    return name.startswith("targets.") or (name in _MEASURED_AS and execution != "native")


def is_time(name: str) -> bool:
    """Whether the metric is a time that is always measured, never predicted."""
    return name.startswith(_TIMES)


def is_count(name: str) -> bool:
    """Whether the metric is a number of instructions, on which no host has an influence."""
    return name.partition(".")[0] == "instructions"


def is_constant(result: RunResult, name: str) -> bool:
    """Whether a metric is equal in every run of a model, so that any change is a real one."""
    return name in _CONSTANT or is_predicted(name, result.execution)


def measured_as(execution: Execution, name: str) -> str:
    """Return the metric of measured times that this metric equals or follows in an execution; else its own name."""
    return _MEASURED_AS.get(name, name) if execution == "native" else name


def metric(result: RunResult, name: str) -> Metric:
    """Return the metric of a name that `canonical` returns."""
    section, _, key = name.partition(".")
    if section == "targets":
        return _of_target(result, name)
    if is_count(name):
        return _instructions(result, name)
    if section == "device_time_ms":
        return _device_time(result, name, key)
    if section in ("latency_ms", "service_time_ms"):
        return _of_distribution(name, getattr(result, section), key)
    if section == "generation":
        return _of_generation(result, name)
    if section == "detections":
        return Metric(name=name, value=_detections(result, key), elsewhere=_elsewhere(result, name))
    answered = result.requests.ok
    values: Mapping[str, float | None] = {
        "throughput_qps": result.throughput_qps,
        "cold_start_s": _cold_start_s(result.lifecycle_s),
        "cpu_seconds_per_request": (
            result.resources.cpu_seconds / answered if result.resources.cpu_seconds is not None and answered else None
        ),
        "memory_peak_bytes": result.resources.memory_peak_bytes,
        "memory_anon_bytes": result.resources.memory_anon_bytes,
        "memory_unreclaimable_bytes": result.resources.memory_unreclaimable_bytes,
        "artifact_bytes": result.model.size_bytes,
        "accuracy": result.agreement.accuracy_device if result.agreement is not None else None,
        "energy_j": result.energy_j.per_inference if result.energy_j is not None else None,
        "failed_requests": result.requests.failed + (result.emulated.requests.failed if result.emulated else 0),
    }
    value, elsewhere = _number(values[name]), _elsewhere(result, name)
    if name.startswith("memory_") and value is not None:
        return _memory(result, name, value, elsewhere)
    return Metric(name=name, value=value, elsewhere=elsewhere)


def _detections(result: RunResult, key: str) -> float | None:
    """Return a figure of the matched detections; None where the run did not match any, or could not."""
    found = result.agreement.detections if result.agreement is not None else None
    if found is None or found.problem:
        return None
    value = getattr(found, key)
    return float(len(value)) if key in ("more", "fewer") else _number(value)


def _instructions(result: RunResult, name: str) -> Metric:
    """Return counted instructions; those of whole requests for a server that does not mark its inferences."""
    section = result.instructions
    if section is None:
        return Metric(name=name, value=None)
    parts = {
        "instructions": section.inference if section.inference is not None else section.request,
        "instructions.request": section.request,
        "instructions.load": section.load,
    }
    if (count := parts[name]) is None:
        return Metric(name=name, value=None)
    return Metric(name=name, value=count.p50, low=count.low, high=count.high, interval_kind=f"{count.samples} counts,")


def _of_distribution(name: str, distribution: Distribution, key: str) -> Metric:
    return Metric(
        name=name,
        value=_number(getattr(distribution, key)),
        needs_samples=distribution.needs_samples.get(key),
        infinite=key in distribution.infinite,
    )


def _of_generation(result: RunResult, name: str) -> Metric:
    """Return a figure of the generation, such as ``generation.inter_token_ms.p50``."""
    _, section, *statistic = name.split(".")
    figure = getattr(result.generation, section) if result.generation is not None else None
    if isinstance(figure, Distribution):
        return _of_distribution(name, figure, *statistic)
    return Metric(name=name, value=_number(figure))


def _memory(result: RunResult, name: str, value: float, elsewhere: str) -> Metric:
    """Return memory with the interval that the board's own is in, as far as the figure has what is not the board's.

    That is the emulator's estimated share, and the page cache in a peak at the limit.
    """
    low, without = value, []
    if name == "memory_peak_bytes" and (needed := _without_saturation(result.resources)) is not None:
        low, without = needed, ["the page cache that has filled the memory limit"]
    if result.emulator_memory is not None:
        low, without = max(low - result.emulator_memory.share_bytes, 0), [*without, "the emulator's estimated share"]
    if not without:
        return Metric(name=name, value=value, elsewhere=elsewhere)
    kind = f"without and with {' and '.join(without)}:"
    return Metric(name=name, value=value, low=low, high=value, interval_kind=kind, elsewhere=elsewhere)


def _without_saturation(used: ResourcesSection) -> float | None:
    """Return the memory without page cache where the peak is the limit and not the model's; else None."""
    peak, limit, needed = used.memory_peak_bytes, used.memory_limit_bytes, used.memory_unreclaimable_bytes
    if peak is None or limit is None or needed is None or peak < _SATURATED * limit:
        return None
    return _number(min(needed, peak))


def _elsewhere(result: RunResult, name: str) -> str:
    """Return why a metric of the board's own instructions is not the board's in this result; empty if it is."""
    if name not in OF_THE_BOARD:
        return ""
    decides = "an emulated run decides it: omit `execution`, or `execution=emulated`"
    if result.instructions is not None and name.startswith("memory_"):
        return "with the emulator that counts, whose memory is not the board's; a run without counts decides it"
    if result.execution == "scaled" and result.emulated is None:
        return f"of a scaled server, which runs this host's instructions and not the board's; {decides}"
    if result.execution == "host" and result.device.architecture != _MACHINES.get(result.profile.architecture or ""):
        board = result.profile.architecture or "not in this file"
        return f"of a process of this host ({result.device.architecture}; the board's architecture: {board}); {decides}"
    return ""


def _device_time(result: RunResult, name: str, key: str) -> Metric:
    """Return the device time with its band if predicted, and with the median's confidence interval if measured."""
    time, kind = result.device_time_ms, ""
    if time.p50 is None and is_predicted(name, result.execution):
        return Metric(name=name, value=None, unknown=time.method.removeprefix("none: "))
    bounds: tuple[float | None, float | None] = (None, None)
    if key == "p50" and result.execution != "native":
        bounds, kind = (time.low, time.high), BAND
    elif key == "p50" and "p50" in result.service_time_ms.intervals:
        bounds, kind = result.service_time_ms.intervals["p50"], "95 % interval"
    low, high = map(_number, bounds)
    return Metric(name=name, value=_number(getattr(time, key)), low=low, high=high, interval_kind=kind)


def _of_target(result: RunResult, name: str) -> Metric:
    """Return the predicted time of a target with its band."""
    section, key = result.targets.get(target_of(name) or ""), name.rpartition(".")[2]
    if section is None:
        return Metric(name=name, value=None)
    if section.p50_ms is None:
        return Metric(name=name, value=None, unknown=section.method.removeprefix("none: "))
    low, high, kind = (section.low_ms, section.high_ms, BAND) if key == "p50" else (None, None, "")
    return Metric(name=name, value=getattr(section, f"{key}_ms"), low=low, high=high, interval_kind=kind)


def _cold_start_s(times: LifecycleSection) -> float | None:
    """Return the seconds from the start of the container (the creation of a process) to the first answer.

    The server may do part of its preparation before the engine's start call returns, so `start` and `ready` say little
    alone.
    """
    if times.first_inference is None:
        return None
    return (times.start if times.start is not None else times.create) + times.ready + times.first_inference


def _answered(result: RunResult, restart: Restart) -> int:
    own = result.samples[restart.first_sample : restart.first_sample + restart.samples]
    return sum(sample.ok for sample in own) if own else restart.latency_ms.samples


def _number(value: float | None) -> float | None:
    """Return the value, or None if it is infinite or not a number: such a figure counts as missing."""
    return float(value) if value is not None and math.isfinite(value) else None


def times(result: RunResult, name: str) -> list[np.ndarray] | None:
    """Return the times that a metric of times summarises, in milliseconds: an array (requests,) for each container.

    Answered requests only, from the samples, or from the histograms if the samples were not kept. None for any other
    metric.
    """
    section = measured_as(result.execution, name).partition(".")[0]
    if section == "generation":
        return _times_of_generation(result, name)
    if section not in ("latency_ms", "service_time_ms"):
        return None
    if result.samples:
        return [
            np.array([getattr(sample, section) for sample in samples if sample.ok]) for samples in _by_container(result)
        ]
    distributions: list[Distribution] = [getattr(restart, section) for restart in result.restarts]
    return [times_ms(distribution) for distribution in distributions or [getattr(result, section)]]


def _times_of_generation(result: RunResult, name: str) -> list[np.ndarray] | None:
    """Return the times of the prompts, or of the tokens after them, for each container; None without a generation."""
    if result.generation is None:
        return None
    of_prompt = "time_to_first_token_ms" in name
    if result.samples:
        return [
            np.array([sample.service_time_ms for sample in samples if sample.ok and (sample.step == 1) == of_prompt])
            for samples in _by_container(result)
        ]
    return [times_ms(result.generation.time_to_first_token_ms if of_prompt else result.generation.inter_token_ms)]


def _by_container(result: RunResult) -> list[Sequence[Sample]]:
    """Return the samples of each container."""
    parts = [(restart.first_sample, restart.samples) for restart in result.restarts] or [(0, len(result.samples))]
    return [result.samples[first : first + count] for first, count in parts]


def statistic(times_ms: np.ndarray, name: str) -> float | None:
    """Return a metric of times for some times; None without any.

    A percentile is interpolated between two samples here, so that the bootstrap and the comparison of containers do not
    jump from sample to sample; the percentiles of a result are nearest-rank values.
    """
    return float(statistics(times_ms[np.newaxis], name)[0]) if len(times_ms) else None


def statistics(times_ms: np.ndarray, name: str) -> np.ndarray:
    """Return `statistic` of each row of times, shape (rows, times), as an array of shape (rows,)."""
    if name == "generation.tokens_per_second":
        return np.asarray(1e3 / np.mean(times_ms, axis=1))
    key = name.rpartition(".")[2]
    if key in PERCENTILES:
        return np.asarray(np.percentile(times_ms, PERCENTILES[key], axis=1))
    reduce: Mapping[str, Callable[..., Any]] = {"min": np.min, "mean": np.mean, "max": np.max}
    return np.asarray(reduce[key](times_ms, axis=1))


def per_container(result: RunResult, name: str, containers: list[np.ndarray] | None = None) -> list[float | None]:
    """Return a metric for each container, in their order; empty if the result has it for all containers together only.

    `containers` is the value of `times` for this metric; without it, `times` is called.
    """
    if result.emulated is not None and name in OF_THE_BOARD:
        return per_container(result.emulated, name)
    if (containers := containers if containers is not None else times(result, name)) is not None:
        return [statistic(times_ms, measured_as(result.execution, name)) for times_ms in containers]
    figures: list[float | None] = []
    for restart in result.restarts:
        cpu_s, answered = restart.cpu_seconds, _answered(result, restart)
        values: Mapping[str, float | None] = {
            "throughput_qps": restart.throughput_qps,
            "cold_start_s": _cold_start_s(restart.lifecycle_s),
            "cpu_seconds_per_request": cpu_s / answered if cpu_s is not None and answered else None,
            "memory_peak_bytes": restart.memory_peak_bytes,
            "memory_anon_bytes": restart.memory_anon_bytes,
            "memory_unreclaimable_bytes": restart.memory_unreclaimable_bytes,
        }
        if name not in values:
            return []
        figures.append(_number(values[name]))
    return figures


def figure(name: str, value: float) -> str:
    """Return a metric's value in words."""
    if name.endswith("_bytes"):
        return format_bytes(value)
    return f"{value:,.0f}" if name.endswith("_requests") or is_count(name) else f"{value:.4g}"


def exact_figure(name: str, value: float) -> str:
    """Return a metric's value in words, and bytes to the last one: a limit may lie within what rounding hides."""
    exact = f" ({value:,.0f} bytes)" if name.endswith("_bytes") else ""
    return f"{figure(name, value)}{exact}"
