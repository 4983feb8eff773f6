"""A result for the terminal."""

import itertools
from collections.abc import Iterable

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgesim.report import scaling, series
from edgesim.report.figures import PERCENTILES, figure
from edgesim.result import AgreementSection, DeviceSection, Distribution, EnergySection, RunResult
from edgesim.units import format_bytes, format_ms, format_seconds

_TIME_IS = {
    "scaled": "this host, held back to the device time: queueing, tail and throughput are measured, the time itself"
    " is predicted",
    "emulated": "emulated time: hundreds of times slower than the board, and never to be compared with it",
    "native": "measured on a host of the board's own architecture",
    "host": "this host's time, no board's",
}


def render(result: RunResult) -> RenderableType:
    """The report: what the board would do first, then what was seen, then whether it can be trusted."""
    parts: list[RenderableType] = [_heading(result), _facts(result), Group(_times(result), Text(_time_is(result)))]
    if result.levels:
        parts.append(series.levels(result))
    if result.restarts:
        parts.append(series.restarts(result))
    parts += [_stages(result), _verdict(result)]
    return Group(*itertools.chain.from_iterable((part, Text()) for part in parts[:-1]), parts[-1])


def _heading(result: RunResult) -> Text:
    mode = f" ({result.profile.mode})" if result.profile.mode else ""
    execution = result.execution if result.emulated is None else "scaled (time) and emulated (answers, memory)"
    return Text.assemble((f"{result.model.name} on {result.profile.title}{mode}", "bold"), f", {execution}")


def _facts(result: RunResult) -> Table:
    # What is true of the board beside its time is the emulated run's to say, where there is one.
    board = result.emulated if result.emulated is not None else result
    device, agreement = board.device, board.agreement
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    table.add_row("device time", _device_time(result))
    if result.device_time_ms.p50 is not None:
        for words in (result.device_time_ms.method, *result.device_time_ms.notes):
            table.add_row("", Text(words, style="dim"))
    if result.energy_j is not None and result.energy_j.per_inference is not None:
        table.add_row("energy", _energy(result.energy_j))
    if result.not_scaled is not None:
        table.add_row("not scaled", result.not_scaled)
    where = (
        "this host" if result.execution == "host" else "board, from inside" if device.user_id is not None else "board"
    )
    table.add_row(where, _inside(board))
    if board.host.context is not None:
        table.add_row("machine", f"{board.host.context}, not this one")
    if device.mount in ("volume", "image"):
        table.add_row("model", _mount(device))
    if device.features_missing or device.features_extra:
        table.add_row("core differs", _features(board))
    if device.limits:
        table.add_row("limits", _limits(board))
    for shortfall in device.shortfalls:
        table.add_row("not given", shortfall)
    if agreement is not None:
        table.add_row("answers", _agreement(agreement))
    if board.resources.memory_peak_bytes is not None:
        table.add_row("memory peak", _memory(board))
    if result.scaling is not None:
        table.add_row("scaled by", scaling.method(result.scaling))
        table.add_row("service time", scaling.against_target(result.scaling))
        if result.scaling.busy_percent is not None:
            table.add_row("board busy", f"{result.scaling.busy_percent:.0f} % of the time")
        if result.scaling.throttle is not None:
            table.add_row("heat", scaling.throttle(result.scaling.throttle))
    if result.resources.cpu_percent_mean is not None and result.resources.cpu_seconds is not None:
        table.add_row("CPU", _cpu(result))
    rate = f", {result.throughput_qps:.4g} a second" if result.throughput_qps is not None else ""
    table.add_row(
        "requests",
        f"{result.requests.ok} answered, {result.requests.failed} failed{rate}; inputs: {result.scenario.inputs}",
    )
    if board.emulator_failures:
        times = "once" if board.emulator_failures == 1 else f"{board.emulator_failures} times"
        table.add_row("emulator", f"failed {times} by itself, and was started again")
    if result.search is not None:
        table.add_row("peak", _peak(result))
    if result.generator is not None:
        table.add_row("load generator", _generator(result))
    return table


def _mount(device: DeviceSection) -> str:
    where = f"in volume {device.volume}" if device.mount == "volume" else "inside the image"
    return f"{where}; no file of this host is mounted"


def _energy(energy: EnergySection) -> str:
    words = [f"about {energy.per_inference:.3g} J an inference"]
    if energy.above_idle is not None:
        words.append(f"{energy.above_idle:.3g} J of it above idle")
    return f"{', '.join(words)} ({energy.method})"


def _memory(result: RunResult) -> str:
    used = result.resources
    limit = f" of {format_bytes(used.memory_limit_bytes)}" if used.memory_limit_bytes else ""
    words = [f"{format_bytes(used.memory_peak_bytes or 0)}{limit} ({used.memory_peak_source})"]
    if used.memory_anon_bytes is not None:
        cache = f", {format_bytes(used.memory_cache_bytes)} files'" if used.memory_cache_bytes is not None else ""
        words.append(f"processes' own {format_bytes(used.memory_anon_bytes)}{cache}")
    if result.emulator_memory is not None:
        words.append(f"of it the emulator's about {format_bytes(result.emulator_memory.share_bytes)}, at least")
    elif result.execution == "emulated":
        words.append("the emulator's own included")
    return "; ".join(words)


def _cpu(result: RunResult) -> str:
    used = result.resources
    machine = "this host" if result.host.context is None else "that machine"
    words = [f"{used.cpu_percent_mean:.0f} % of a core of {machine}"]
    if used.cpu_percent_of_board is not None:
        whole = "its share" if result.execution == "scaled" else "what the board may use"
        words.append(f"{used.cpu_percent_of_board:.0f} % of {whole}")
    words.append(f"{used.cpu_seconds:.1f} s")
    if used.throttled_s:
        words.append(f"held back for {format_seconds(used.throttled_s)}")
    return ", ".join(words)


def _peak(result: RunResult) -> str:
    search = result.search
    assert search is not None
    limit = f"{search.percentile} under {search.limit_ms:g} ms"
    if search.peak_qps is None:
        return f"none: {limit} was held at no rate that was tried"
    return f"{search.peak_qps:.4g} requests a second with {limit}"


def _generator(result: RunResult) -> str:
    own = result.generator
    assert own is not None
    words = [f"{own.cpu_percent:.1f} % of a core"]
    if own.cpu_us_per_request is not None:
        words.append(f"{own.cpu_us_per_request:.0f} us a request")
    words.append(f"{own.connections} connection{'s' if own.connections != 1 else ''}")
    if own.real_time:
        words.append("before all other programs")
    if own.cores is not None:
        words.append(f"held to core{'s' if len(own.cores) > 1 else ''} {', '.join(map(str, own.cores))}")
    return ", ".join(words)


def _time_is(result: RunResult) -> str:
    lines = [_TIME_IS[result.execution]]
    if intervals := result.latency_ms.intervals:
        bounds = (f"{PERCENTILES[name]} {_interval(interval)}" for name, interval in intervals.items())
        lines.append(f"95 % sure: {', '.join(bounds)}")
    if (warm_up := result.scenario.warm_up) is not None:
        lines.append(f"warm-up: {warm_up.rule}")
    return "\n".join(lines)


def _device_time(result: RunResult) -> Text:
    time = result.device_time_ms
    if time.p50 is None or time.low is None or time.high is None:
        return Text(f"not known ({time.method.removeprefix('none: ')})")
    # Not written as surer than its band.
    return Text.assemble(
        (f"{format_ms(time.p50)} ms", "bold"), f"  ({format_ms(time.low)} to {format_ms(time.high)} ms)"
    )


def _inside(result: RunResult) -> str:
    device = result.device
    words = [device.architecture, device.cpu_model or "unknown CPU", f"{device.cores or 'unknown'} cores"]
    if device.memory_limit_bytes is not None:
        words.append(f"{format_bytes(device.memory_limit_bytes)} memory")
    if device.cpu_limit is not None:
        words.append(f"{device.cpu_limit:g} CPUs' bandwidth")
    if device.runtime:
        words.append(device.runtime)
    return ", ".join(words)


def _limits(result: RunResult) -> str:
    limits = [limit for limit in result.device.limits if limit.requested is not None]
    names = {
        "memory_bytes": "memory",
        "open_files": "open files",
        "read_bytes_per_s": "storage rate",
        "write_bytes_per_s": "storage write rate",
        "cpus": "CPU",
        "network_rate_bytes_per_s": "network rate",
        "network_delay_ms": "network delay",
    }
    groups = (
        ("proven here", [limit for limit in limits if limit.proven]),
        ("set", [limit for limit in limits if limit.proven is None and limit.applied == limit.requested]),
        ("not holding", [limit for limit in limits if limit.proven is False]),
        (
            "asked for and not read back",
            [limit for limit in limits if limit.proven is None and limit.applied != limit.requested],
        ),
    )
    return "; ".join(
        f"{words}: {', '.join(names.get(limit.name, limit.name) for limit in group)}"
        for words, group in groups
        if group
    )


def _features(result: RunResult) -> str:
    device = result.device
    words = [f"lacks {' '.join(device.features_missing)}"] if device.features_missing else []
    words += [f"has {' '.join(device.features_extra)} beyond the board's"] if device.features_extra else []
    return f"{device.qemu_cpu or 'this host'} {', '.join(words)}"


def _agreement(agreement: AgreementSection) -> str:
    count = f"{agreement.compared} input{'s' if agreement.compared != 1 else ''}"
    if agreement.max_abs_difference is None:
        words = [f"not numbers that could be compared with this host's, over {count}"]
    else:
        words = [f"largest difference from this host's {agreement.max_abs_difference:.2g} over {count}"]
    if agreement.accuracy_device is not None and agreement.accuracy_host is not None:
        words.append(f"accuracy {100 * agreement.accuracy_device:.2f} % (host {100 * agreement.accuracy_host:.2f} %)")
    elif agreement.same_class is not None:
        words.append(f"same class for {100 * agreement.same_class:.0f} %")
    return "; ".join(words)


def _times(result: RunResult) -> Table:
    name = f"{result.execution} " if result.execution in ("emulated", "scaled") else ""
    table = Table(title=f"{name}time per request, ms: {_traffic(result)}", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    for column in ("min", "mean", *PERCENTILES.values(), "max"):
        table.add_column(column, justify="right")
    if result.query_latency_ms is not None:
        table.add_row("query latency", *_row(result.query_latency_ms))
    table.add_row("latency", *_row(result.latency_ms))
    table.add_row("service time", *_row(result.service_time_ms))
    table.add_row("sent late by", *_row(result.lag_ms))
    return table


def _traffic(result: RunResult) -> str:
    scenario = result.scenario
    details = {
        "server": f" at {scenario.qps:.4g} requests/s" if scenario.qps else "",
        "multi-stream": f", {scenario.samples} samples a query",
        "offline": f", {scenario.clients} at a time",
        "single-stream": f", {scenario.clients} clients" if scenario.clients > 1 else "",
    }
    return scenario.name + details[scenario.name]


def _row(times: Distribution) -> list[str]:
    return [figure(times, name) for name in ("min", "mean", *PERCENTILES, "max")]


def _interval(bounds: tuple[float, float | None]) -> str:
    low, high = bounds
    return f"{low:.2f} to {high:.2f}" if high is not None else f"above {low:.2f}"


def _stages(result: RunResult) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    order = ("image", "create", "start", "ready", "model_load", "first_inference", "steady")
    lifecycle = [(name, value) for name in order if (value := getattr(result.lifecycle_s, name)) is not None]
    name = {"emulated": "emulated start", "scaled": "scaled start"}.get(result.execution, "start")
    table.add_row(name, _durations(lifecycle))
    table.add_row("stages", _durations(result.stages_s.items()))
    return table


def _durations(pairs: Iterable[tuple[str, float]]) -> str:
    return " · ".join(f"{name.replace('_', ' ')} {format_seconds(value)}" for name, value in pairs)


def _verdict(result: RunResult) -> Text:
    validity = result.validity
    doubts = [f"\n  {suspicion}" for suspicion in validity.suspicions]
    if not validity.valid:
        return Text.assemble(("INVALID", "bold red"), *(f"\n  {reason}" for reason in validity.reasons), *doubts)
    if validity.suspect:
        return Text.assemble(("VALID", "bold green"), (", but suspect", "bold yellow"), *doubts)
    return Text("VALID", style="bold green")
