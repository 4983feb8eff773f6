"""The limits of a stack's service, as the tables of `edgesim up` and `edgesim stack` show them."""

from edgesim.stacks.resolve import ResolvedService
from edgesim.units import format_bytes


def own_limits(service: ResolvedService) -> tuple[str, str]:
    """Return a service's own limits of memory and CPUs; a dash where only the board's limit applies."""
    memory = format_bytes(service.memory_bytes) if service.spec.memory is not None else "-"
    return memory, f"{service.cpus:g}" if service.spec.cpus is not None else "-"
