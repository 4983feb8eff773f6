"""Readings of a service go on when its container is started again."""

from edgesim.recording import Reading
from edgesim.stacks.monitor import ContinuedCounters


def test_counters_go_on_when_a_container_is_started_again() -> None:
    continued = ContinuedCounters()
    readings = [Reading(i, cpu_seconds=cpu, memory_bytes=5, oom_kills=0) for i, cpu in enumerate([1.0, 2.5, 0.25, 0.5])]
    assert [continued(reading).cpu_seconds for reading in readings] == [1.0, 2.5, 2.75, 3.0]
    assert continued(readings[-1]).memory_bytes == 5
