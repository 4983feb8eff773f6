"""Waiting for a server: until it is ready, and not a moment longer once it cannot be any more."""

import http.client
import signal
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from edgesim.boards import hang
from edgesim.boards.device import Device
from edgesim.engine.container import State
from edgesim.errors import DeviceDied, DeviceError, EmulatorCrashed, IllegalInstruction, NotReady, OutOfMemory
from edgesim.models.repository import Model
from edgesim.recording import Reading
from edgesim.units import format_bytes, format_seconds

_POLL_S = 0.05
_LOOK_EVERY_S = 1.0
# QEMU's own words when a signal kills what it emulates; a container may hang instead of ending then.
_EMULATOR_CRASH = "qemu: uncaught target signal"


def wait(
    device: Device,
    path: str,
    *,
    explain_death: Callable[[State], DeviceError],
    timeout_s: float,
    emulated: bool = False,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    ask: Callable[[str], bool] | None = None,
) -> float:
    """Wait until ``GET path`` is answered with 200; return how long that took, in seconds.

    Raises:
        DeviceError: as `explain_death` makes it, at once when the server's process has ended.
        IllegalInstruction, EmulatorCrashed: the emulator said so, whether or not it ended then, or it hangs.
        NotReady: `timeout_s` have passed.
    """
    answers = ask if ask is not None else _answers
    begun = clock()
    looked_at = begun
    readings: list[Reading] = []
    while True:
        state = device.state()
        if not state.running:
            raise explain_death(state)
        if answers(device.url + path):
            return clock() - begun
        now = clock()
        if now - looked_at >= _LOOK_EVERY_S:
            looked_at = now
            if crash := emulator_crash(device.log()):
                raise crash
            readings.append(device.read()._replace(at_ns=round(now * 1e9)))
            if emulated and hang.stands_still(readings):
                raise hang.error(device.log(), "loading the model")
        if now - begun > timeout_s:
            raise NotReady(
                f"the server was not ready within {format_seconds(timeout_s)}",
                fix="give it longer with --ready-timeout",
                log=device.log(),
            )
        sleep(_POLL_S)


def _answers(url: str) -> bool:
    # No pool of connections here: a Ctrl-C at the wrong moment leaves its locks locked.
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=2.0)
    try:
        connection.request("GET", address.path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def emulator_crash(log: str) -> DeviceDied | None:
    """The error for a log that holds the emulator's last words; None when it does not.

    SIGILL is no crash of the emulator's: the core that it is has not got the instruction.
    """
    for line in log.splitlines():
        if f"{_EMULATOR_CRASH} {signal.SIGILL.value} " in line:
            told = next((line for line in log.splitlines() if line.startswith("illegal instruction")), line.strip())
            return IllegalInstruction(
                f"it would die on the board, too: {told}",
                fix="build it for the board's core, or choose a board that has the instruction: edgesim profiles show",
                log=log,
            )
        if _EMULATOR_CRASH in line:
            return EmulatorCrashed(
                f"the emulator crashed, which says nothing about the model: {line.strip()}",
                fix="edgesim doctor tells whether a newer QEMU is at hand",
                log=log,
            )
    return None


def death(state: State, log: str, *, model: Model, memory_limit_bytes: int | None, while_doing: str) -> DeviceError:
    """The error for a server that ended by itself: out of memory with the figures, or its exit code and log."""
    if state.out_of_memory:
        limit = format_bytes(memory_limit_bytes) if memory_limit_bytes else "unknown size"
        return OutOfMemory(
            f"model {model.name} ({format_bytes(model.size_bytes)} on disk) does not fit: "
            f"killed at the board's memory limit of {limit} while {while_doing}",
            fix="a smaller or quantized model, or a board with more memory: edgesim profiles list",
            log=log,
        )
    if crash := emulator_crash(log):
        return crash
    return DeviceDied(f"the server ended with exit code {state.exit_code} while {while_doing}", log=log)
