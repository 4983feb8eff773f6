"""Resource usage: differences over the load, largest values, and values that no reading has."""

import time
from dataclasses import asdict

import pytest

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
