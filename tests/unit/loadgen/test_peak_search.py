"""The search for the highest request rate that keeps a latency limit."""

from hypothesis import given
from hypothesis import strategies as st

from edgesim.loadgen.peak_search import MOST_TRIES, TOLERANCE, PeakSearch


@given(st.floats(1, 5000), st.floats(0.3, 3))
def test_the_peak_is_found_within_five_percent_in_few_tries(peak: float, guess: float) -> None:
    search, tries = PeakSearch(peak * guess), 0
    while (qps := search.next_qps()) is not None:
        search.report(qps, kept_limit=qps <= peak)
        tries += 1
    assert search.peak_qps is not None
    assert search.peak_qps <= peak <= search.peak_qps * TOLERANCE
    assert tries <= 9


def test_a_limit_that_no_rate_keeps_ends_the_search_without_a_peak() -> None:
    search, tries = PeakSearch(100), 0
    while (qps := search.next_qps()) is not None:
        search.report(qps, kept_limit=False)
        tries += 1
    assert search.peak_qps is None
    assert tries == MOST_TRIES


@given(st.lists(st.booleans(), min_size=MOST_TRIES, max_size=MOST_TRIES))
def test_contradictory_outcomes_end_the_search(outcomes: list[bool]) -> None:
    search = PeakSearch(100)
    for kept_limit in outcomes:
        if (qps := search.next_qps()) is None:
            break
        search.report(qps, kept_limit=kept_limit)
    assert search.next_qps() is None
