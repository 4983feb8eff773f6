"""Every reader of files that somebody else wrote, with ten thousand mutations of good files.

Each is read or refused with a named error, within seconds and some hundred megabytes. EDGESIM_FUZZ_INPUTS sets another
number of files. The seed of a failure makes the same file again: see `tests/support/fuzzing.py`.
"""

import os

import pytest

from tests.support import fuzzing
from tests.support.readers import READERS

INPUTS = int(os.environ.get("EDGESIM_FUZZ_INPUTS", "10000"))
MIB = 1 << 20


@pytest.mark.timeout(fuzzing.timeout_s(INPUTS))
@pytest.mark.parametrize("name", READERS)
def test_reader_refuses_or_reads_whatever_it_is_given(name: str) -> None:
    report = fuzzing.fuzz(name, INPUTS)
    print(
        f"{name}: {report.inputs:,} files, {report.read:,} read, {report.refused:,} refused; {report.seconds:.0f} s, "
        f"the slowest {report.slowest_s:.1f} s ({report.slowest_seed}); {report.peak_bytes / MIB:.0f} MiB"
    )
    assert report.failures == {}
    assert report.read > 0
    assert report.refused > 0
    assert report.peak_bytes < 512 * MIB
