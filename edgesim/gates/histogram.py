"""Times from the histogram of a distribution whose samples were not kept.

The histogram of a stranger's file is compressed, and counts: a short text may stand for more bytes and more requests
than fit into memory.
"""

import base64
import zlib

import numpy as np
from hdrh.codec import (
    HdrCookieException,
    HdrHistogramSettingsException,
    HdrLengthException,
    PayloadHeader,
    ext_header_size,
)
from hdrh.histogram import HdrHistogram

from edgesim.measure.statistics import HISTOGRAM_MICROSECONDS
from edgesim.results.sections import Distribution

_MOST_BYTES = 2**20  # uncompressed: edgesim's own 23,552 counters take 212 kB at most
_MOST_REQUESTS = 10_000_000  # a result file cannot have half as many samples


def times_ms(distribution: Distribution) -> np.ndarray:
    """Return the times in milliseconds, to three digits, ascending, shape (requests,).

    The array is empty without a histogram, and for one that edgesim cannot have written.
    """
    if distribution.histogram is None or (histogram := _decoded(distribution.histogram)) is None:
        return np.array([])
    recorded = np.ctypeslib.as_array(histogram.counts)
    indices = np.flatnonzero(recorded)
    counts = recorded[indices]
    if counts.sum(dtype=np.float64) > _MOST_REQUESTS:
        return np.array([])
    lowest = [histogram.get_value_from_index(int(index)) for index in indices]
    highest = [histogram.get_highest_equivalent_value(value) for value in lowest]
    middles = np.asarray(lowest, dtype=np.float64) / 2 + np.asarray(highest, dtype=np.float64) / 2
    return np.repeat(middles / 1000, counts.astype(np.int64))


def _decoded(text: str) -> HdrHistogram | None:
    """Return the histogram of a text; None if the text is none of edgesim's own settings."""
    try:
        decompressor = zlib.decompressobj()
        payload = decompressor.decompress(base64.b64decode(text)[ext_header_size:], _MOST_BYTES)
        header = PayloadHeader.from_buffer_copy(payload)
        settings = (header.lowest_trackable_value, header.highest_trackable_value, header.significant_figures)
        if decompressor.unconsumed_tail or settings != HISTOGRAM_MICROSECONDS:
            return None
        return HdrHistogram.decode(text)
    except (ValueError, IndexError, OverflowError, zlib.error):
        return None
    except (HdrCookieException, HdrHistogramSettingsException, HdrLengthException):
        return None
