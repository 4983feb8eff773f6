"""The board's release on this host: what differs by the release is told from what differs by the board."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from edgesim import profiles
from edgesim.boards.launch import Launch
from edgesim.images import python_packages
from edgesim.inputs.sequences import StateSequence
from edgesim.jobs import check_items, same_release
from edgesim.jobs.check_items import ReferenceOutputs
from edgesim.measure import sequence_comparison
from edgesim.measure.reference import Reference
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import BoardOptions

IMAGE = {"image": np.zeros((1, 8, 8), np.float32)}
# Stands for a release whose kernels are wrong by a constant.
_WRONG_BY = """
import numpy as np
class SessionOptions:
    pass
class InferenceSession:
    def __init__(self, path, options, providers):
        pass
    def get_outputs(self):
        return [type("Output", (), {{"name": "probabilities"}})]
    def run(self, names, arrays):
        return [np.full((1, 10), {value}, np.float32)]
"""


def _launch(model: Model, **options: Any) -> Launch:
    return Launch.of(profiles.load("jetson-nano"), [model], BoardOptions(**options))


def _right(model: Model) -> ReferenceOutputs:
    newest = Reference(model)
    outputs = [newest.run(IMAGE)]
    return ReferenceOutputs([IMAGE], outputs, "this host", [1], again=lambda: [newest.run(IMAGE)], newest=newest)


@pytest.fixture
def wrong_release(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    (tmp_path / "onnxruntime.py").write_text(_WRONG_BY.format(value=0.5))
    monkeypatch.setattr(python_packages, "fetch_for_this_host", lambda release: (sys.executable, tmp_path))
    return tmp_path


def test_what_the_release_answers_otherwise_is_no_difference_of_the_board(digits: Model, wrong_release: Path) -> None:
    right, item = same_release.tell_apart(_launch(digits, runtime="1.16.3"), digits, _right(digits), None)
    assert item is not None
    assert (item.name, item.verdict) == ("release", "FAIL")
    assert "on this host, ONNX Runtime 1.16.3: probabilities differs from ONNX Runtime" in item.finding
    board = [{"probabilities": np.full((1, 10), 0.5, np.float32)}]
    answers = check_items.answers(board, right, None)
    assert answers.verdict == "PASS"
    assert "ONNX Runtime 1.16.3 on this host" in answers.finding


def test_what_the_board_answers_otherwise_is_no_difference_of_the_release(
    digits: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(python_packages, "fetch_for_this_host", lambda release: (sys.executable, tmp_path))
    right, item = same_release.tell_apart(_launch(digits, runtime="1.16.3"), digits, _right(digits), None)
    assert item is not None
    assert item.verdict == "PASS"
    assert check_items.answers([{"probabilities": np.full((1, 10), 0.5)}], right, None).verdict == "FAIL"


# Stands for a release that adds a tenth more in each step.
_ADDS_MORE = """
class SessionOptions:
    pass
class InferenceSession:
    def __init__(self, path, options, providers):
        pass
    def get_outputs(self):
        return [type("Output", (), {"name": "next"})]
    def run(self, names, arrays):
        if arrays["before"][0] > MOST:
            raise RuntimeError("too much")
        return [arrays["x"] + arrays["before"] + arrays["x"].dtype.type(0.1)]
"""


def _adding(directory: Path) -> tuple[Model, ReferenceOutputs]:
    """Return a model that adds its input to its state, and what it answers to four steps."""
    x, before, after = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in ("x", "before", "next"))
    graph = helper.make_graph([helper.make_node("Add", ["x", "before"], ["next"])], "sum", [x, before], [after])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8), directory / "sum.onnx"
    )
    model = repository.find(str(directory / "sum.onnx"))
    first = {"x": np.ones(1, np.float32), "before": np.zeros(1, np.float32)}
    sequence = StateSequence((first,), {"next": "before"}, steps=4)
    newest = Reference(model)
    steps = sequence_comparison.run_on_host(sequence, newest.run, range(4))
    return model, ReferenceOutputs(
        [step.arrays for step in steps],
        [step.outputs for step in steps],
        "this host",
        [1] * 4,
        again=lambda: [step.outputs for step in steps],
        newest=newest,
        sequence=sequence,
        steps=range(4),
    )


def test_another_release_feeds_its_own_states_so_that_its_difference_adds_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "onnxruntime.py").write_text(_ADDS_MORE.replace("MOST", "99"))
    monkeypatch.setattr(python_packages, "fetch_for_this_host", lambda release: (sys.executable, tmp_path))
    model, reference = _adding(tmp_path)
    right, item = same_release.tell_apart(_launch(model, runtime="1.16.3"), model, reference, None)
    assert item is not None
    assert (item.name, item.verdict) == ("release", "FAIL")
    assert "next differs from ONNX Runtime" in item.finding
    assert "by at most 0.4" in item.finding
    assert [round(float(outputs["next"][0]), 3) for outputs in right.outputs] == [1.1, 2.2, 3.3, 4.4]
    assert [round(float(arrays["before"][0]), 3) for arrays in right.requests] == [0, 1.1, 2.2, 3.3]
    board = [{"next": np.array([value], np.float32)} for value in (1.1, 2.2, 3.3, 4.4)]
    assert check_items.answers(board, right, None).verdict == "PASS"


def test_release_that_fails_within_a_sequence_leaves_the_newest_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "onnxruntime.py").write_text(_ADDS_MORE.replace("MOST", "2"))
    monkeypatch.setattr(python_packages, "fetch_for_this_host", lambda release: (sys.executable, tmp_path))
    model, reference = _adding(tmp_path)
    right, item = same_release.tell_apart(_launch(model, runtime="1.16.3"), model, reference, None)
    assert item is not None
    assert item.verdict == "INCONCLUSIVE"
    assert item.finding.endswith(": too much")
    assert [float(outputs["next"][0]) for outputs in right.outputs] == [1, 2, 3, 4]


def test_golden_outputs_stay_the_right_ones_whatever_the_release_answers(digits: Model, wrong_release: Path) -> None:
    golden = ReferenceOutputs([IMAGE], [{"probabilities": np.ones((1, 10))}], "the golden outputs", [1])
    right, item = same_release.tell_apart(_launch(digits, runtime="1.16.3"), digits, golden, None)
    assert right is golden
    assert item is not None
    assert item.verdict == "FAIL"


def test_without_the_release_the_newest_stands_for_it_and_both_are_named(digits: Model) -> None:
    launch, own = _launch(digits, runtime="1.16.3"), Reference(digits)
    compared = same_release.of_board(launch, digits, own, IMAGE)
    assert (compared.release, compared.other_release) == (own.release, "tests fetch no packages")
    right, item = same_release.tell_apart(launch, digits, _right(digits), None)
    assert item is not None
    assert (item.verdict, right.origin) == ("INCONCLUSIVE", f"ONNX Runtime {own.release} on this host")
    assert item.finding == (
        "the board's ONNX Runtime 1.16.3 does not run on this host for comparison, so that a difference from"
        f" {own.release} may be the release's: tests fetch no packages"
    )


@pytest.mark.parametrize("options", [{"engine": "local"}, {"runtime": onnxruntime.__version__}])
def test_a_board_with_this_hosts_release_needs_no_other(digits: Model, options: dict[str, str]) -> None:
    own, launch = Reference(digits), _launch(digits, **options)
    assert same_release.of_board(launch, digits, own, IMAGE) is own
    assert same_release.tell_apart(launch, digits, _right(digits), None)[1] is None
