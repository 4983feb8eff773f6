"""An emulator that hangs: it uses no CPU while a request waits. A slow emulator uses all the CPU that it gets.

On a busy host that may be hardly any: an emulator that waits for a CPU does not hang.
"""

from collections.abc import Sequence

from edgesim.boards.device import Device
from edgesim.errors import EmulatorCrashed
from edgesim.recording import Reading

# An emulator that makes progress uses more CPU, or reads more, than this within this time. An idle server uses
# neither, so readings count only while a request, or the start, waits for an answer.
HANG_S = 30.0
_LEAST_CORES = 0.1
# Of a device whose threads this host cannot see, as from within a container: one that waits for a CPU gets some.
_LEAST_CORES_UNSEEN = 0.005
_LEAST_READ_BYTES = 1 << 20
_LOOK_S = 1.0


def hangs(device: Device, readings: Sequence[Reading]) -> bool:
    """Return whether a device stands still, though this host would let it work."""
    if not stands_still(readings):
        return False
    is_busy = device.is_busy()
    return stands_still(readings, _LEAST_CORES_UNSEEN) if is_busy is None else not is_busy


def stands_still(readings: Sequence[Reading], least_cores: float = _LEAST_CORES) -> bool:
    """Return whether a device used less CPU, and read almost nothing, for the last `HANG_S` seconds."""
    if not readings:
        return False
    last = readings[-1]
    before = next((r for r in reversed(readings) if last.at_ns - r.at_ns >= HANG_S * 1e9), None)
    if before is None or last.cpu_seconds is None or before.cpu_seconds is None:
        return False
    seconds = (last.at_ns - before.at_ns) / 1e9
    read_bytes = (last.read_bytes or 0) - (before.read_bytes or 0)
    return last.cpu_seconds - before.cpu_seconds < least_cores * seconds and read_bytes < _LEAST_READ_BYTES


def error(device: Device, while_doing: str) -> EmulatorCrashed:
    """Return the error for an emulator that hangs, or for a device that another program has stopped."""
    still = f"it made no progress for {HANG_S:g} s while {while_doing}"
    if device.paused_s():
        return EmulatorCrashed(
            f"another program paused the board's container, or stopped its server by a signal: {still}",
            fix="leave the board's container alone while it is measured",
            log=device.log(),
        )
    return EmulatorCrashed(
        f"the emulator hangs, which says nothing about the model: {still}",
        fix="edgesim doctor shows whether a newer QEMU is available",
        log=device.log(),
    )


class Watch:
    """Looks at a device while a client waits for an answer, and ends the wait if the device hangs."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._readings: list[Reading] = []
        self._waited_s = 0.0

    def __call__(self, waited_s: float) -> None:
        """Look, if the last look is long enough ago.

        Args:
            waited_s: how long the client has waited. A smaller value than at the last look means another answer.

        Raises:
            EmulatorCrashed: the device has stood still for `HANG_S` of this wait.
        """
        if waited_s < self._waited_s:
            self._waited_s = 0.0
        # No look disturbs a shorter wait.
        if waited_s - self._waited_s < max(self._device.reading_interval_s, _LOOK_S):
            return
        self._waited_s = waited_s
        last = self._device.read()
        # Readings from before this wait do not count: the device may have had nothing to do then.
        self._readings = [each for each in self._readings if last.at_ns - each.at_ns < waited_s * 1e9] + [last]
        if hangs(self._device, self._readings):
            raise error(self._device, "a request waited for its answer")
