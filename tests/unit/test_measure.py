"""Statistics, resources, agreement and validity: figures that can be worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesim.measure import agreement, resources, statistics, validity
from edgesim.result import Reading, ResourcesSection, Sample

OK = Sample(0, 0, 10, "ok")
FAILED = Sample(0, 0, 10, "HTTP 500: broken")


@pytest.mark.parametrize(("percentile", "samples"), [(90, 64), (99, 662), (99.9, 6636)])
def test_a_percentile_takes_as_many_samples_as_loadgen_s_rule_says(percentile: float, samples: int) -> None:
    assert statistics.smallest_sample(percentile) == samples


def test_what_the_sample_is_too_small_for_is_none() -> None:
    few = statistics.summarise([3.0, 1.0])
    assert (few.min, few.mean, few.max, few.p50, few.p90) == (1.0, 2.0, 3.0, None, None)
    enough = statistics.summarise([float(n) for n in range(1, 66)])
    assert (enough.p50, enough.p95, enough.p99) == (33.0, None, None)
    assert enough.p90 == pytest.approx(58.6)


def test_no_sample_gives_no_figure() -> None:
    assert set(statistics.summarise([]).model_dump().values()) == {None}


@given(st.lists(st.floats(0, 1e6), min_size=64, max_size=200))
def test_percentiles_lie_in_order_between_the_extremes(times: list[float]) -> None:
    summary = statistics.summarise(times)
    assert summary.p50 is not None
    assert summary.p90 is not None
    assert summary.min is not None
    assert summary.max is not None
    assert summary.min <= summary.p50 <= summary.p90 <= summary.max


def test_resources_are_what_was_used_between_the_first_reading_and_the_last() -> None:
    readings = [
        Reading(0, 10.0, 100, memory_peak_bytes=150, memory_peak_source="peak", throttled_s=1.0, oom_kills=0),
        Reading(
            2_000_000_000, 13.0, 120, memory_peak_bytes=170, memory_peak_source="peak", throttled_s=1.5, oom_kills=0
        ),
    ]
    summary = resources.summarise(readings, 1000)
    assert (summary.cpu_seconds, summary.cpu_percent_mean, summary.throttled_s) == (3.0, 150.0, 0.5)
    assert (summary.memory_peak_bytes, summary.memory_limit_bytes) == (170, 1000)


def test_a_host_that_tells_nothing_gives_none_and_not_zero() -> None:
    blind = [Reading(0, None, None), Reading(10**9, None, None)]
    assert set(resources.summarise(blind, None).model_dump().values()) == {None}


def test_the_recorder_reads_at_both_ends_even_of_an_instant() -> None:
    readings: list[Reading] = []
    with resources.record(lambda: Reading(len(readings), 0.0, 0), into=readings, interval_s=60):
        pass
    assert [reading.at_ns for reading in readings] == [0, 1]


@pytest.mark.parametrize(
    ("samples", "alive", "interrupted", "oom_kills", "reason"),
    [
        ([], True, False, 0, "enough requests: 0 answered"),
        ([OK, OK], True, False, 0, "enough requests: 2 answered, 3 needed"),
        ([OK] * 9 + [FAILED], True, False, 0, "1 of 10 requests failed, the first with 'HTTP 500: broken'"),
        ([OK] * 9, False, False, 0, "device alive: it died after 9 requests"),
        ([OK] * 9, True, True, 0, "interrupted: after 9 requests"),
        ([OK] * 9, True, False, 1, "no out-of-memory kill: 1 seen"),
    ],
)
def test_a_run_that_is_no_measurement_is_invalid_and_says_why(
    samples: list[Sample], alive: bool, interrupted: bool, oom_kills: int, reason: str
) -> None:
    verdict = validity.judge(samples, ResourcesSection(oom_kills=oom_kills), alive=alive, interrupted=interrupted)
    assert not verdict.valid
    assert any(reason in text for text in verdict.reasons)


def test_a_run_without_fault_is_valid() -> None:
    assert validity.judge([OK] * 3, ResourcesSection(), alive=True).valid


def test_accuracy_is_the_share_of_labels_met_on_each_side() -> None:
    host = {"scores": np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])}
    device = {"scores": np.array([[0.8, 0.2], [0.2, 0.8], [0.3, 0.7]])}
    found = agreement.compare(device, host, np.array([0, 1, 0]))
    assert found.accuracy_host == 1.0
    assert found.accuracy_device == pytest.approx(2 / 3)
    assert found.same_class == pytest.approx(2 / 3)
    assert found.max_abs_difference == pytest.approx(0.3)
    assert found.compared == 3


def test_answers_that_are_not_numbers_are_never_taken_for_equal_ones() -> None:
    found = agreement.compare({"y": np.array([[np.nan, 1.0]])}, {"y": np.array([[0.5, 1.0]])})
    assert found.max_abs_difference is None
