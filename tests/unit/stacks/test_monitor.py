"""Readings of a service go on when its container is started again, and are missed when it has ended."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from edgesim.engine.compose_project import ServiceState
from edgesim.host.cgroup import Cgroup
from edgesim.host.limit_values import LimitValues
from edgesim.recording import Reading
from edgesim.stacks.monitor import ContinuedCounters, Monitor
from edgesim.stacks.stack_result_builder import limit_readings


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
    monitor = Monitor(project, "/edgesim/shop")  # type: ignore[arg-type] # all of a project that a monitor takes
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


def running_in(group: Path, parent: str) -> Any:
    """A stack whose service `store` has that control group, under a board of 1 MiB."""
    project: Any = FakeProject()
    project.cgroup = lambda _: Cgroup(version=2, memory=group, cpu=group, cpuacct=group, pids=group)
    monitor = Monitor(project, parent)
    monitor.look()
    limits = SimpleNamespace(requested=LimitValues(memory_bytes=1 << 20, cpus=2, processes=64))
    return SimpleNamespace(monitor=monitor, resolved=SimpleNamespace(limits=limits))


def test_limits_of_all_services_are_those_of_the_group_above_them_however_deep_podman_makes_theirs(
    tmp_path: Path,
) -> None:
    above = tmp_path / "edgesim.slice/edgesim-shop.slice"
    above.mkdir(parents=True)
    for name, text in (("memory.max", str(1 << 20)), ("cpu.max", "20000 10000"), ("pids.max", "64")):
        (above / name).write_text(text)
    found = limit_readings(running_in(above / "libpod-1.scope/container", "edgesim-shop.slice"))
    assert [(limit.name, limit.applied) for limit in found] == [
        ("memory_bytes", 1 << 20),
        ("cpus", 2.0),
        ("processes", 64),
    ]


def test_services_in_another_group_than_they_were_to_be_in_have_no_limits_together(tmp_path: Path) -> None:
    found = limit_readings(running_in(tmp_path / "user.slice/libpod-1.scope/container", "edgesim-shop.slice"))
    assert [limit.is_lost for limit in found] == [True, True, True]


def test_limits_of_an_engine_on_another_machine_are_not_judged() -> None:
    monitor = Monitor(FakeProject(), "/edgesim/shop")  # type: ignore[arg-type] # all of a project that a monitor takes
    monitor.look()
    running: Any = SimpleNamespace(monitor=monitor)
    assert limit_readings(running) == ()
