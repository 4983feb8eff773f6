"""Figures as people read them."""

import pytest

from edgesim import units


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (4187590656, "3.9 GiB"), (2**50, "1024.0 TiB")]
)
def test_bytes_are_written_in_the_largest_unit_that_fits(count: int, text: str) -> None:
    assert units.format_bytes(count) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(104e6, "104 MB/s"), (45.6e6, "45.6 MB/s"), (1.25e6, "1.25 MB/s"), (3.5e9, "3.5 GB/s")]
)
def test_rates_are_written_as_data_sheets_do(rate: float, text: str) -> None:
    assert units.format_rate(rate) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (7.4, "7 s"), (47, "45 s"), (89, "90 s"), (331, "6 min"), (5399, "90 min"), (9000, "2.5 h")],
)
def test_estimates_are_as_rough_as_they_are(seconds: float, text: str) -> None:
    assert units.format_estimate(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.0000123, "12.3 us"), (0.0123, "12.3 ms"), (83, "83.0 s")])
def test_durations_are_written_with_three_digits(seconds: float, text: str) -> None:
    assert units.format_seconds(seconds) == text


def test_clocks_are_written_as_data_sheets_do() -> None:
    assert (units.format_hz(1_479_000_000), units.format_hz(918_000_000)) == ("1.479 GHz", "918 MHz")


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(45.91, "45.9"), (40.0, "40.0"), (0.04921, "0.0492"), (127.6, "128"), (10_973, "10,970"), (0, "0.00")],
)
def test_milliseconds_have_three_digits_and_no_power_of_ten(milliseconds: float, text: str) -> None:
    assert units.format_ms(milliseconds) == text
