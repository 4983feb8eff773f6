"""Records of a measurement: samples, readings of resources, and phases."""

from typing import Any, NamedTuple


class Sample(NamedTuple):
    """One measured request.

    Attributes:
        scheduled_ns, sent_ns, done_ns: nanoseconds of the monotonic clock; in a result, since the first request was
            scheduled.
        outcome: ``ok``, or in a few words why the request failed.
        step: which request of its sequence this is, from 1 on; None for a request that stands for itself.
    """

    scheduled_ns: int
    sent_ns: int
    done_ns: int
    outcome: str
    step: int | None = None

    @property
    def ok(self) -> bool:
        """Whether the request was answered."""
        return self.outcome == "ok"

    def since(self, origin_ns: int) -> "Sample":
        """Return the same sample on a clock that is 0 at `origin_ns`."""
        return self._replace(
            scheduled_ns=self.scheduled_ns - origin_ns,
            sent_ns=self.sent_ns - origin_ns,
            done_ns=self.done_ns - origin_ns,
        )

    @property
    def latency_ms(self) -> float:
        """The time from when the request was scheduled until it was answered: the time that a client waits."""
        return (self.done_ns - self.scheduled_ns) / 1e6

    @property
    def service_time_ms(self) -> float:
        """The time from when the request was sent until it was answered: the time that the server takes."""
        return (self.done_ns - self.sent_ns) / 1e6


class Reading(NamedTuple):
    """The device's resources at one moment. A value that this host does not report is None.

    Counters (CPU time, throttling, kills, periods, bytes read, written, received and sent) begin at the device's start.

    Attributes:
        at_ns: on the clock of the samples.
        memory_bytes: memory in use; part of it is anonymous memory of processes (`memory_anon_bytes`), part is the page
            cache (`memory_cache_bytes`).
        memory_peak_source: the file or the method that gave `memory_peak_bytes`.
        memory_unreclaimable_bytes: memory that the kernel cannot give back without swap: anonymous memory, files in
            memory (tmpfs), locked pages, and the kernel's own for these processes.
        periods: periods in which the kernel enforced the CPU quota.
        throttled_periods: periods in which the quota was used up.
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
    memory_unreclaimable_bytes: int | None = None

    def since(self, origin_ns: int) -> "Reading":
        """Return the same reading on a clock that is 0 at `origin_ns`."""
        return self._replace(at_ns=self.at_ns - origin_ns)


class Phase(NamedTuple):
    """A named part of a run, from `begin_ns` to `end_ns` on the clock of the samples."""

    name: str
    begin_ns: int
    end_ns: int

    def since(self, origin_ns: int) -> "Phase":
        """Return the same phase on a clock that is 0 at `origin_ns`."""
        return Phase(self.name, self.begin_ns - origin_ns, self.end_ns - origin_ns)


def as_row(record: Sample | Reading | Phase) -> dict[str, Any]:
    """Return a record as the result file has it; a request that stands for itself has no step there."""
    row = record._asdict()
    if row.get("step", 0) is None:
        del row["step"]
    return row
