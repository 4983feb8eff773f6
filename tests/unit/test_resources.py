"""Resources: what was used in the load, what was largest, and what nobody tells."""

import time
from dataclasses import asdict

import pytest

from edgesim.host import host_load
from edgesim.measure import resource_usage
from edgesim.measure.resource_usage import Recorder
from edgesim.recording import Phase, Reading

S = 1_000_000_000
LOAD = [Phase("load", 1 * S, 3 * S)]


def test_what_was_used_is_what_the_load_used_and_not_what_came_before_or_after() -> None:
    readings = [
        Reading(0 * S, 1.0, 100, throttled_s=0.0, read_bytes=0),
        Reading(1 * S, 10.0, 100, throttled_s=1.0, read_bytes=10),
        Reading(2 * S, 11.0, 300, throttled_s=1.2, read_bytes=30),
        Reading(3 * S, 13.0, 120, throttled_s=1.5, read_bytes=50),
        Reading(4 * S, 99.0, 100, throttled_s=9.0, read_bytes=99),
    ]
    used = resource_usage.summarise(readings, LOAD, 1000, 2)
    assert (used.cpu_seconds, used.cpu_percent_mean, used.cpu_percent_of_board) == (3.0, 150.0, 75.0)
    assert (used.throttled_s, used.read_bytes, used.memory_limit_bytes) == (0.5, 40, 1000)


def test_a_kernel_without_a_peak_gives_the_largest_reading_and_says_so() -> None:
    readings = [Reading(0, 0.0, 100), Reading(2 * S, 1.0, 300), Reading(3 * S, 1.0, 200)]
    used = resource_usage.summarise(readings, LOAD, None, None)
    assert (used.memory_peak_bytes, used.memory_peak_source) == (300, "largest of 3 readings")


def test_of_several_containers_each_counts_from_its_own_start_and_the_largest_peak_counts() -> None:
    readings = [
        Reading(0, 5.0, 1, memory_peak_bytes=400, memory_peak_source="peak"),
        Reading(1 * S, 7.0, 1, memory_peak_bytes=400, memory_peak_source="peak"),
        Reading(2 * S, 0.5, 1, memory_peak_bytes=300, memory_peak_source="peak"),
        Reading(3 * S, 1.5, 1, memory_peak_bytes=300, memory_peak_source="peak"),
    ]
    used = resource_usage.summarise(readings, [Phase("load", 0, 1 * S), Phase("load", 2 * S, 3 * S)], None, 1)
    assert used.cpu_seconds == 3.0
    assert used.memory_peak_bytes == 400


def test_a_host_that_tells_nothing_gives_none_and_not_zero() -> None:
    blind = resource_usage.summarise([Reading(0, None, None), Reading(4 * S, None, None)], LOAD, None, None)
    assert set(asdict(blind).values()) == {None}


def test_the_recorder_reads_at_the_borders_of_every_phase_even_of_an_instant() -> None:
    with Recorder(lambda: Reading(time.monotonic_ns(), 0.0, 0), interval_s=60) as recorder:
        with recorder.phase("load"):
            pass
        with pytest.raises(ZeroDivisionError), recorder.phase("comparison"):
            raise ZeroDivisionError
    assert [phase.name for phase in recorder.phases] == ["load", "comparison"]
    for phase in recorder.phases:
        assert any(reading.at_ns <= phase.begin_ns for reading in recorder.readings)
        assert any(reading.at_ns >= phase.end_ns for reading in recorder.readings)
    assert recorder.readings == sorted(recorder.readings, key=lambda reading: reading.at_ns)


def test_what_others_took_of_this_host_is_what_neither_the_device_nor_edgesim_took() -> None:
    begin = host_load.HostCounters()
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        pass
    own = host_load.HostCounters().load_since(begin, 0.0)
    assert own.seconds == pytest.approx(0.5, abs=0.4)
    assert own.busy_percent > 0
    assert own.others_percent is not None
    assert own.others_percent < own.busy_percent
    assert host_load.HostCounters().load_since(begin, None).others_percent is None


def test_two_loads_are_one_by_their_seconds() -> None:
    both = host_load.combined(
        [
            host_load.HostLoad(
                seconds=1, busy_percent=10, others_percent=4, steal_percent=0, thermal_throttles=1, frequency_percent=80
            ),
            host_load.HostLoad(
                seconds=3,
                busy_percent=50,
                others_percent=8,
                steal_percent=None,
                thermal_throttles=2,
                frequency_percent=99,
            ),
        ]
    )
    assert both is not None
    assert (both.seconds, both.busy_percent, both.others_percent, both.steal_percent) == (4, 40, 7, None)
    assert (both.thermal_throttles, both.frequency_percent) == (3, 80)
    assert host_load.combined([]) is None
