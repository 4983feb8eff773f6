"""Find out which service of a stack has failed, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgesim.boards.readiness import emulator_crash, signal_words
from edgesim.engine.compose_project import ServiceState
from edgesim.errors import DeviceError, OutOfMemory, ServiceFailed
from edgesim.stacks import known_needs
from edgesim.stacks.resolve import Resolved, ResolvedService
from edgesim.units import format_bytes, format_seconds

# The engine restarts a dying service for ever: this many restarts are a failure.
_MOST_RESTARTS = 3
# A memory peak above this share of the limit means that the limit was reached when something was killed.
_AT_LIMIT = 0.95


def failed_service(resolved: Resolved, states: Mapping[str, ServiceState]) -> str | None:
    """Return the first service, in the order of their starts, that has failed; None if none has."""
    return next((name for name in resolved.stack.order if name in states and _has_failed(resolved, states[name])), None)


def _has_failed(resolved: Resolved, state: ServiceState) -> bool:
    service = resolved.services[state.service].spec
    if state.ended:
        return not service.once or state.exit_code != 0
    restarted_forever = service.restart in ("always", "on-failure")
    if restarted_forever and state.restarts >= _MOST_RESTARTS and state.health != "healthy":
        return True
    return state.running and state.health == "unhealthy"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of a service that has failed.

    Attributes:
        log: the end of what the service printed.
        killed: whether the kernel killed one of its processes for lack of memory.
        board_memory_peak_bytes: the memory peak of all services together.
        volumes: the volumes that keep what the service wrote.
        not_started: the services that did not start because this one failed.
    """

    log: str
    killed: bool
    board_memory_peak_bytes: int
    volumes: Sequence[str] = ()
    not_started: Sequence[str] = ()


def failure(resolved: Resolved, state: ServiceState, evidence: Evidence) -> DeviceError:
    """Return the error for a service that has failed; the error names the service."""
    service = resolved.services[state.service]
    what = f"{'step' if service.spec.once else 'service'} {service.name}"
    behind = f"; not started: {', '.join(evidence.not_started)}" if evidence.not_started else ""
    if evidence.killed:
        emulated = ", which the emulator's own memory counts against" if service.execution == "emulated" else ""
        fix = "give the services less memory together, or choose a board with more: edgesim profiles list"
        error = OutOfMemory(
            f"{what} was killed for lack of memory at {_limit(resolved, service, evidence)}{emulated}{behind}",
            fix=f"give {service.name} more memory" if service.spec.beside else fix,
            log=evidence.log,
        )
        error.emulated = bool(emulated)
        return error
    if crash := emulator_crash(evidence.log):
        return type(crash)(f"{what}: {crash.problem}{behind}", fix=crash.fix, log=evidence.log)
    known = known_needs.fixes(evidence.log)
    if state.ended:
        words = f"{what} ended with exit code {state.exit_code} after {format_seconds(state.ran_s)}"
        words += signal_words(state.exit_code)
        hint = "a step, which is expected to end, has `once: true`" if state.exit_code == 0 else ""
        output = f"its output is in volume {', '.join(evidence.volumes)}" if evidence.volumes else ""
        fix = "; ".join(filter(None, [*known, hint, output]))
        ended = ServiceFailed(f"{words}{behind}", fix=fix, log=evidence.log)
        if service.spec.beside and service.spec.once and state.exit_code > 0:
            ended.exit_code = state.exit_code  # no device failed; a step may be a gate, whose verdict this is
        return ended
    if state.health == "unhealthy":
        words = f"{what}: its health check fails repeatedly"
    else:
        words = f"{what} dies repeatedly: {state.restarts} restarts so far"
    return ServiceFailed(f"{words}{behind}", fix="; ".join(known), log=evidence.log)


def _limit(resolved: Resolved, service: ResolvedService, evidence: Evidence) -> str:
    """Return in words whose memory limit was reached: the service's own, or the board's.

    The board's control group still exists and has the peak of all services; the service's group is gone, and the
    service may have taken all its memory after its last reading.
    """
    own_bytes, board_bytes = service.memory_bytes, resolved.limits.memory_bytes
    if service.spec.beside:
        return f"its own limit of {format_bytes(own_bytes)}" if service.spec.memory is not None else "this host's limit"
    if own_bytes < board_bytes and evidence.board_memory_peak_bytes < _AT_LIMIT * board_bytes:
        return f"its own limit of {format_bytes(own_bytes)}"
    return f"the board's limit of {format_bytes(board_bytes)}, which all services share"
