"""Bytes, durations and frequencies as people write them."""

import re

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0}
_BYTE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def format_bytes(count: int | float) -> str:
    """Return bytes in the largest binary unit that leaves at least 1: ``format_bytes(4187590656) == "3.9 GiB"``."""
    value = float(count)
    for unit in _BYTE_UNITS[:-1]:
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} {_BYTE_UNITS[-1]}"


def format_rate(bytes_per_s: float) -> str:
    """Return bytes per second as data sheets of storage and networks do, in units of 10^6: ``104 MB/s``."""
    return f"{bytes_per_s / 1e6:.3g} MB/s" if bytes_per_s < 1e9 else f"{bytes_per_s / 1e9:.3g} GB/s"


def format_seconds(seconds: float) -> str:
    """Return a duration with three significant digits: ``0.0123`` is ``12.3 ms``, ``83`` is ``83.0 s``."""
    if abs(seconds) < 1e-3:
        return f"{seconds * 1e6:.3g} us"
    if abs(seconds) < 1:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.1f} s"


def format_estimate(seconds: float) -> str:
    """Return an estimated duration, as rough as it is: ``50 s``, ``6 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{max(round(seconds / 5) * 5, 5) if seconds > 10 else max(round(seconds), 1)} s"
    return f"{round(seconds / 60)} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def format_ms(milliseconds: float) -> str:
    """Return milliseconds with three digits and without a power of ten: ``45.9``, ``0.0492``, ``10,970``."""
    if abs(milliseconds) < 100:
        return f"{milliseconds:#.3g}".rstrip(".")
    return f"{milliseconds:,.0f}" if abs(milliseconds) < 1000 else f"{round(milliseconds, -1):,.0f}"


def format_hz(frequency_hz: float) -> str:
    """Return a clock frequency: ``1.479 GHz``, ``918 MHz``."""
    return f"{frequency_hz / 1e9:.4g} GHz" if frequency_hz >= 1e9 else f"{frequency_hz / 1e6:.4g} MHz"


def parse_seconds(text: str) -> float:
    """Return the seconds of a duration such as ``50ms``, ``0.05 s``, ``200us`` or ``2min``.

    Raises:
        ValueError: the text is not a duration, or not above 0.
    """
    match = re.fullmatch(r"\s*([0-9.]+)\s*(us|ms|s|min)\s*", text)
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if seconds <= 0:
        raise ValueError(f"{text!r} is not a duration")
    return seconds


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: ``1 cell``, ``1,200 cells``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def with_mode(title: str, mode: str | None) -> str:
    """Return a board's title with the power mode: ``NVIDIA Jetson Nano 4GB (B01) (MAXN)``."""
    return f"{title} ({mode})" if mode else title
