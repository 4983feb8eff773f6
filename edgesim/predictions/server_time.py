"""The server's time: what the server and its connection add to an inference, for one request over HTTP.

This time is of a served request, and not of the device time, which is that of one inference in a program.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from edgesim.predictions.cost import Machine
from edgesim.profiles import cores
from edgesim.profiles.cores import CoreFamily

# Clock cycles of a Cortex-A72 for a request that does nothing. benchmarks/overhead.py measures 128 µs for it on a core
# of an EPYC, at the client (docs/evidence/server.md). A Cortex-A72 at 1.8 GHz is taken to need four times as long:
# assumed, as no figure was published.
_CYCLES = 900_000
# Cycles for the same work, relative to a Cortex-A72, by 7-zip on four cores: 935 MIPS a GHz and core on a Raspberry Pi
# 4, 885 on a Jetson Nano, 640 on boards with Cortex-A53 (ThomasKaiser/sbc-bench at 02c3f9f3, Results.md). The widest
# cores are assumed to do a quarter more.
_RELATIVE_CYCLES: Mapping[CoreFamily, float] = {
    "in order": 1.4,
    "out of order, 128 bits": 1.0,
    "out of order, twice 128 bits": 0.8,
}
# The bytes of a request and of its answer are copied between the client, the kernel and the server.
_COPIES = 2
# The ends of the band are this many times as long and as short. Assumed.
_WIDTH = 2.0


def relative_cycles(core: str) -> float:
    """Return the clock cycles that branches and calls take on a core, relative to a Cortex-A72; 1 if unknown."""
    family = cores.family(core)
    return _RELATIVE_CYCLES[family] if family is not None else 1.0


@dataclass(frozen=True, kw_only=True)
class ServerTime:
    """The server's time of one request, in milliseconds, and its band."""

    p50_ms: float
    low_ms: float
    high_ms: float

    @classmethod
    def of(cls, machine: Machine, request_bytes: int) -> "ServerTime":
        """Predict the server's time.

        Args:
            request_bytes: of the inputs and the outputs together.
        """
        cycles = _CYCLES * relative_cycles(machine.core)
        p50_ms = 1e3 * (cycles / machine.clock_hz + _COPIES * request_bytes / machine.copy_bytes_per_s)
        return cls(p50_ms=p50_ms, low_ms=p50_ms / _WIDTH, high_ms=p50_ms * _WIDTH)
