"""Times from the histogram of a distribution."""

import base64
import zlib

import numpy as np
import pytest
from hdrh.codec import ext_header_size, payload_header_size

from edgesim.gates.histogram import times_ms
from edgesim.measure import statistics
from edgesim.results.sections import Distribution, section


def distribution(times: list[float]) -> Distribution:
    return section(Distribution, statistics.summarise(times))


def test_times_of_a_histogram_are_the_measured_ones_to_three_digits() -> None:
    times = [0.004, 0.25, 1.0, 1.0, 17.3, 450.0, 450.1, 98_765.0]
    assert np.allclose(times_ms(distribution(times)), times, rtol=1e-3)


def test_distribution_with_no_histogram_or_a_broken_one_has_no_times() -> None:
    good = distribution([1.0])
    for histogram in (None, "HISTFAAAA", "not base64"):
        assert len(times_ms(good.model_copy(update={"histogram": histogram}))) == 0


def with_payload(changed: bytes) -> Distribution:
    """Return a distribution whose histogram has these bytes after its header, compressed as they should be."""
    good = distribution([1.0])
    encoded = base64.b64decode(good.histogram or "")
    payload = zlib.decompress(encoded[ext_header_size:])[:payload_header_size] + changed
    text = base64.b64encode(encoded[:ext_header_size] + zlib.compress(payload)).decode()
    return good.model_copy(update={"histogram": text})


@pytest.mark.parametrize(
    "counts",
    [b"\xff\xff\xff\x7f\x02", b"\xff" * 9, b"\xfe\xff\xff\xff\xff\xff\x7f", bytes(2**24)],
    ids=["beyond the last counter", "no number of zeros", "more requests than a file can have", "megabytes"],
)
def test_histogram_that_edgesim_cannot_have_written_has_no_times(counts: bytes) -> None:
    assert len(times_ms(with_payload(counts))) == 0


def test_histogram_of_another_range_is_not_taken() -> None:
    good = distribution([1.0])
    encoded = base64.b64decode(good.histogram or "")
    payload = bytearray(zlib.decompress(encoded[ext_header_size:]))
    payload[15] = 5  # digits: a hundred times the counters
    text = base64.b64encode(encoded[:ext_header_size] + zlib.compress(bytes(payload))).decode()
    assert len(times_ms(good.model_copy(update={"histogram": text}))) == 0
