"""What a check of releases says of a release whose answers or failures are not simply right or wrong."""

import numpy as np
import pytest

from edgesim import profiles
from edgesim.jobs.check_runtimes import _item, _Tried, _with_wheel


def tried(version: str, rows: int) -> _Tried:
    return _Tried(version=version, refusal=None, answers=({"boxes": np.ones((rows, 6), np.float32)},))


def test_answers_of_another_shape_fail_with_both_shapes() -> None:
    older, newest = tried("1.16.3", 1), tried("1.20.1", 5)
    item = _item(older, [older, newest])
    assert item.verdict == "FAIL"
    assert item.finding == "loads; beside 1.20.1, boxes has another shape: [1, 6] for [5, 6]"


@pytest.mark.parametrize(("refusal", "word"), [(None, "INCONCLUSIVE"), ("opset 21 is too new for it", "FAIL")])
def test_failure_that_is_no_fault_of_the_model_is_inconclusive_unless_the_file_explains_it(
    refusal: str | None, word: str
) -> None:
    crashed = _Tried(version="1.16.3", refusal=refusal, failure="the emulator crashed", verdict="INCONCLUSIVE")
    assert _item(crashed, [crashed]).verdict == word


def test_a_release_without_a_wheel_for_the_vendors_system_fails_outside_of_a_container() -> None:
    nano = profiles.load("jetson-nano")
    loads = {version: _item(tried(version, 1), [tried(version, 1)]) for version in ("1.10.0", "1.20.1")}
    verdicts = {version: _with_wheel(item, nano).verdict for version, item in loads.items()}
    assert verdicts == {"1.10.0": "PASS", "1.20.1": "FAIL"}
    assert "need glibc 2.27 and Python 3.10 to 3.13" in _with_wheel(loads["1.20.1"], nano).finding
