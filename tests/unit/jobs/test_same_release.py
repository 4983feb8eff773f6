"""The board's release on this host: what differs by the release is told from what differs by the board."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from edgesim import profiles
from edgesim.boards.launch import Launch
from edgesim.images import python_packages
from edgesim.jobs import check_items, same_release
from edgesim.jobs.check_items import ReferenceOutputs
from edgesim.measure.reference import Reference
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
