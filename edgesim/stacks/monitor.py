"""The services of a stack while they run: their states, and the resources of each and of all together."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

from edgesim.engine import api_stats
from edgesim.engine.compose_project import Project, ServiceState
from edgesim.host.cgroup import READING_INTERVAL_S, Cgroup
from edgesim.host.limit_values import LimitValues
from edgesim.host.owner import is_running
from edgesim.host.stops import StopsOf
from edgesim.recording import Phase, Reading

# Within this time the engine notices that a container's process has ended.
_NOTICED_S = 2.0
_POLL_S = 0.02
_COUNTERS = (
    "cpu_seconds",
    "throttled_s",
    "oom_kills",
    "periods",
    "throttled_periods",
    "read_bytes",
    "written_bytes",
    "received_bytes",
    "sent_bytes",
)


class Monitor:
    """Reads each service, and the control group above all services, ten times a second.

    The engine's API stands in, once a second, where the control groups are on another machine.

    Attributes:
        states: state of each service that has a container, as last read.
        readings: readings of each service, in the order of their times.
        board: readings of all services on the board together; empty if the engine is on another machine.
        source: where readings come from.
        lost: whether a service that was running has no more figures; the next look says whether it has ended.
    """

    def __init__(
        self,
        project: Project,
        parent: str,
        *,
        beside: Collection[str] = (),
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Read the services of a project.

        Args:
            parent: the control group above all services, by the engine's name for it.
            beside: the services beside the board, which are in no common control group.
        """
        self.states: Mapping[str, ServiceState] = {}
        self.readings: dict[str, list[Reading]] = {}
        self.board: list[Reading] = []
        self.phases: list[Phase] = []
        self.source = "the engine's API"
        self.lost = False
        self._project, self._parent, self._beside, self._clock = project, parent, frozenset(beside), clock
        self._groups: dict[str, tuple[int, Cgroup | None]] = {}  # /proc/PID ends with its process
        self._stops: dict[int, StopsOf] = {}
        self._above: Cgroup | None = None
        self._seen_here = False
        self._limits = LimitValues()
        self._continued: dict[str, ContinuedCounters] = {}
        self._stop = threading.Event()
        self._one_at_a_time = threading.Lock()
        self._thread = threading.Thread(target=self._keep_reading, name="edgesim-stack", daemon=True)

    def start(self) -> None:
        """Start reading; the group above, if a user's own systemd has it, is found with the first service in it."""
        self._read_above(Cgroup.named(self._parent))
        self._thread.start()

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def stopped_s(self) -> float:
        """The seconds in which a signal stopped the first process of a service, added up; none on another machine."""
        return sum(stops.seconds for stops in self._stops.values())

    @property
    def limits(self) -> LimitValues:
        """The limits of all services together, as the kernel enforces them; unknown on another machine."""
        return self._limits

    @property
    def limits_known(self) -> bool:
        """Whether the kernel was asked: a limit of `limits` that is None then does not exist, and is not unknown."""
        return self._above is not None or self._seen_here

    def look(self) -> Mapping[str, ServiceState]:
        """Read the states of all services; a new service is read from now on."""
        self.lost = False
        until = time.monotonic() + _NOTICED_S
        self.states = self._project.states()
        while self._is_behind() and time.monotonic() < until:
            time.sleep(_POLL_S)
            self.states = self._project.states()
        with self._one_at_a_time:
            for name, state in self.states.items():
                if not state.running:
                    self._groups.pop(name, None)
                    continue
                pid, _ = self._groups.get(name, (0, None))
                if pid == state.pid:
                    continue
                group = self._project.cgroup(state)
                self._groups[name] = state.pid, group
                if group is not None and self._above is None and name not in self._beside:
                    self._seen_here = True
                    self._read_above(group.above(self._parent))
        return self.states

    def _is_behind(self) -> bool:
        """Return whether the engine has not noticed yet that a process has ended whose control group this host had."""
        known = {name: pid for name, (pid, group) in self._groups.items() if group is not None}
        return any(
            state.status == "running" and known.get(name) == state.pid and not is_running(state.pid)
            for name, state in self.states.items()
        )

    def _read_above(self, above: Cgroup | None) -> None:
        if above is not None:
            self._above, self.source, self._limits = above, f"cgroup v{above.version}", above.limits()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Record the block as a phase, however the block ends."""
        self.take()
        begin_ns = self._clock()
        try:
            yield
        finally:
            self.phases.append(Phase(name, begin_ns, self._clock()))
            self.take()

    def take(self) -> None:
        """Take one reading of each service now."""
        with self._one_at_a_time:
            for name, (pid, group) in self._groups.items():
                if group is not None:
                    self._stops.setdefault(pid, StopsOf(pid)).look()
                reading = group.read() if group is not None else self._read_through_the_engine(name)
                if reading is None or reading.memory_bytes is None:  # the service has ended
                    self.lost = True
                else:
                    continued = self._continued.setdefault(name, ContinuedCounters())
                    self.readings.setdefault(name, []).append(continued(reading))
            if self._above is not None and (reading := self._above.read()).memory_bytes is not None:
                self.board.append(reading)

    def _read_through_the_engine(self, name: str) -> Reading | None:
        """Read a service through the engine; None if this host had its control group, which is gone."""
        state = self.states.get(name)
        return self._project.read(state) if self._above is None and state is not None else None

    def _keep_reading(self) -> None:
        while not self._stop.wait(READING_INTERVAL_S if self._above is not None else api_stats.READING_INTERVAL_S):
            self.take()


class ContinuedCounters:
    """Counters that continue when a restarted container begins to count at 0."""

    def __init__(self) -> None:
        self._last: Reading | None = None
        self._before: dict[str, float] = {}

    def __call__(self, reading: Reading) -> Reading:
        last, self._last = self._last, reading
        if last is not None and (reading.cpu_seconds or 0.0) < (last.cpu_seconds or 0.0):
            for name in _COUNTERS:
                self._before[name] = self._before.get(name, 0) + (getattr(last, name) or 0)
        if not self._before:
            return reading
        changes = {name: getattr(reading, name) for name in _COUNTERS}
        return reading._replace(
            **{name: value + self._before[name] for name, value in changes.items() if value is not None}
        )
