"""The limits of a board as they were set, and as they were read back while the board ran."""

from collections.abc import Mapping
from typing import Any

from edgesim.boards import limit_probes
from edgesim.boards.board import Board
from edgesim.engine.container import OutsideFacts
from edgesim.host.limit_values import OF_CONTROL_GROUPS, LimitReading, LimitValues
from edgesim.results.sections.conditions import LimitSection

_SEEN_INSIDE = ("memory_bytes", "cpus")


def sections(board: Board, outside: OutsideFacts, inside: Mapping[str, Any]) -> tuple[LimitSection, ...]:
    """Return each limit as requested, as the kernel has it, and whether a probe has proven it on this host.

    Args:
        outside: what this host knew of the container.
        inside: what the server found inside the container.
    """
    if board.limits is None:
        return ()
    # Probes concern this host.
    proven = limit_probes.recorded(board.host.engine, board.limits) if board.host.context is None else {}
    enforced = _applied(outside, inside).by_name()
    return tuple(
        LimitSection(name=name, requested=value, applied=enforced[name], proven=proven.get(name))
        for name, value in board.limits.requested.by_name().items()
    )


def readings(board: Board, outside: OutsideFacts, inside: Mapping[str, Any]) -> list[LimitReading]:
    """Return the limits that decide whether a run is valid; a limit that is not seen inside may be there or not."""
    if board.limits is None:
        return []
    known = outside.limits_known
    requested, applied = board.limits.requested.by_name(), _applied(outside, inside).by_name()
    return [
        LimitReading(
            name=name,
            requested=value,
            applied=applied[name],
            read=known or applied[name] is not None or name in board.limits.refused,
        )
        for name in OF_CONTROL_GROUPS
        if (value := requested[name]) is not None and (known or name in (*_SEEN_INSIDE, *board.limits.refused))
    ]


def _applied(outside: OutsideFacts, inside: Mapping[str, Any]) -> LimitValues:
    """Return the limits as the kernel has them, or as far as the server finds them inside its container.

    The kernel of another machine is out of reach, and so is that of an engine in a virtual machine of this one.
    """
    if outside.limits_known:
        return outside.limits
    return LimitValues(memory_bytes=inside.get("memory_limit_bytes"), cpus=inside.get("cpu_limit"))
