"""What a device is to the rest of edgesim, whatever runs it."""

from typing import Protocol

from edgesim.engine.container import OutsideFacts, State
from edgesim.recording import Reading


class Device(Protocol):
    """A running server within a board's limits.

    `start_s` is how long it took to be started, once it was made; None where
    that is one.
    """

    start_s: float | None

    @property
    def url(self) -> str:
        """Where the server answers, e.g. ``http://127.0.0.1:49153``."""

    @property
    def direct_url(self) -> str:
        """The shortest way to the server from this host, for measuring: past the engine's proxy where it can be."""

    @property
    def source(self) -> str:
        """Where readings come from."""

    @property
    def reading_interval_s(self) -> float:
        """How often it can be read without disturbing what is measured."""

    def state(self) -> State: ...

    def log(self, lines: int = 20) -> str:
        """The end of what the server printed."""

    def from_outside(self) -> OutsideFacts:
        """Architecture and limits as this host has them, for a server that does not tell what it finds inside."""

    def read(self) -> Reading:
        """The device's resources now, `at_ns` on `time.monotonic_ns`."""
