"""Resource usage: differences over the load, largest values, and values that no reading has."""

import time
from dataclasses import asdict
from typing import NamedTuple

import psutil
import pytest

from edgesim.host import host_load
from edgesim.host.host_load import HostCounters
from edgesim.measure import resource_usage
from edgesim.measure.resource_usage import Recorder
from edgesim.recording import Phase, Reading

S = 1_000_000_000
LOAD = [Phase("load", 1 * S, 3 * S)]


def test_usage_counts_the_load_and_nothing_before_or_after_it() -> None:
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


def test_kernel_without_a_peak_gives_the_largest_reading_and_says_so() -> None:
    readings = [Reading(0, 0.0, 100), Reading(2 * S, 1.0, 300), Reading(3 * S, 1.0, 200)]
    used = resource_usage.summarise(readings, LOAD, None, None)
    assert (used.memory_peak_bytes, used.memory_peak_source) == (300, "largest of 3 readings")


def test_several_containers_count_from_their_own_starts_and_the_largest_peak_counts() -> None:
    readings = [
        Reading(0, 5.0, 1, memory_peak_bytes=400, memory_peak_source="peak"),
        Reading(1 * S, 7.0, 1, memory_peak_bytes=400, memory_peak_source="peak"),
        Reading(2 * S, 0.5, 1, memory_peak_bytes=300, memory_peak_source="peak"),
        Reading(3 * S, 1.5, 1, memory_peak_bytes=300, memory_peak_source="peak"),
    ]
    used = resource_usage.summarise(readings, [Phase("load", 0, 1 * S), Phase("load", 2 * S, 3 * S)], None, 1)
    assert used.cpu_seconds == 3.0
    assert used.memory_peak_bytes == 400


def test_host_that_reports_nothing_gives_none_and_not_zero() -> None:
    blind = resource_usage.summarise([Reading(0, None, None), Reading(4 * S, None, None)], LOAD, None, None)
    assert set(asdict(blind).values()) == {None}


def test_recorder_reads_at_the_ends_of_every_phase_even_of_an_instant() -> None:
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


class Times(NamedTuple):
    """The fields of psutil's CPU times that the host load is computed from."""

    user: float
    idle: float
    guest: float
    steal: float


def counters(
    at_s: float, times: Times, own_s: float, throttles: int | None, frequency_hz: float | None
) -> HostCounters:
    return HostCounters(at_s=at_s, times=times, own_s=own_s, throttles=throttles, frequency_hz=frequency_hz)


def test_other_programs_took_what_neither_the_device_nor_edgesim_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "cpu_count", lambda: 2)
    begin = counters(10, Times(user=100, idle=500, guest=0, steal=1), 1.0, 3, 2e9)
    # Two cores for 5 s: 6 s busy (1 s of it a guest's, which Linux counts as user time, too), 3.5 s idle, 0.5 s stolen.
    end = counters(15, Times(user=106, idle=503.5, guest=1, steal=1.5), 1.5, 5, 1e9)
    load = end.load_since(begin, device_s=2.0)
    assert (load.seconds, load.steal_percent, load.thermal_throttles, load.frequency_percent) == (5, 5, 2, 50)
    assert load.busy_percent == pytest.approx(60)
    assert load.others_percent == pytest.approx(60 - 20 - 5), "without the device's 2 s and edgesim's 0.5 s"
    assert end.load_since(begin, device_s=None).others_percent is None


def test_host_load_of_this_host_has_its_length() -> None:
    begin = HostCounters()
    load = HostCounters().load_since(begin, device_s=0.0)
    assert load.seconds >= 0
    assert load.others_percent is not None


def test_combined_load_weights_loads_by_their_seconds() -> None:
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
