"""The wording of a report on a stack: the same on a terminal, in Markdown and on a page."""

import math
from collections.abc import Iterator

from edgesim.reports import phrases
from edgesim.reports.phrases import Fact
from edgesim.results.stack_result import StackResult
from edgesim.units import format_bytes, format_seconds

# The kernel keeps memory in pages, and CPU time in whole microseconds of a period.
_ROUNDING = 0.01


def title(result: StackResult) -> str:
    """Return the stack and the board."""
    return f"{result.stack.name} on {phrases.board(result.profile)}"


def execution(result: StackResult) -> str:
    """Return the execution, the number of services on and beside the board, and the one that the requests went to."""
    entry = f", requests to {result.stack.entry}" if result.scenario is not None else ""
    count = len(result.on_board)
    beside = f", {len(result.beside)} beside the board" if result.beside else ""
    whose = ", this host's time" if result.time_origin == "host" else ""
    return f"{result.execution}{whose}: {count} service{'s' if count != 1 else ''}{beside}{entry}"


def facts(result: StackResult) -> Iterator[Fact]:
    """Yield the limits that all services share, and what the kernel enforced."""
    budget = result.budget
    if (of_the_board := phrases.compared(result)) is not None:
        yield of_the_board
    yield Fact("shared limits", _shared_limits(result))
    killed = {name: service for name, service in result.services.items() if service.killed}
    if killed:
        lead = ", ".join(f"{name} {phrases.times(service.killed)}" for name, service in killed.items())
        yield Fact("killed", "by the kernel: out of memory", lead=lead)
    if budget.overcommit is not None:
        yield Fact("overcommitted", budget.overcommit)
    for shortfall in budget.shortfalls:
        yield Fact("shortfall", shortfall)
    if result.scenario is not None:
        rate = f", {result.throughput_qps:.4g} per second" if result.throughput_qps is not None else ""
        sent = f"{result.requests.ok} answered, {result.requests.failed} failed{rate}; {result.scenario.inputs}"
        yield Fact("requests", sent)
    if result.first_request_s is not None:
        yield Fact("first request", format_seconds(result.first_request_s))


def _shared_limits(result: StackResult) -> str:
    budget, applied = result.budget, result.budget.applied
    whose = "all services on the board" if result.beside else "all services"
    limits = f"{format_bytes(budget.memory_bytes)} of memory and {budget.cpus:g} CPUs for {whose} together"
    memory, cpus = applied.get("memory_limit_bytes"), applied.get("cpu_limit")
    if memory is None and cpus is None:
        return f"{limits}; not read back"
    pairs = ((budget.memory_bytes, memory), (budget.cpus, cpus))
    confirmed = all(held is not None and math.isclose(held, set_, rel_tol=_ROUNDING) for set_, held in pairs)
    return (
        f"{limits} ({result.resources.source} {budget.parent}, {'as read back' if confirmed else 'NOT as read back'})"
    )
