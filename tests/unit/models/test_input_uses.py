"""What a graph tells of the values of its inputs: rows of tables, categories, masks, lengths and switches."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesim.models import input_uses, repository
from edgesim.models.input_uses import InputUse

INT64, FLOAT, STRING, BOOL = TensorProto.INT64, TensorProto.FLOAT, TensorProto.STRING, TensorProto.BOOL
WEIGHTS: dict[str, np.ndarray] = {
    "words": np.ones((30, 4), np.float32),
    "types": np.ones((2, 4), np.float32),
    "flat": np.array([-1], np.int64),
    "zero": np.array(0, np.int64),
    "one": np.array([1], np.int64),
    "float one": np.array(1, np.float32),
    "two": np.array(2, np.int64),
    "rate": np.array(16000, np.int64),
    "other rate": np.array(8000, np.int64),
    "offsets": np.array([0, 5, 10], np.int64),
    "depth": np.array(7, np.int64),
    "ends": np.array([0, 1], np.float32),
    "w": np.ones((1, 8, 4), np.float32),
    "r": np.ones((1, 8, 2), np.float32),
}


def node(operation: str, *inputs: str, output: str = "y", domain: str = "", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operation, inputs, [output], domain=domain, **attributes)


def gather(table: str, indices: str, output: str = "y", axis: int = 0) -> onnx.NodeProto:
    return node("Gather", table, indices, output=output, axis=axis)


def uses(
    directory: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, tuple[int, Sequence[int | str]]] | None = None,
    functions: Sequence[onnx.FunctionProto] = (),
) -> dict[str, InputUse]:
    """Return what a graph tells of its inputs; without any other, ``ids``."""
    inputs = inputs or {"ids": (INT64, (1, 8))}
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in WEIGHTS.items()],
    )
    path = directory / "net.onnx"
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("own", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=list(functions)), path)
    return input_uses.by_input(repository.find(path))


@pytest.mark.parametrize(
    ("nodes", "bounds"),
    [
        ([gather("words", "ids")], (0, 29)),
        ([gather("words", "ids", axis=1)], (0, 3)),
        ([gather("words", "ids", "a"), gather("types", "ids")], (0, 1)),
        ([node("Reshape", "ids", "flat", output="r1"), gather("words", "r1")], (0, 29)),
        ([node("Add", "ids", "one", output="d"), gather("words", "d")], (0, 28)),
        ([node("Sub", "ids", "two", output="d"), gather("words", "d")], (2, 31)),
        ([node("Cast", "words", output="half", to=FLOAT), gather("half", "ids")], (0, 29)),
        ([node("OneHot", "ids", "depth", "ends")], (0, 6)),
        ([node("GatherND", "words", "ids")], (0, 3)),
        ([node("Concat", "ids", "ids", output="c", axis=0), gather("words", "c")], (0, 29)),
        ([node("ConstantOfShape", "ids")], (1, 8)),
        ([node("Mul", "ids", "ids", output="d"), gather("words", "d")], None),
        ([node("Add", "ids", "offsets", output="d"), gather("words", "d")], (0, 19)),
        ([node("Mul", "ids", "two", output="d"), gather("words", "d")], (0, 14)),
        ([node("Mul", "ids", "two", output="d"), node("Add", "d", "one", output="e"), gather("words", "e")], (0, 14)),
        ([node("Max", "ids", "zero", output="d"), gather("words", "d")], (0, 29)),
        ([node("Div", "ids", "two", output="d"), gather("words", "d")], (0, 29)),
        ([node("Div", "two", "ids", output="d"), gather("words", "d")], (1, 99)),
        ([node("Neg", "ids", output="d"), gather("words", "d")], (0, 29)),
        ([node("Mod", "words", "ids")], (1, 99)),
        ([node("RoiAlign", "image", "boxes", "ids")], (0, 0)),
        ([node("RotaryEmbedding", "image", "ids", "words", "words", domain="com.microsoft")], (0, 29)),
        ([node("RotaryEmbedding", "image", "words", "words", "ids")], (0, 29)),
        ([gather("ids", "flat")], None),
    ],
)
def test_bounds_are_those_of_the_smallest_table_that_takes_the_input(
    tmp_path: Path, nodes: list[onnx.NodeProto], bounds: tuple[int, int] | None
) -> None:
    use = uses(tmp_path, nodes).get("ids")
    assert bounds == (None if use is None or use.high is None else (use.low, use.high))


def test_a_single_position_is_that_of_the_first_token(tmp_path: Path) -> None:
    rotary = node("RotaryEmbedding", "image", "at", "words", "words", domain="com.microsoft")
    assert uses(tmp_path, [rotary], {"at": (INT64, (1,))})["at"].high == 0


@pytest.mark.parametrize(
    ("nodes", "value"),
    [
        ([node("Expand", "words", "ids")], 1),
        ([node("Unsqueeze", "words", "ids")], 0),
        ([node("ReduceSum", "words", "ids")], 0),
        ([node("Slice", "words", "ids", "one")], 0),
        ([node("Cast", "ids", output="d", to=INT64), node("CumSum", "words", "d")], 0),
        ([node("Reshape", "words", "ids")], 0),
    ],
)
def test_a_parameter_of_an_operation_has_a_value_that_the_operation_takes(
    tmp_path: Path, nodes: list[onnx.NodeProto], value: int
) -> None:
    assert uses(tmp_path, nodes)["ids"].constant == value


@pytest.mark.parametrize(
    ("nodes", "value"),
    [
        ([node("Resize", "image", "", "at")], 1),
        ([node("Cast", "at", output="sizes", to=INT64), node("Resize", "image", "", "", "sizes")], 8),
        ([node("Div", "words", "at")], None),
    ],
)
def test_a_size_that_a_model_takes_as_a_float_is_no_fraction(
    tmp_path: Path, nodes: list[onnx.NodeProto], value: int | None
) -> None:
    use = uses(tmp_path, nodes, {"at": (FLOAT, (4,))}).get("at")
    assert (use and use.constant) == value


def test_a_single_size_takes_all_elements_and_a_split_is_in_equal_parts(tmp_path: Path) -> None:
    assert uses(tmp_path, [node("Reshape", "words", "ids")], {"ids": (INT64, (1,))})["ids"].constant == -1
    split = helper.make_node("Split", ["words", "ids"], ["y", "z"], axis=0)
    assert uses(tmp_path, [split], {"ids": (INT64, (2,))})["ids"].constant == 15


def test_a_table_in_a_branch_and_in_a_function_bounds_its_index(tmp_path: Path) -> None:
    branch = helper.make_graph(
        [gather("words", "ids", "t")], "b", [], [helper.make_tensor_value_info("t", FLOAT, None)]
    )
    chosen = node("If", "c", then_branch=branch, else_branch=branch)
    inputs: dict[str, tuple[int, Sequence[int]]] = {"ids": (INT64, (1, 8)), "c": (BOOL, ())}
    assert uses(tmp_path, [chosen], inputs)["ids"].high == 29
    function = helper.make_function(
        "own", "Embed", ["table", "i"], ["o"], [gather("table", "i", "o")], [helper.make_opsetid("", 17)]
    )
    called = [node("Embed", "words", "ids", domain="own")]
    assert uses(tmp_path, called, functions=[function])["ids"].high == 29


def test_categories_are_those_of_the_encoder_and_columns_have_their_own(tmp_path: Path) -> None:
    label = node("LabelEncoder", "t", domain="ai.onnx.ml", keys_strings=["a", "b"], values_int64s=[0, 1])
    assert uses(tmp_path, [label], {"t": (STRING, ("n", 1))})["t"].columns == {0: ("a", "b")}
    nodes = [
        node("Concat", "t", "u", output="c", axis=1),
        node("ArrayFeatureExtractor", "c", "zero", output="first", domain="ai.onnx.ml"),
        node("ArrayFeatureExtractor", "c", "two", output="third", domain="ai.onnx.ml"),
        node("OneHotEncoder", "first", output="f", domain="ai.onnx.ml", cats_strings=["x", "y"]),
        node("OneHotEncoder", "third", domain="ai.onnx.ml", cats_strings=["z"]),
    ]
    found = uses(tmp_path, nodes, {"t": (STRING, ("n", 1)), "u": (STRING, ("n", 2))})
    assert found["t"].columns == {0: ("x", "y")}
    assert found["u"].columns == {1: ("z",)}


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        ("attention_mask", INT64, 1),
        ("mask", BOOL, 1),
        ("padding_mask", BOOL, 0),
        ("mask_input", FLOAT, None),
        ("ids", INT64, None),
    ],
)
def test_masks_are_known_by_their_names_and_types(tmp_path: Path, name: str, kind: int, value: int | None) -> None:
    found = uses(tmp_path, [node("Cast", name, to=FLOAT)], {name: (kind, (1, 8))})
    assert found.get(name, InputUse()).constant == value


def test_a_mask_is_known_by_what_the_graph_does_with_it(tmp_path: Path) -> None:
    nodes = [node("Cast", "keep", output="f", to=FLOAT), node("Sub", "float one", "f")]
    assert uses(tmp_path, nodes, {"keep": (INT64, (1, 8))})["keep"].constant == 1


def test_a_switch_has_the_first_value_that_it_is_compared_with(tmp_path: Path) -> None:
    nodes = [node("Equal", "sr", "rate", output="a"), node("Equal", "sr", "other rate")]
    assert uses(tmp_path, nodes, {"sr": (INT64, ())})["sr"].constant == 16000
    assert uses(tmp_path, nodes, {"sr": (INT64, (1, 8))}).get("sr", InputUse()).constant is None, "ids are no switch"


def test_lengths_are_known_by_the_layer_that_takes_them_and_by_name(tmp_path: Path) -> None:
    layer = node("LSTM", "x", "w", "r", "", "n", hidden_size=2)
    inputs: dict[str, tuple[int, Sequence[int | str]]] = {"x": (FLOAT, ("t", "b", 4)), "n": (INT64, ("b",))}
    assert uses(tmp_path, [layer], inputs)["n"].length
    named = node("Cast", "input_lengths", to=FLOAT)
    assert uses(tmp_path, [named], {"input_lengths": (INT64, ("b",))})["input_lengths"].length


def test_a_broken_graph_tells_nothing(tmp_path: Path) -> None:
    nodes = [node("Gather", "words", output="a"), node("OneHot", "ids"), gather("nothing", "ids")]
    assert uses(tmp_path, nodes) == {}
