"""A result for the terminal."""

from collections.abc import Iterable

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgesim.result import Distribution, RunResult
from edgesim.units import format_bytes, format_seconds

_TIME_IS = {
    "emulated": "emulated time: hundreds of times slower than the board, and never to be compared with it",
    "native": "measured on a host of the board's own architecture",
    "host": "this host's time, no board's",
}


def render(result: RunResult) -> RenderableType:
    """The report: what the board would do first, then what was seen, then whether it can be trusted."""
    return Group(
        _heading(result),
        Text(),
        _facts(result),
        Text(),
        _times(result),
        Text(_TIME_IS[result.execution]),
        Text(),
        _stages(result),
        Text(),
        _verdict(result),
    )


def _heading(result: RunResult) -> Text:
    mode = f" ({result.profile.mode})" if result.profile.mode else ""
    return Text.assemble((f"{result.model.name} on {result.profile.title}{mode}", "bold"), f", {result.execution}")


def _facts(result: RunResult) -> Table:
    device, resources, agreement = result.device, result.resources, result.agreement
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    table.add_row("device time", _device_time(result))
    table.add_row("this host" if result.execution == "host" else "board, from inside", _inside(result))
    for shortfall in device.shortfalls:
        table.add_row("not given", shortfall)
    if agreement is not None:
        table.add_row("answers", _agreement(result))
    if resources.memory_peak_bytes is not None:
        limit = f" of {format_bytes(resources.memory_limit_bytes)}" if resources.memory_limit_bytes else ""
        note = ", the emulator's own included" if result.execution == "emulated" else ""
        table.add_row(
            "memory peak", f"{format_bytes(resources.memory_peak_bytes)}{limit}{note} ({resources.memory_peak_source})"
        )
    if resources.cpu_percent_mean is not None and resources.cpu_seconds is not None:
        table.add_row(
            "CPU", f"{resources.cpu_percent_mean:.0f} % of a core of this host, {resources.cpu_seconds:.1f} s"
        )
    table.add_row(
        "requests", f"{result.requests.ok} answered, {result.requests.failed} failed; inputs: {result.scenario.inputs}"
    )
    return table


def _device_time(result: RunResult) -> str:
    time = result.device_time_ms
    if time.p50 is None:
        return f"not known ({time.method.removeprefix('none: ')})"
    return f"{time.p50:.2f} ms ({time.low:.2f} to {time.high:.2f}; {time.method})"


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


def _agreement(result: RunResult) -> str:
    agreement = result.agreement
    assert agreement is not None
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
    name = "emulated " if result.execution == "emulated" else ""
    table = Table(title=f"{name}time per request, ms", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    for column in ("min", "mean", "p50", "p90", "p95", "p99", "p99.9", "max"):
        table.add_column(column, justify="right")
    table.add_row("latency", *_row(result.latency_ms))
    table.add_row("service time", *_row(result.service_time_ms))
    return table


def _row(times: Distribution) -> list[str]:
    values = (times.min, times.mean, times.p50, times.p90, times.p95, times.p99, times.p99_9, times.max)
    return ["-" if value is None else f"{value:.2f}" for value in values]


def _stages(result: RunResult) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    lifecycle = [(name, value) for name, value in result.lifecycle_s if value is not None]
    table.add_row("emulated start" if result.execution == "emulated" else "start", _durations(lifecycle))
    table.add_row("stages", _durations(result.stages_s.items()))
    return table


def _durations(pairs: Iterable[tuple[str, float]]) -> str:
    return " · ".join(f"{name.replace('_', ' ')} {format_seconds(value)}" for name, value in pairs)


def _verdict(result: RunResult) -> Text:
    if result.validity.valid:
        return Text("VALID", style="bold green")
    return Text.assemble(("INVALID", "bold red"), *(f"\n  {reason}" for reason in result.validity.reasons))
