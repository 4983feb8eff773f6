"""Which service of a stack has failed, and why."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edgesim.boards.readiness import emulator_crash
from edgesim.engine.compose_project import ServiceState
from edgesim.errors import DeviceError, OutOfMemory, ServiceFailed
from edgesim.stacks.resolve import Resolved
from edgesim.units import format_bytes, format_seconds

if TYPE_CHECKING:
    from edgesim.stacks.up import Running

# A service that dies again and again is started again for ever; so often is enough to know.
_MOST_RESTARTS = 3
# A group's memory has been at its limit when something was killed there.
_AT_LIMIT = 0.95


def failed_service(resolved: Resolved, states: Mapping[str, ServiceState]) -> str | None:
    """The first service, in the order of their starts, that will not come to what was expected of it."""
    return next((name for name in resolved.stack.order if name in states and _has_failed(resolved, states[name])), None)


def _has_failed(resolved: Resolved, state: ServiceState) -> bool:
    service = resolved.parts[state.service].service
    if state.ended:
        return not service.once or state.exit_code != 0
    without_end = service.restart in ("always", "on-failure")
    if without_end and state.restarts >= _MOST_RESTARTS and state.health != "healthy":
        return True
    return state.running and state.health == "unhealthy"


def failure(running: "Running", name: str, *, not_started: Sequence[str] = ()) -> DeviceError:
    """The error for a service that has failed, which names it; `not_started` are those that it kept from starting."""
    state, part = running.watch.states[name], running.resolved.parts[name]
    what = "step" if part.service.once else "service"
    log = running.log(name)
    behind = f"; not started: {', '.join(not_started)}" if not_started else ""
    if name in running.killed():
        limit = _limit(running, name)
        return OutOfMemory(
            f"{what} {name} was killed for want of memory at {limit}{behind}",
            fix="less memory for the services together, or a board with more: edgesim profiles list",
            log=log,
        )
    if crash := emulator_crash(log):
        return type(crash)(f"{what} {name}: {crash.problem}{behind}", fix=crash.fix, log=log)
    if state.ended:
        kept = running.project.volumes() if part.service.once and not running.naming.any_port else []
        words = f"{what} {name} ended with exit code {state.exit_code} after {format_seconds(state.ran_s)}"
        hint = "a step, which is expected to end, has `once: true`" if state.exit_code == 0 else ""
        where = f"what it wrote is in volume {', '.join(kept)}" if kept else ""
        return ServiceFailed(f"{words}{behind}", fix="; ".join(filter(None, [hint, where])), log=log)
    if state.health == "unhealthy":
        return ServiceFailed(f"{what} {name}: its check says again and again that it is not well{behind}", log=log)
    return ServiceFailed(f"{what} {name} dies again and again: {state.restarts} restarts so far{behind}", log=log)


def _limit(running: "Running", name: str) -> str:
    """Whose limit it was. The board's group is still there, and knows whether all together had come to its own.

    The service's group went with it, and it may have taken all its memory since it was last looked at.
    """
    own, board = running.resolved.parts[name].memory_bytes, running.resolved.budget.memory_bytes
    running.watch.take()
    together = max((reading.memory_peak_bytes or 0 for reading in running.watch.board), default=0)
    if own < board and together < _AT_LIMIT * board:
        return f"its own limit of {format_bytes(own)}"
    return f"the board's limit of {format_bytes(board)}, which all services share"
