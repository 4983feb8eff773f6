"""What a check of releases says of a release whose answers or failures are not simply right or wrong."""

import numpy as np
import pytest

from edgesim.jobs.check_runtimes import _item, _Tried


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
