"""Sums, differences and medians of counts."""

from edgesim.counting.counts import Counts, interval_of_median, median


def test_counts_add_and_subtract_figure_by_figure() -> None:
    one, other = Counts(1, 2, 3, 4, 5, 60, 70), Counts(10, 20, 30, 40, 50, 600, 700)
    assert one + other == Counts(11, 22, 33, 44, 55, 660, 770)
    assert (one + other) - one == other


def test_instructions_are_all_classes_without_the_bytes() -> None:
    counts = Counts(1, 2, 3, 4, 5, 60, 70)
    assert counts.instructions == 15
    assert sum(counts.by_class.values()) == 15


def test_one_odd_count_of_nine_does_not_widen_the_interval() -> None:
    assert interval_of_median([100, 101, 99, 100, 100, 250, 101, 100, 99]) == (99, 101)


def test_interval_of_five_counts_is_from_the_smallest_to_the_largest() -> None:
    assert interval_of_median([5, 1, 4, 2, 3]) == (1, 5)


def test_median_of_an_even_number_is_one_of_the_counts() -> None:
    assert median([Counts(scalar=4), Counts(scalar=1), Counts(scalar=2), Counts(scalar=3)]) == Counts(scalar=2)
