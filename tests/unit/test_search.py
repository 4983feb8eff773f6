"""The search for the highest rate that holds a limit."""

from hypothesis import given
from hypothesis import strategies as st

from edgesim.loadgen.peak_search import MOST_TRIES, TOLERANCE, PeakSearch


@given(st.floats(1, 5000), st.floats(0.3, 3))
def test_the_peak_is_found_within_five_percent_in_few_tries(peak: float, guess: float) -> None:
    search, tries = PeakSearch(peak * guess), 0
    while (qps := search.next_qps()) is not None:
        search.heard(qps, held=qps <= peak)
        tries += 1
    assert search.held_qps is not None
    assert search.held_qps <= peak <= search.held_qps * TOLERANCE
    assert tries <= 9


def test_a_limit_that_no_rate_holds_ends_the_search_without_a_peak() -> None:
    search, tries = PeakSearch(100), 0
    while (qps := search.next_qps()) is not None:
        search.heard(qps, held=False)
        tries += 1
    assert search.held_qps is None
    assert tries == MOST_TRIES


@given(st.lists(st.booleans(), min_size=MOST_TRIES, max_size=MOST_TRIES))
def test_answers_that_contradict_each_other_end_it_too(answers: list[bool]) -> None:
    search = PeakSearch(100)
    for held in answers:
        if (qps := search.next_qps()) is None:
            break
        search.heard(qps, held=held)
    assert search.next_qps() is None
