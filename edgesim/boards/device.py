"""What runs a board's server: a container (`edgesim.engine.container`) or a process (`edgesim.boards.local_device`)."""

from typing import Protocol

from edgesim.engine.container import OutsideFacts, State
from edgesim.host.cpu_quota import CpuQuota
from edgesim.recording import Reading


class Device(Protocol):
    """A running server within a board's limits.

    Attributes:
        start_s: seconds from create to start; None if the device does both in one step.
    """

    start_s: float | None

    @property
    def url(self) -> str:
        """The server's URL, e.g. ``http://127.0.0.1:49153``."""

    @property
    def grpc_address(self) -> str | None:
        """The address where the server answers gRPC, e.g. ``127.0.0.1:49154``; None if it does not."""

    @property
    def direct_url(self) -> str:
        """The server's URL for measuring: without the engine's proxy, if this host can reach the server without it."""

    @property
    def direct_grpc_address(self) -> str | None:
        """The same of gRPC: an address, without a scheme; None if the server does not answer gRPC."""

    @property
    def source(self) -> str:
        """The source of the readings, such as ``cgroup v2``."""

    @property
    def reading_interval_s(self) -> float:
        """The shortest interval between readings that does not disturb the measurement."""

    def state(self) -> State:
        """Return whether the server runs or how it ended."""

    def paused_s(self) -> float:
        """Return the seconds since the start in which another program paused the device, or stopped its server.

        A stop by a signal is seen between readings, and on this host alone.
        """

    def log(self, lines: int = 20) -> str:
        """Return the last lines that the server printed."""

    def from_outside(self) -> OutsideFacts:
        """Return architecture and limits as this host sees them, for a server that does not report its own view."""

    def read(self) -> Reading:
        """Return the device's resources now, `at_ns` on `time.monotonic_ns`."""

    def is_busy(self) -> bool | None:
        """Return whether a thread of the server runs, or waits for a CPU or the disk; None if this host cannot see."""


class ScalableDevice(Device, Protocol):
    """A device whose CPU limit can be changed while it runs, as time scaling needs."""

    def limit_cpu(self, quota: CpuQuota) -> None:
        """Change the CPU limit."""
