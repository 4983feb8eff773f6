"""The board's outputs compared with the reference on this host."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgesim.errors import HostError
from edgesim.measure import reference
from edgesim.models import repository


def test_locale_that_this_host_lacks_is_the_hosts_failure(tmp_path: Path) -> None:
    node = helper.make_node("StringNormalizer", ["x"], ["y"], case_change_action="LOWER", locale="xx_XX.UTF-8")
    x, y = (helper.make_tensor_value_info(name, TensorProto.STRING, [2]) for name in "xy")
    path = tmp_path / "net.onnx"
    graph = helper.make_graph([node], "net", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    with pytest.raises(HostError, match=r"this host lacks the locale xx_XX.UTF-8, which model net needs"):
        reference.Reference(repository.find(path))


def test_accuracy_is_the_share_of_correct_classes_on_each_side() -> None:
    host = {"scores": np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])}
    device = {"scores": np.array([[0.8, 0.2], [0.2, 0.8], [0.3, 0.7]])}
    comparison = reference.compare(device, host, np.array([0, 1, 0]))
    assert comparison.accuracy_host == 1.0
    assert comparison.accuracy_device == pytest.approx(2 / 3)
    assert comparison.same_class == pytest.approx(2 / 3)
    assert comparison.max_abs_difference == pytest.approx(0.3)
    assert comparison.compared == 3


def test_number_beside_something_that_is_no_number_is_no_difference_in_figures() -> None:
    comparison = reference.compare({"y": np.array([[np.nan, 1.0]])}, {"y": np.array([[0.5, 1.0]])})
    assert comparison.max_abs_difference is None


def test_one_row_beside_five_is_a_difference_in_words() -> None:
    one, five = np.ones((1, 6), np.float32), np.ones((5, 6), np.float32)
    comparison = reference.compare({"boxes": one}, {"boxes": five})
    assert (comparison.max_abs_difference, comparison.same_class) == (None, None)
    assert comparison.outputs[0].notes == ("has another shape: [1, 6] for [5, 6]",)


def test_nothing_on_both_sides_agrees_without_a_class() -> None:
    none = {"rows": np.zeros((0, 2), np.int64)}
    comparison = reference.compare(none, none)
    assert (comparison.max_abs_difference, comparison.same_class) == (0.0, None)
    assert comparison.outputs[0].notes == ("nothing on both sides",)


def test_random_output_is_named_and_leaves_the_figures_to_the_others() -> None:
    draws = iter(np.random.default_rng(0).normal(size=(3, 1, 4)))
    fixed = np.ones((1, 4))
    device, host = ({"noise": next(draws), "fixed": fixed} for _ in range(2))
    comparison = reference.compare(device, host, again=lambda: {"noise": next(draws), "fixed": fixed})
    assert comparison.max_abs_difference == 0.0
    assert "two runs on this host differ by" in comparison.outputs[0].notes[0]


def test_reference_runs_once_more_only_where_the_answers_differ() -> None:
    def again() -> dict[str, np.ndarray]:
        raise AssertionError("the reference ran again")

    assert reference.compare({"y": np.ones(3)}, {"y": np.ones(3)}, again=again).max_abs_difference == 0.0


def test_wrong_answers_of_a_model_that_is_not_random_stay_wrong() -> None:
    comparison = reference.compare({"y": np.ones(3)}, {"y": np.zeros(3)}, again=lambda: {"y": np.zeros(3)})
    assert (comparison.max_abs_difference, comparison.outputs[0].notes) == (1.0, ())


def test_samples_are_counted_by_the_caller_and_not_by_the_rows_of_an_output() -> None:
    rows = {"state": np.zeros((512, 3), np.float32)}
    assert reference.compare(rows, rows, samples=1).compared == 1
