"""What a check of releases says of a release whose answers or failures are not simply right or wrong."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from edgesim import inputs, profiles
from edgesim.errors import UsageError
from edgesim.images import runtime_releases
from edgesim.jobs import check_runtimes
from edgesim.jobs.check_runtimes import _ByHost, _Comparison, _item, _require_fit, _summary, _Tried, _with_wheel
from edgesim.measure import tolerance
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import DetectionMatch, InputOptions


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


@pytest.mark.parametrize(
    ("by_file", "words"),
    [
        ("1.18.1", "ONNX Runtime 1.31.1 or newer of those tried, by its file 1.18.1"),
        ("1.31.1", "ONNX Runtime 1.31.1 or newer"),
        (None, "ONNX Runtime 1.31.1 or newer"),
    ],
)
def test_the_release_that_a_model_needs_is_told_where_it_was_not_tried(by_file: str | None, words: str) -> None:
    refused = _Tried(version="1.16.3", refusal="opset 21; it loads up to 19", failure="fails")
    own = runtime_releases.Choice(release=runtime_releases.choose("1.31.1"), reason="as requested")
    item = _summary([refused, answers("1.31.1", y=np.ones(1))], own, by_file)
    assert item.finding == f"{words}; the board has 1.31.1 (as requested)"


def test_what_this_host_s_release_refuses_counts_against_older_ones_alone() -> None:
    by_host = _ByHost(failure="Could not find an implementation for Erf(13)")
    own = onnxruntime.__version__
    words = f"ONNX Runtime {own} on this host does not load it either: Could not find an implementation for Erf(13)"
    assert by_host.refusal("1.16.3") == words
    assert by_host.refusal("99.0.0") is None
    assert _ByHost().refusal("1.16.3") is None


def test_a_model_that_this_host_does_not_load_is_told_in_the_runtime_s_words_without_path_and_code(
    tmp_path: Path,
) -> None:
    # Gelu is made of Erf, which ONNX Runtime lacks for FP64; the file does not tell that.
    x, y = (helper.make_tensor_value_info(name, TensorProto.DOUBLE, [1, 4]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Gelu", ["x"], ["y"])], "net", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), tmp_path / "g.onnx")
    model = repository.find(str(tmp_path / "g.onnx"))
    failure = _require_fit(model, inputs.choose(model, InputOptions()), None).failure
    assert failure is not None
    assert failure.startswith("Could not find an implementation for Erf")
