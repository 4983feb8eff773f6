"""Readings of a service go on when its container is started again, and are missed when it has ended."""

from collections.abc import Mapping
from dataclasses import replace

from edgesim.engine.compose_project import ServiceState
from edgesim.host.cgroup import Cgroup
from edgesim.recording import Reading
from edgesim.stacks.monitor import ContinuedCounters, Monitor


def test_counters_go_on_when_a_container_is_started_again() -> None:
    continued = ContinuedCounters()
    readings = [Reading(i, cpu_seconds=cpu, memory_bytes=5, oom_kills=0) for i, cpu in enumerate([1.0, 2.5, 0.25, 0.5])]
    assert [continued(reading).cpu_seconds for reading in readings] == [1.0, 2.5, 2.75, 3.0]
    assert continued(readings[-1]).memory_bytes == 5


STATE = ServiceState(
    service="store",
    id="1",
    image="sha256:1",
    pid=1,
    status="running",
    exit_code=0,
    health=None,
    restarts=0,
    ran_s=1.0,
    ports={},
    address=None,
)


class FakeProject:
    """A project of one service, whose figures end with its process."""

    def __init__(self) -> None:
        self.state = STATE
        self.memory_bytes: int | None = 5

    def states(self) -> Mapping[str, ServiceState]:
        return {"store": self.state}

    def cgroup(self, state: ServiceState) -> Cgroup | None:
        return None

    def read(self, state: ServiceState) -> Reading:
        return Reading(0, cpu_seconds=None, memory_bytes=self.memory_bytes)


def test_a_service_without_figures_is_lost_until_a_look_says_that_it_has_ended() -> None:
    project = FakeProject()
    monitor = Monitor(project)  # type: ignore[arg-type] # all of a project that a monitor takes
    monitor.look()
    monitor.take()
    assert not monitor.lost
    project.memory_bytes, project.state = None, replace(STATE, status="exited", exit_code=137)
    monitor.take()
    assert monitor.lost
    assert monitor.look()["store"].exit_code == 137
    monitor.take()
    assert not monitor.lost, "a service that is known to have ended has no figures"


def test_the_state_of_a_service_that_has_ended_is_its_exit_code_and_not_its_last_health() -> None:
    assert replace(STATE, health="healthy").word == "healthy"
    assert replace(STATE, status="exited", exit_code=137, health="unhealthy").word == "exited (137)"
    assert replace(STATE, status="created", health="starting").word == "created"
