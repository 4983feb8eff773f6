"""Times from the histogram of a distribution whose samples were not kept."""

import zlib

import numpy as np
from hdrh.codec import HdrCookieException, HdrHistogramSettingsException, HdrLengthException
from hdrh.histogram import HdrHistogram

from edgesim.results.sections import Distribution


def times_ms(distribution: Distribution) -> np.ndarray:
    """Return the times in milliseconds, to three digits, ascending, shape (requests,); empty without a histogram."""
    if distribution.histogram is None:
        return np.array([])
    try:
        histogram = HdrHistogram.decode(distribution.histogram)
    except (ValueError, zlib.error, HdrCookieException, HdrHistogramSettingsException, HdrLengthException):
        return np.array([])
    values, counts = [], []
    for row in histogram.get_recorded_iterator():
        values.append(histogram.get_lowest_equivalent_value(row.value_iterated_to) / 2 + row.value_iterated_to / 2)
        counts.append(row.count_added_in_this_iter_step)
    return np.repeat(np.asarray(values, dtype=np.float64) / 1000, counts)
