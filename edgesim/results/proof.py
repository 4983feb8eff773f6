"""Whose times a result has: the board's, or this host's.

An older edgesim called every host of the board's architecture the board (``native``), and its time the board's measured
time. The file of such a run is read as what it is: a run on a host of the board's architecture, with that host's
time.
"""

from collections.abc import Mapping
from typing import Any, Literal

from edgesim.options import Execution
from edgesim.results.sections import HOST_CORE

# What the times of a run's requests are: the board's own; those of a host that was slowed down to the board's predicted
# time; those of a host as it is; or an emulator's.
TimeOrigin = Literal["board", "slowed down host", "host", "emulator"]

# A context for reading a file as it was written.
AS_WRITTEN = {"as_written": True}
# The profile of an older edgesim that stood for its host's own speed, without saying so in a field.
_GATEWAY = "x86-gateway"


def time_origin(execution: Execution, *, slowed_down: bool, has_core_of_host: bool) -> TimeOrigin:
    """Return what the times of a run are.

    Args:
        slowed_down: whether time scaling was in force.
        has_core_of_host: whether the profile has the core of its host, and so no time of its own.
    """
    if execution == "emulated":
        return "emulator"
    if execution == "scaled" or slowed_down:
        return "slowed down host"
    return "board" if execution == "native" and not has_core_of_host else "host"


def without_false_proof(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a result file without the claim that the host was the board, unless the file has the proof.

    The facts of a profile that has the core of its host stay: its time is called the host's.
    """
    host, profile = facts.get("host"), facts.get("profile")
    changed = dict(facts)
    if facts.get("execution") != "native" or not isinstance(host, Mapping) or not isinstance(profile, Mapping):
        return changed
    if host.get("is_the_board") is True or profile.get("core") == HOST_CORE:
        return changed
    changed["host"] = {**host, "same_architecture": True, "is_the_board": False}
    time = facts.get("device_time_ms")
    time = dict(time) if isinstance(time, Mapping) else {}
    if profile.get("core") is None and profile.get("name") == _GATEWAY:
        changed["profile"] = {**profile, "core": HOST_CORE}
        if time:
            method = "this host's time, not a board's: x86-gateway has the core of its host, minimum to maximum"
            changed["device_time_ms"] = {**time, "method": method}
        return changed
    changed["execution"] = "same-architecture"
    if time:
        p50 = time.get("p50")
        # A file can have any number, also one that is none of the machine's.
        words = f"; {p50:.4g} ms is that host's time" if isinstance(p50, float | int) and 0 <= p50 < 1e12 else ""
        method = f"none: the file does not show that the host was the board{words}"
        changed["device_time_ms"] = {**time, "p50": None, "low": None, "high": None, "method": method}
        changed["energy_j"] = None
    return changed
