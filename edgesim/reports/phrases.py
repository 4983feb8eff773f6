"""The wording of a report on one run: the same on a terminal, in Markdown and on a page."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from edgesim.options import CPU
from edgesim.reports import generation_phrases, instruction_phrases, scaling_phrases
from edgesim.results.load import Recorded
from edgesim.results.proof import TimeOrigin
from edgesim.results.run_result import RunResult
from edgesim.results.sections import (
    AgreementSection,
    ConfigurationSection,
    DeviceSection,
    EnergySection,
    ProfileSection,
    PublishedSection,
    ScenarioSection,
)
from edgesim.units import format_bytes, format_ms, format_seconds

# The percentiles of a `Distribution`, by field name, as a report writes them.
PERCENTILE_LABELS = {"p50": "p50", "p90": "p90", "p95": "p95", "p99": "p99", "p99_9": "p99.9"}

_TIME_IS: Mapping[TimeOrigin, str] = {
    "board": "measured on the board",
    "slowed down host": "this host, slowed down to the predicted device time: queueing, tail and throughput are"
    " measured, the device time itself is predicted",
    "emulator": "emulated time: never to be compared with the board's time; the factor between the two times differs"
    " from model to model, and may be several hundred",
    "host": "this host's time, not a board's",
}

# Which part of a run an accelerator has: its time alone, and that by prediction.
NEVER_EMULATED = "an accelerator's time is predicted, never emulated: answers and memory come from the CPU build"

LIMIT_NAMES = {
    "memory_bytes": "memory",
    "open_files": "open files",
    "read_bytes_per_s": "storage rate",
    "write_bytes_per_s": "storage write rate",
    "cpus": "CPU",
    "network_rate_bytes_per_s": "network rate",
    "network_delay_ms": "network delay",
}


class Fact(NamedTuple):
    """A line of a report: a label and words.

    `lead` stands out before the words. `notes` follow on lines of their own: the source of the words, or what makes
    them less certain.
    """

    label: str
    words: str
    notes: tuple[str, ...] = ()
    lead: str = ""


def title(result: RunResult) -> str:
    """Return the model and the board."""
    return f"{result.model.name} on {board(result.profile)}"


def side(result: RunResult, file: str) -> str:
    """Return what tells one of several results from another: its file, title, execution, the model's digest, the date.

    Two results of one model and board have the same title.
    """
    how = f"{title(result)}, {execution(result)}"
    return f"{file}: {how}; model {result.model.identity}; {result.created[:16].replace('T', ' ')}"


def board(profile: ProfileSection) -> str:
    """Return the board and its power mode."""
    return profile.title_and_mode


def execution(result: RunResult) -> str:
    """Return the execution; of a run that was scaled and emulated, both executions and the figures of each."""
    if result.emulated is not None:
        return "scaled (time) and emulated (answers, memory)"
    if result.execution == "same-architecture":
        slowed_down = result.time_origin == "slowed down host"
        how = "slowed down to the predicted time" if slowed_down else "this host, not slowed down"
        return f"same-architecture ({how})"
    return result.execution


def time_prefix(result: Recorded) -> str:
    """Return what to write before a time that is not simply the board's, such as ``emulated ``.

    Empty for a run on the board, and for a plain process of this host.
    """
    if result.execution == "host":
        return ""
    return {"emulator": "emulated ", "slowed down host": "scaled ", "host": "this host's ", "board": ""}[
        result.time_origin
    ]


def device_time(result: RunResult) -> tuple[str, str]:
    """Return the headline: the device time and its band; ``not known`` and the reason if there is none."""
    time = result.device_time_ms
    if time.p50 is None or time.low is None or time.high is None:
        return "not known", f"({time.method.removeprefix('none: ')})"
    # Three digits: the band is far wider than a fourth.
    return f"{format_ms(time.p50)} ms", f"({format_ms(time.low)} to {format_ms(time.high)} ms)"


def about_device_time(result: RunResult) -> tuple[str, ...]:
    """Return where the device time comes from, and what makes it less certain."""
    time = result.device_time_ms
    if time.p50 is None:
        return ()
    words = [time.method, *_about_accelerators(result)]
    if time.server is not None and time.request is not None:
        server = f"{format_ms(time.server)} ms for the server and connection"
        words.append(f"a request: {format_ms(time.request)} ms, including {server}")
    return (*words, *time.notes)


def _about_accelerators(result: RunResult) -> Iterator[str]:
    """Yield the target of the device time, and the parts of the run in which the other targets have no part."""
    accelerator, target = result.profile.accelerator, result.device_time_ms.target
    if accelerator is None:
        return
    predicted = [name for name, section in result.targets.items() if section.p50_ms is not None and name != CPU]
    if target == CPU and not predicted:
        yield f"CPU only: no time is predicted for the board's {accelerator}"
    elif target == CPU:
        yield f"time of the CPU; {NEVER_EMULATED}"
    else:
        yield f"time of {target}; {NEVER_EMULATED}"


def targets(result: RunResult) -> Iterator[Fact]:
    """Yield the predicted time of each target of the board beside the one that the device time is of.

    Nothing on a board with a processor alone. What several targets share, such as the method, is said once.
    """
    if len(result.targets) < 2:
        return
    said = set(about_device_time(result))
    for name, section in result.targets.items():
        if name == result.device_time_ms.target and result.execution != "native":
            continue
        if section.p50_ms is None or section.low_ms is None or section.high_ms is None:
            yield Fact(name, f"not predicted: {section.method.removeprefix('none: ')}")
            continue
        band = f"({format_ms(section.low_ms)} to {format_ms(section.high_ms)} ms)"
        notes = tuple(words for words in (section.method, *section.notes) if words not in said)
        said |= set(notes)
        yield Fact(name, band, notes, f"{format_ms(section.p50_ms)} ms")


def published(result: RunResult) -> Iterator[Fact]:
    """Yield what others have published for the model's network on the targets of the board, with the sources."""
    for name, section in result.targets.items():
        for figure in section.published:
            yield Fact("published", f"on {name}: {about_published(figure)}", (), f"{format_ms(figure.ms)} ms")


def about_published(figure: PublishedSection) -> str:
    """Return what a published figure timed, and its source; facts that the source does not state are left out."""
    stated = [words for words in (figure.power_mode, figure.release) if not words.startswith("not stated")]
    words = [f"{figure.model} on {figure.board}", figure.runtime, *stated, f"{figure.measure} ({figure.stat})"]
    return "; ".join([*words, *filter(None, (figure.note, figure.source))])


def about_times(result: Recorded) -> list[str]:
    """Return what the requests' times describe, the percentiles' confidence intervals, and the warm-up's rule."""
    lines = [_TIME_IS[result.time_origin]]
    intervals = result.latency_ms.intervals
    # The file may be of a newer edgesim, with other percentiles.
    if known := [
        f"{label} {interval(intervals[name])}" for name, label in PERCENTILE_LABELS.items() if name in intervals
    ]:
        lines.append(f"95 % confidence intervals: {', '.join(known)}")
    if result.scenario is not None and result.scenario.warm_up is not None:
        lines.append(f"warm-up: {result.scenario.warm_up.rule}")
    return lines


def facts(result: RunResult) -> Iterator[Fact]:
    """Yield the facts of a run, the device time first."""
    # A run that was scaled and emulated knows all of the board but its time from the emulated run.
    inside = result.emulated if result.emulated is not None else result
    device, agreement = inside.device, inside.agreement
    lead, band = device_time(result)
    yield Fact(result.time_label, band, about_device_time(result), lead)
    if result.generation is not None:
        yield Fact("generation", generation_phrases.measured(result.generation, time_prefix(result)))
        if result.generation.predicted is not None:
            yield Fact("predicted", generation_phrases.predicted(result.generation.predicted))
        if result.generation.cache_bytes is not None:
            yield Fact("cache", generation_phrases.cache(result.generation))
    if device.runtime is not None:
        yield Fact("runtime", _runtime(device))
    if result.energy_j is not None and result.energy_j.per_inference is not None:
        yield Fact("energy", _energy(result.energy_j))
    if result.not_scaled is not None:
        few = ("a few requests instead of the requested traffic, which a run that is only emulated sends",)
        yield Fact("not scaled", result.not_scaled, few if result.execution == "emulated" else ())
    where = (
        "this host" if result.execution == "host" else "board, from inside" if device.user_id is not None else "board"
    )
    yield Fact(where, _inside(inside))
    if (of_the_board := compared(result)) is not None:
        yield of_the_board
    if inside.host.context is not None:
        yield Fact("machine", f"{inside.host.context} (not this machine)")
    if device.mount in ("volume", "image"):
        yield Fact("model", _mount(device))
    if device.features_missing or device.features_extra:
        yield Fact("core differs", _features(inside))
    if device.limits:
        yield Fact("limits", _limits(inside))
    if result.model.configuration is not None:
        yield Fact("configuration", _configuration(result.model.configuration))
    for shortfall in device.shortfalls:
        yield Fact("shortfall", shortfall)
    if agreement is not None:
        yield Fact("answers", _agreement(agreement))
    if result.instructions is not None:
        yield Fact(
            "instructions", instruction_phrases.headline(result), tuple(instruction_phrases.notes(result.instructions))
        )
    if inside.resources.memory_peak_bytes is not None:
        yield Fact("memory peak", _memory(inside))
    if result.scaling is not None:
        yield Fact("time scaling", scaling_phrases.method(result.scaling))
        yield Fact("service time", scaling_phrases.against_target(result.scaling))
        if result.scaling.busy_percent is not None:
            yield Fact("board busy", f"{result.scaling.busy_percent:.0f} % of the time")
        if result.scaling.throttle is not None:
            yield Fact("heat", scaling_phrases.throttle(result.scaling.throttle))
    if result.resources.cpu_percent_mean is not None and result.resources.cpu_seconds is not None:
        yield Fact("CPU", _cpu(result))
    yield Fact("requests", _requests(result))
    if inside.emulator_failures:
        yield Fact("emulator", f"failed {times(inside.emulator_failures)} by itself; edgesim started the board again")
    if result.search is not None:
        yield Fact("peak rate", _peak(result))
    if result.generator is not None:
        yield Fact("load generator", _generator(result))


def stages(result: RunResult) -> Iterator[Fact]:
    """Yield how long the board took to start, and how long each stage of edgesim's own work took.

    A run that was scaled and emulated started two boards.
    """
    halves = [result] if result.emulated is None else [result, result.emulated]
    for half in halves:
        order = ("image", "create", "start", "ready", "model_load", "first_inference", "steady")
        lifecycle = [(name, value) for name in order if (value := getattr(half.lifecycle_s, name)) is not None]
        yield Fact(f"{time_prefix(half)}start", _durations(lifecycle))
    for half in halves:
        yield Fact(f"{time_prefix(half)}stages" if len(halves) > 1 else "stages", _durations(half.stages_s.items()))


def times_title(result: Recorded, scenario: ScenarioSection) -> str:
    """Return the title of the table of times."""
    return f"{time_prefix(result)}time per request, ms: {traffic(scenario)}"


def traffic(scenario: ScenarioSection) -> str:
    """Return the scenario with its parameters."""
    details = {
        "server": f" at {scenario.qps:.4g} requests/s" if scenario.qps else "",
        "multi-stream": f", {scenario.samples} samples per query",
        "offline": f", {scenario.clients} at a time",
        "single-stream": f", {scenario.clients} clients" if scenario.clients > 1 else "",
    }
    return scenario.name + details[scenario.name]


def times(count: int) -> str:
    """Return ``once``, ``2 times`` and so on."""
    return "once" if count == 1 else f"{count} times"


def _requests(result: RunResult) -> str:
    rate = f", {result.throughput_qps:.4g} per second" if result.throughput_qps is not None else ""
    return f"{result.requests.ok} answered, {result.requests.failed} failed{rate}; inputs: {result.scenario.inputs}"


def _configuration(configuration: ConfigurationSection) -> str:
    settings = ", ".join(f"{name} {value}" for name, value in configuration.settings.items())
    return f"{configuration.files[0]} beside the model: {settings or 'the defaults'}"


def _runtime(device: DeviceSection) -> str:
    return f"{device.runtime}: {device.runtime_reason}" if device.runtime_reason is not None else f"{device.runtime}"


def _mount(device: DeviceSection) -> str:
    where = f"in volume {device.volume}" if device.mount == "volume" else "inside the image"
    return f"{where}; no file of this host is mounted"


def _energy(energy: EnergySection) -> str:
    words = [f"about {energy.per_inference:.3g} J per inference"]
    if energy.above_idle is not None:
        words.append(f"of which {energy.above_idle:.3g} J above idle")
    return f"{', '.join(words)} ({energy.method})"


def _memory(result: RunResult) -> str:
    used = result.resources
    limit = f" of {format_bytes(used.memory_limit_bytes)}" if used.memory_limit_bytes else ""
    words = [f"{format_bytes(used.memory_peak_bytes or 0)}{limit} ({used.memory_peak_source})"]
    if used.memory_anon_bytes is not None:
        words.append(f"anonymous {format_bytes(used.memory_anon_bytes)}")
        if used.memory_cache_bytes is not None:
            words[-1] += f", page cache {format_bytes(used.memory_cache_bytes)}"
    if used.memory_unreclaimable_bytes is not None:
        words.append(f"unreclaimable {format_bytes(used.memory_unreclaimable_bytes)}")
    if result.emulator_memory is not None:
        words.append(f"emulator overhead at least {format_bytes(result.emulator_memory.share_bytes)} (estimate)")
    elif result.execution == "emulated":
        words.append("includes the emulator's own memory")
    return "; ".join(words)


def _cpu(result: RunResult) -> str:
    used = result.resources
    machine = "this host" if result.host.context is None else "that machine"
    words = [f"{used.cpu_percent_mean:.0f} % of a core of {machine}"]
    if used.cpu_percent_of_board is not None:
        scaled = result.time_origin == "slowed down host"
        available = "its CPU share" if scaled else "what the board may use"
        words.append(f"{used.cpu_percent_of_board:.0f} % of {available}")
    words.append(f"{used.cpu_seconds:.1f} s of CPU time")
    if used.throttled_s:
        words.append(f"throttled for {format_seconds(used.throttled_s)}")
    return ", ".join(words)


def _peak(result: RunResult) -> str:
    search = result.search
    assert search is not None
    limit = f"{search.percentile} under {search.limit_ms:g} ms"
    if search.peak_qps is None:
        return f"none: no tested rate kept {limit}"
    return f"{search.peak_qps:.4g} requests/s with {limit}"


def _generator(result: RunResult) -> str:
    generator = result.generator
    assert generator is not None
    words = [f"{generator.cpu_percent:.1f} % of a core"]
    if generator.cpu_us_per_request is not None:
        words.append(f"{format_seconds(generator.cpu_us_per_request / 1e6)} per request")
    over = " of gRPC" if result.scenario.protocol == "grpc" else ""
    words.append(f"{generator.connections} connection{'s' if generator.connections != 1 else ''}{over}")
    if generator.real_time:
        words.append("real-time priority")
    if generator.cores is not None:
        words.append(f"pinned to core{'s' if len(generator.cores) > 1 else ''} {', '.join(map(str, generator.cores))}")
    return ", ".join(words)


def _inside(result: RunResult) -> str:
    device = result.device
    words = [device.architecture, device.cpu_model or "unknown CPU", _cores(device.cores)]
    if device.memory_limit_bytes is not None:
        words.append(f"{format_bytes(device.memory_limit_bytes)} memory")
    if device.cpu_limit is not None:
        words.append(f"CPU limit {device.cpu_limit:g}")
    return ", ".join(words)


def _limits(result: RunResult) -> str:
    limits = [limit for limit in result.device.limits if limit.requested is not None]
    groups = (
        ("proven on this host", [limit for limit in limits if limit.proven]),
        ("set", [limit for limit in limits if limit.proven is None and limit.applied == limit.requested]),
        ("proven not to hold", [limit for limit in limits if limit.proven is False]),
        (
            "requested, but not read back",
            [limit for limit in limits if limit.proven is None and limit.applied != limit.requested],
        ),
    )
    return "; ".join(
        f"{words}: {', '.join(LIMIT_NAMES.get(limit.name, limit.name) for limit in group)}"
        for words, group in groups
        if group
    )


def _cores(count: int | None) -> str:
    return "one core" if count == 1 else f"{count or 'unknown'} cores"


def _features(result: RunResult) -> str:
    device = result.device
    words = [f"lacks {' '.join(device.features_missing)}"] if device.features_missing else []
    words += [f"has {' '.join(device.features_extra)}, which the board's lacks"] if device.features_extra else []
    differs = f"{device.qemu_cpu or result.host.context or 'this host'} {', '.join(words)}"
    if result.execution != "same-architecture":
        return differs
    caveat = f"{differs}: answers may come from other kernels than the board's"
    # edgesim emulates arm64 boards, and on a host of their own architecture only this one.
    can_be_emulated = device.architecture == "aarch64" and result.host.context is None
    return f"{caveat}; an emulated run uses the board's kernels" if can_be_emulated else caveat


def compared(result: Recorded) -> Fact | None:
    """Return in what a host of the board's architecture equals the board and differs; None without a comparison."""
    host = result.host
    if result.execution == "native" and host.compared:
        agreed = (f"{each.name} {each.host}" for each in host.compared if each.agrees)
        return Fact("is the board", f"proven by {', '.join(agreed)}")
    if result.execution not in ("same-architecture", "host"):
        return None
    if not host.compared:  # also of a process on a host of another architecture
        unproven = Fact("not the board", "the file does not show that the host was the board")
        return unproven if result.execution == "same-architecture" else None
    differences = (
        f"{each.name} {each.host or 'not reported'}, the board's {each.profile or 'is not in the profile'}"
        for each in host.compared
        if each.stands_against
    )
    return Fact("not the board", "; ".join(differences))


def _agreement(agreement: AgreementSection) -> str:
    kind = "input" if agreement.sequence is None else "request"
    count = f"{agreement.compared} {kind}{'s' if agreement.compared != 1 else ''}"
    if agreement.max_abs_difference is not None:
        words = [f"largest difference from this host's answers {agreement.max_abs_difference:.2g}, over {count}"]
    elif agreement.outputs and all(output.max_abs_difference is not None for output in agreement.outputs):
        words = [f"nothing to compare with this host's answers, over {count}"]
    else:
        words = [f"the answers differ from this host's, without a finite difference, over {count}"]
    words += agreement.detections.words() if agreement.detections is not None else []
    words += [f"{output.name}: {', '.join(output.notes)}" for output in agreement.outputs if output.notes]
    if agreement.other_release is not None:
        words.append(f"this host ran ONNX Runtime {agreement.reference}, not the board's: {agreement.other_release}")
    elif agreement.reference is not None:
        words.append(f"this host ran ONNX Runtime {agreement.reference}")
    if agreement.sequence is not None:
        words.append(generation_phrases.steps(agreement.sequence))
    if agreement.accuracy_device is not None and agreement.accuracy_host is not None:
        words.append(f"accuracy {100 * agreement.accuracy_device:.2f} % (host {100 * agreement.accuracy_host:.2f} %)")
    elif agreement.same_class is not None:
        words.append(f"same class for {100 * agreement.same_class:.0f} %")
    return "; ".join(words)


def interval(bounds: tuple[float, float | None]) -> str:
    """Return a confidence interval in words.

    An interval without an upper end reaches into the failed requests, whose time is infinite.
    """
    low, high = bounds
    digits = 2 if low >= 1 or low == 0 else 3 if low >= 0.1 else 4
    return f"{low:.{digits}f} to {high:.{digits}f}" if high is not None else f"above {low:.{digits}f}"


def _durations(pairs: Iterable[tuple[str, float]]) -> str:
    return " · ".join(f"{name.replace('_', ' ')} {format_seconds(value)}" for name, value in pairs)
