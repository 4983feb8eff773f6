"""Waiting for a server until it is ready, or until it cannot become ready any more; and why it died."""

import http.client
import signal
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from edgesim.boards import hang
from edgesim.boards.device import Device
from edgesim.engine.container import State
from edgesim.errors import (
    DeviceDied,
    DeviceError,
    EmulatorCrashed,
    IllegalInstruction,
    KilledFromOutside,
    NotReady,
    OutOfMemory,
)
from edgesim.models import locales
from edgesim.models.repository import Model
from edgesim.recording import Reading
from edgesim.units import format_bytes, format_seconds

_POLL_S = 0.05
_LOOK_EVERY_S = 1.0
_ANSWER_S = 2.0
# QEMU prints this when a signal kills the emulated program; the container may hang then instead of ending.
_EMULATOR_CRASH = "qemu: uncaught target signal"

# A server sends itself none of these signals.
# Linux' SIGHUP, SIGINT, SIGKILL and SIGTERM, whatever system edgesim runs on.
_FROM_OUTSIDE = (1, 2, 9, 15)


def wait(
    device: Device,
    path: str,
    *,
    explain_death: Callable[[State], DeviceError],
    timeout_s: float,
    emulated: bool = False,
    readings: list[Reading] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    ask: Callable[[str], bool] | None = None,
) -> float:
    """Wait until ``GET path`` is answered with 200; return how long that took, in seconds.

    Args:
        explain_death: makes the error for a server that has ended.
        emulated: whether to look for an emulator that hangs.
        readings: gets the readings of the device meanwhile.
        ask: sends the request and returns whether the server is ready; None means by HTTP's 200.

    Raises:
        DeviceError: the server's process has ended; raised at once.
        IllegalInstruction, EmulatorCrashed: the emulator reported it, whether or not it ended; or it hangs.
        NotReady: `timeout_s` have passed.
    """
    answers = ask if ask is not None else _answers
    begin_s = clock()
    looked_s = read_s = begin_s
    readings = readings if readings is not None else []
    while True:
        state = device.state()
        if not state.running:
            raise explain_death(state)
        if answers(device.url + path):
            return clock() - begin_s
        now = clock()
        if now - read_s >= device.reading_interval_s:
            read_s = now
            readings.append(device.read()._replace(at_ns=round(now * 1e9)))
        if now - looked_s >= _LOOK_EVERY_S:
            looked_s = now
            if crash := emulator_crash(device.log()):
                raise crash
            if emulated and hang.hangs(device, readings):
                raise hang.error(device, "loading the model")
        if now - begin_s > timeout_s:
            raise NotReady(
                f"the server was not ready within {format_seconds(timeout_s)}",
                fix="raise `ready_timeout_s`",
                log=device.log(),
            )
        sleep(_POLL_S)


def over_grpc(device: Device) -> Callable[[str], bool]:
    """Return what asks a server over gRPC whether it is ready, for `wait`."""
    from edgesim.loadgen import grpc_calls  # grpcio is an extra, and takes start-up time

    address = device.grpc_address
    return lambda _: address is not None and grpc_calls.is_ready(address, _ANSWER_S)


def _answers(url: str) -> bool:
    # No connection pool: Ctrl-C at the wrong moment would leave its locks locked.
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_ANSWER_S)
    try:
        connection.request("GET", address.path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def emulator_crash(log: str) -> DeviceDied | None:
    """Return the error for a log in which the emulator reports a signal; None for any other log.

    SIGILL is not a crash of the emulator: the emulated core does not have the instruction.
    """
    for line in log.splitlines():
        if f"{_EMULATOR_CRASH} {signal.SIGILL.value} " in line:
            instruction = next(
                (line for line in log.splitlines() if line.startswith("illegal instruction")), line.strip()
            )
            return IllegalInstruction(
                f"it would die on the board, too: {instruction}",
                fix="build it for the board's core, or choose a board that has the instruction: edgesim profiles show",
                log=log,
            )
        if _EMULATOR_CRASH in line:
            return EmulatorCrashed(
                f"the emulator crashed, which says nothing about the model: {line.strip()}",
                fix="edgesim doctor shows whether a newer QEMU is available",
                log=log,
            )
    return None


def death(
    state: State, log: str, *, model: Model, memory_limit_bytes: int | None, while_doing: str, emulated: bool = False
) -> DeviceError:
    """Return the error for a server that ended by itself: out of memory with the sizes, or exit code and log."""
    if state.out_of_memory:
        return _out_of_memory(log, model, memory_limit_bytes, while_doing, emulated=emulated)
    if crash := emulator_crash(log):
        return crash
    if (locale := locales.missing(log)) is not None:
        return DeviceDied(
            f"the serving image lacks the locale {locale}, which model {model.name} needs; the model is not at fault",
            fix="set `base_image` to an image that has this locale: in Debian, install the package locales-all",
            log=log,
        )
    kind = KilledFromOutside if ending_signal(state.exit_code) in _FROM_OUTSIDE else DeviceDied
    words = f"the server ended with exit code {state.exit_code} while {while_doing}{signal_words(state.exit_code)}"
    return kind(words, log=log)


def _out_of_memory(
    log: str, model: Model, memory_limit_bytes: int | None, while_doing: str, *, emulated: bool
) -> OutOfMemory:
    size = f"model {model.name} ({format_bytes(model.size_bytes)} on disk)"
    limit = format_bytes(memory_limit_bytes) if memory_limit_bytes else "unknown size"
    killed = f"killed at the board's memory limit of {limit} while {while_doing}"
    if not emulated:
        return OutOfMemory(
            f"{size} does not fit: {killed}",
            fix="use a smaller or quantized model, or a board with more memory: edgesim profiles list",
            log=log,
        )
    error = OutOfMemory(
        f"{size} does not fit into memory together with the emulator: {killed}, which includes the emulator's"
        " own memory; whether the model fits without the emulator is unknown",
        fix="run edgesim check, which gives the emulator additional memory; or use a smaller or quantized model",
        log=log,
    )
    error.emulated = True
    return error


def ending_signal(code: int | None) -> signal.Signals | None:
    """Return the signal that ended a program; None if none did.

    An engine and a shell add 128 to a signal's number, and Python gives the number as negative.
    """
    number = -code if code is not None and code < 0 else (code or 0) - 128
    return signal.Signals(number) if number in {each.value for each in signal.Signals} else None


def signal_words(code: int | None) -> str:
    """Return ``: `` and the signal that ended a program which reached no memory limit; empty if none did."""
    number = ending_signal(code)
    if number is None:
        return ""
    if number != signal.SIGKILL:
        return f": by {number.name}"
    return (
        f": by {number.name}, with no sign of a memory limit; another program killed it, or this host ran out of memory"
    )
