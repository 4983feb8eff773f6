"""What is recorded while a run measures: requests, readings of resources, and what was going on when."""

from typing import NamedTuple


class Sample(NamedTuple):
    """One request, in nanoseconds of the monotonic clock; in a result, since the first request was scheduled.

    `outcome` is ``ok``, or in a few words why not.
    """

    scheduled_ns: int
    sent_ns: int
    done_ns: int
    outcome: str

    @property
    def ok(self) -> bool:
        return self.outcome == "ok"

    def since(self, origin_ns: int) -> "Sample":
        """The same sample on a clock that is 0 at `origin_ns`."""
        return Sample(self.scheduled_ns - origin_ns, self.sent_ns - origin_ns, self.done_ns - origin_ns, self.outcome)

    @property
    def latency_ms(self) -> float:
        """From when the request was due: what a client waits."""
        return (self.done_ns - self.scheduled_ns) / 1e6

    @property
    def service_time_ms(self) -> float:
        """From when it was sent: what the server takes."""
        return (self.done_ns - self.sent_ns) / 1e6


class Reading(NamedTuple):
    """The device's resources at one moment. None where this host does not tell.

    `at_ns` is on the samples' clock. Times, bytes moved, periods and kills count from the device's start;
    `memory_bytes` is in use, of which `memory_anon_bytes` belong to processes and `memory_cache_bytes` are files' pages
    that the kernel keeps; `memory_peak_source` names the file or the method. `periods` are those in which the CPU limit
    was looked at, `throttled_periods` those of them in which it bit.
    """

    at_ns: int
    cpu_seconds: float | None
    memory_bytes: int | None
    memory_peak_bytes: int | None = None
    memory_peak_source: str | None = None
    throttled_s: float | None = None
    oom_kills: int | None = None
    memory_anon_bytes: int | None = None
    memory_cache_bytes: int | None = None
    periods: int | None = None
    throttled_periods: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    received_bytes: int | None = None
    sent_bytes: int | None = None
    processes: int | None = None
    threads: int | None = None

    def since(self, origin_ns: int) -> "Reading":
        """The same reading on a clock that is 0 at `origin_ns`."""
        return self._replace(at_ns=self.at_ns - origin_ns)


class Phase(NamedTuple):
    """A part of the run, from `begin_ns` to `end_ns` on the samples' clock."""

    name: str
    begin_ns: int
    end_ns: int

    def since(self, origin_ns: int) -> "Phase":
        """The same phase on a clock that is 0 at `origin_ns`."""
        return Phase(self.name, self.begin_ns - origin_ns, self.end_ns - origin_ns)
