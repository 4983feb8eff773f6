"""What a report says of a stack's result, in words: the same on a terminal, in Markdown and on a page."""

from collections.abc import Iterator

from edgesim.reports import phrases
from edgesim.reports.phrases import Fact
from edgesim.results.run_result import ResourcesSection
from edgesim.results.stack_result import ServiceSection, StackResult
from edgesim.units import format_bytes, format_seconds


def title(result: StackResult) -> str:
    """The stack and the board."""
    return f"{result.stack.name} on {phrases.board(result.profile)}"


def execution(result: StackResult) -> str:
    """How it was run, of how many services, and through which of them."""
    through = f", through {result.stack.entry}" if result.scenario is not None else ""
    count = len(result.services)
    return f"{result.execution}: {count} service{'s' if count != 1 else ''}{through}"


def facts(result: StackResult) -> Iterator[Fact]:
    """What all services had together, and what came of it."""
    budget = result.budget
    yield Fact("one budget", _budget(result))
    killed = {name: service for name, service in result.services.items() if service.killed}
    if killed:
        lead = ", ".join(f"{name} {phrases.times(service.killed)}" for name, service in killed.items())
        yield Fact("killed", "for want of memory", lead=lead)
    if budget.overcommit is not None:
        yield Fact("overcommitted", budget.overcommit)
    for shortfall in budget.shortfalls:
        yield Fact("not given", shortfall)
    if result.scenario is not None:
        rate = f", {result.throughput_qps:.4g} a second" if result.throughput_qps is not None else ""
        sent = f"{result.requests.ok} answered, {result.requests.failed} failed{rate}; {result.scenario.inputs}"
        yield Fact("requests", sent)
    if result.first_request_s is not None:
        yield Fact("first request", format_seconds(result.first_request_s))


def service_heads(result: StackResult) -> tuple[str, ...]:
    """Of the table of services; the first two are words."""
    counts = ("killed", "restarts") if _counted(result) else ()
    return ("service", "state", "CPU s", "of board", "held back", "memory peak", "limit", *counts)


def service_rows(result: StackResult) -> Iterator[tuple[str, ...]]:
    """Each service, and last the whole board."""
    counted = _counted(result)
    for name, service in result.services.items():
        counts = (str(service.killed or "-"), str(service.restarts or "-")) if counted else ()
        limit = format_bytes(service.memory_limit_bytes) if service.memory_limit_bytes is not None else "-"
        yield name, _state(service), *_used(service.resources), limit, *counts
    counts = (str(result.resources.oom_kills or "-"), "") if counted else ()
    yield "the board", "", *_used(result.resources), format_bytes(result.budget.memory_bytes), *counts


def _counted(result: StackResult) -> bool:
    return any(service.killed or service.restarts for service in result.services.values())


def _budget(result: StackResult) -> str:
    budget, applied = result.budget, result.budget.applied
    together = f"{format_bytes(budget.memory_bytes)} of memory and {budget.cpus:g} CPUs for all services together"
    memory, cpus = applied.get("memory_limit_bytes"), applied.get("cpu_limit")
    if memory is None and cpus is None:
        return f"{together}; not read back"
    held = memory == budget.memory_bytes and cpus == budget.cpus
    return f"{together} ({result.resources.source} {budget.parent}, {'as read back' if held else 'NOT as read back'})"


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
