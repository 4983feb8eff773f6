"""What a check of releases says of a release whose answers or failures are not simply right or wrong."""

import numpy as np
import pytest

from edgesim import profiles
from edgesim.errors import UsageError
from edgesim.jobs import check_runtimes
from edgesim.jobs.check_runtimes import _Comparison, _item, _Tried, _with_wheel
from edgesim.measure import tolerance
from edgesim.models.repository import Model
from edgesim.options import DetectionMatch


def tried(version: str, rows: int) -> _Tried:
    return _Tried(version=version, refusal=None, answers=({"boxes": np.ones((rows, 6), np.float32)},))


def test_answers_of_another_shape_fail_with_both_shapes() -> None:
    older, newest = tried("1.16.3", 1), tried("1.20.1", 5)
    item = _item(older, [older, newest], _Comparison())
    assert item.verdict == "FAIL"
    assert item.finding == "loads; beside 1.20.1, boxes has another shape: [1, 6] for [5, 6]"


def answers(version: str, **outputs: np.ndarray) -> _Tried:
    return _Tried(version=version, refusal=None, answers=(outputs,))


def test_rows_of_detections_are_matched_before_releases_are_compared(digits: Model) -> None:
    rows = np.array([[0, 0, 10, 10, 0.9, 1], [20, 20, 30, 30, 0.8, 2]], np.float32)
    tried = [answers("1.16.3", rows=rows[::-1].copy()), answers("1.20.1", rows=rows)]
    assert _item(tried[0], tried, _Comparison()).verdict == "FAIL"
    comparison = _Comparison.of(digits, DetectionMatch(rows="rows"), tried)
    item = _item(tried[0], tried, comparison)
    assert item.verdict == "PASS"
    assert "answers differ from 1.20.1 by 0 at most" in item.finding


def test_match_of_outputs_that_are_no_detections_is_refused_before_a_board_starts(
    digits: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_runtimes, "start", lambda *_: pytest.fail("a board started"))
    with pytest.raises(UsageError, match="no outputs look like boxes with scores or classes"):
        check_runtimes.check_runtimes("x86-gateway", digits.path, "1.31", match="detections")


def test_releases_are_refused_where_no_image_has_them_before_the_model_is_run(
    digits: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_runtimes, "_require_fit", lambda *_: pytest.fail("the model was run"))
    with pytest.raises(UsageError, match="`engine=local` has this host's release") as refused:
        check_runtimes.check_runtimes("x86-gateway", digits.path, "1.31", engine="local")
    assert refused.value.fix == "`engine=docker`, or no `runtimes`"


def test_releases_may_differ_as_much_as_the_precision_of_the_model_allows() -> None:
    tried = [answers("1.16.3", y=np.full(4, 1.05, np.float32)), answers("1.20.1", y=np.ones(4, np.float32))]
    assert _item(tried[0], tried, _Comparison()).verdict == "FAIL"
    by_precision = _Comparison(tolerances={"y": tolerance.quantized(0.1)})
    assert _item(tried[0], tried, by_precision).verdict == "PASS"


@pytest.mark.parametrize(("refusal", "word"), [(None, "INCONCLUSIVE"), ("opset 21 is too new for it", "FAIL")])
def test_failure_that_is_no_fault_of_the_model_is_inconclusive_unless_the_file_explains_it(
    refusal: str | None, word: str
) -> None:
    crashed = _Tried(version="1.16.3", refusal=refusal, failure="the emulator crashed", verdict="INCONCLUSIVE")
    assert _item(crashed, [crashed], _Comparison()).verdict == word


def test_a_release_without_a_wheel_for_the_vendors_system_fails_outside_of_a_container() -> None:
    nano = profiles.load("jetson-nano")
    loads = {version: _item(tried(version, 1), [tried(version, 1)], _Comparison()) for version in ("1.10.0", "1.20.1")}
    verdicts = {version: _with_wheel(item, nano).verdict for version, item in loads.items()}
    assert verdicts == {"1.10.0": "PASS", "1.20.1": "FAIL"}
    assert "need glibc 2.27 and Python 3.10 to 3.13" in _with_wheel(loads["1.20.1"], nano).finding
