"""A load session: requests that took longer because a signal stopped edgesim meanwhile."""

import pytest

from edgesim.jobs.load_session import lengthened_s
from edgesim.recording import Sample

MS = 10**6


def answered(begin_ms: float, end_ms: float, *, scheduled_ms: float | None = None) -> Sample:
    due = begin_ms if scheduled_ms is None else scheduled_ms
    return Sample(round(due * MS), round(begin_ms * MS), round(end_ms * MS), "ok")


USUAL = [answered(10 * i, 10 * i + 10) for i in range(10)]
STOPPED = [*USUAL, answered(100, 3110)]


@pytest.mark.parametrize(("continued_ms", "seconds"), [([3105], 3.0), ([], 0.0), ([55], 0.0), ([55, 3105], 3.0)])
def test_only_a_request_that_was_under_way_and_took_longer_shows_a_stop(
    continued_ms: list[float], seconds: float
) -> None:
    """Some shells tell a process to continue that was never stopped."""
    continued_ns = [round(ms * MS) for ms in continued_ms]
    assert lengthened_s(STOPPED, 0, continued_ns, offline=False) == pytest.approx(seconds)


def test_a_request_that_was_sent_late_counts_from_when_it_was_due() -> None:
    samples = [*USUAL, answered(3100, 3110, scheduled_ms=100)]
    assert lengthened_s(samples, 0, [3099 * MS], offline=False) == pytest.approx(3.0)


def test_offline_requests_are_all_due_at_the_beginning_and_count_from_their_sending() -> None:
    samples = [answered(10 * i, 10 * i + 10, scheduled_ms=0) for i in range(100)]
    assert lengthened_s(samples, 0, [995 * MS], offline=True) == 0
    assert lengthened_s([*samples, answered(1000, 4000, scheduled_ms=0)], 0, [3999 * MS], offline=True) > 2.9


def test_a_turn_of_one_request_is_compared_with_the_turns_before() -> None:
    assert lengthened_s(STOPPED, len(USUAL), [3105 * MS], offline=False) == pytest.approx(3.0)
    assert lengthened_s(USUAL, len(USUAL) - 1, [95 * MS], offline=False) == 0


def test_without_requests_nothing_took_longer() -> None:
    assert lengthened_s([], 0, [1], offline=False) == 0
