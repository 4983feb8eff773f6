"""A stack's result for the terminal."""

import itertools

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgesim.report.figures import PERCENTILES, figure
from edgesim.result import Distribution, ResourcesSection
from edgesim.stack_result import ServiceSection, StackResult
from edgesim.units import format_bytes, format_seconds

_TIME_IS = {
    "emulated": "emulated time: hundreds of times slower than the board, and never to be compared with it",
    "native": "measured on a host of the board's own architecture",
}


def render(result: StackResult) -> RenderableType:
    """The report: what was asked of the stack, what each service and the whole board took, and whether to trust it."""
    parts: list[RenderableType] = [_heading(result), _facts(result), _services(result)]
    if result.scenario is not None:
        parts.append(Group(_times(result), Text(_TIME_IS[result.execution])))
    parts.append(_verdict(result))
    return Group(*itertools.chain.from_iterable((part, Text()) for part in parts[:-1]), parts[-1])


def _heading(result: StackResult) -> Text:
    mode = f" ({result.profile.mode})" if result.profile.mode else ""
    through = f", through {result.stack.entry}" if result.scenario is not None else ""
    count = len(result.services)
    services = f"{count} service{'s' if count != 1 else ''}"
    return Text.assemble(
        (f"{result.stack.name} on {result.profile.title}{mode}", "bold"), f", {result.execution}: {services}{through}"
    )


def _facts(result: StackResult) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    budget = result.budget
    table.add_row("one budget", _budget(result))
    killed = {name: service for name, service in result.services.items() if service.killed}
    if killed:
        words = ", ".join(f"{name} {_times_word(service.killed)}" for name, service in killed.items())
        table.add_row("killed", Text(f"{words}, for want of memory", style="bold red"))
    if budget.overcommit is not None:
        table.add_row("overcommitted", budget.overcommit)
    for shortfall in budget.shortfalls:
        table.add_row("not given", shortfall)
    if result.scenario is not None:
        rate = f", {result.throughput_qps:.4g} a second" if result.throughput_qps is not None else ""
        sent = f"{result.requests.ok} answered, {result.requests.failed} failed{rate}; {result.scenario.inputs}"
        table.add_row("requests", sent)
    if result.first_request_s is not None:
        table.add_row("first request", format_seconds(result.first_request_s))
    return table


def _budget(result: StackResult) -> str:
    budget, applied = result.budget, result.budget.applied
    words = f"{format_bytes(budget.memory_bytes)} of memory and {budget.cpus:g} CPUs for all services together"
    memory, cpus = applied.get("memory_limit_bytes"), applied.get("cpu_limit")
    if memory is None and cpus is None:
        return f"{words}; not read back"
    held = memory == budget.memory_bytes and cpus == budget.cpus
    return f"{words} ({result.resources.source} {budget.parent}, {'as read back' if held else 'NOT as read back'})"


def _times_word(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _services(result: StackResult) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    counted = any(service.killed or service.restarts for service in result.services.values())
    for heading in ("service", "state"):
        table.add_column(heading, no_wrap=True)
    for heading in ("CPU s", "of board", "held back", "memory peak", "limit", *(["killed", "restarts"] * counted)):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, service in result.services.items():
        limit = format_bytes(service.memory_limit_bytes) if service.memory_limit_bytes is not None else "-"
        counts = (str(service.killed or "-"), str(service.restarts or "-")) if counted else ()
        table.add_row(name, _state(service), *_used(service.resources), limit, *counts)
    counts = (str(result.resources.oom_kills or "-"), "") if counted else ()
    limit = format_bytes(result.budget.memory_bytes)
    table.add_row("the board", "", *_used(result.resources), limit, *counts, style="bold")
    return table


def _state(service: ServiceSection) -> str:
    if service.exit_code is not None:
        well = service.kind == "step" and service.exit_code == 0
        return f"done in {format_seconds(service.ran_s)}" if well else f"ended with {service.exit_code}"
    return service.health if service.health is not None else service.state


def _used(used: ResourcesSection) -> tuple[str, str, str, str]:
    seconds = f"{used.cpu_seconds:.2f}" if used.cpu_seconds is not None else "-"
    share = f"{used.cpu_percent_of_board:.0f} %" if used.cpu_percent_of_board is not None else "-"
    held_back = format_seconds(used.throttled_s) if used.throttled_s else "-"
    peak = format_bytes(used.memory_peak_bytes) if used.memory_peak_bytes is not None else "-"
    return seconds, share, held_back, peak


def _times(result: StackResult) -> Table:
    name = f"{result.execution} " if result.execution == "emulated" else ""
    scenario = result.scenario
    assert scenario is not None
    rate = f" at {scenario.qps:.4g} requests/s" if scenario.qps else ""
    clients = f", {scenario.clients} clients" if scenario.name == "single-stream" and scenario.clients > 1 else ""
    title = f"{name}time per request, ms: {scenario.name}{rate}{clients}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    for column in ("min", "mean", *PERCENTILES.values(), "max"):
        table.add_column(column, justify="right")
    table.add_row("latency", *_row(result.latency_ms))
    table.add_row("service time", *_row(result.service_time_ms))
    table.add_row("sent late by", *_row(result.lag_ms))
    return table


def _row(times: Distribution) -> list[str]:
    return [figure(times, name) for name in ("min", "mean", *PERCENTILES, "max")]


def _verdict(result: StackResult) -> Text:
    validity = result.validity
    doubts = [f"\n  {suspicion}" for suspicion in validity.suspicions]
    if not validity.valid:
        return Text.assemble(("INVALID", "bold red"), *(f"\n  {reason}" for reason in validity.reasons), *doubts)
    if validity.suspect:
        return Text.assemble(("VALID", "bold green"), (", but suspect", "bold yellow"), *doubts)
    return Text("VALID", style="bold green")
