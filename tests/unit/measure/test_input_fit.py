"""Inputs that the model does not take are told before a board is started for them."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesim import inputs
from edgesim.errors import ModelError
from edgesim.measure.input_fit import require_fit
from edgesim.measure.reference import Reference, RunFailed
from edgesim.models import repository, tensor_types
from edgesim.models.repository import Model
from edgesim.options import InputOptions

TABLE = numpy_helper.from_array(np.ones((50, 4), np.float32), "table")


def vocabulary(directory: Path, *, hidden: bool) -> Model:
    """Return a model that takes ids of 50 words; with `hidden`, the graph does not say so simply."""
    node = helper.make_node("Add", ["ids", "ids"], ["twice"])
    gather = helper.make_node("Gather", ["table", "twice" if hidden else "ids"], ["y"], name="embedding")
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, [1, 16])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 16, 4])
    graph = helper.make_graph([node, gather] if hidden else [gather], "net", [ids], [output], [TABLE])
    path = directory / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return repository.find(path)


def fit(model: Model, options: InputOptions) -> inputs.Inputs:
    chosen = inputs.choose(model, options)
    require_fit(model, Reference(model), chosen)
    return chosen


def test_random_ids_stay_within_the_table_that_they_index(tmp_path: Path) -> None:
    chosen = fit(vocabulary(tmp_path, hidden=False), InputOptions())
    assert max(int(request["ids"].max()) for request in chosen.requests) == 49


def test_refused_random_input_is_named_with_value_bound_and_range(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        fit(vocabulary(tmp_path, hidden=False), InputOptions(ranges={"ids": (60, 60)}))
    assert caught.value.problem == (
        "these random inputs do not fit model net: ids has 60, and Gather embedding takes 0 to 49"
    )
    assert caught.value.fix == "`ranges` ids=0:49, values in a file: `inputs_file`, or real inputs: `input`"


def test_refused_input_of_a_hidden_table_has_the_runtimes_words(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"computes 1\d\d from them, and Gather embedding takes 0 to 49") as caught:
        fit(vocabulary(tmp_path, hidden=True), InputOptions(ranges={"ids": (60, 99)}))
    assert caught.value.fix.startswith("`ranges` NAME=LOW:HIGH, ")


@pytest.mark.parametrize(
    ("sizes", "fix"),
    [
        ((1, "width"), "`dims` width=W, `ranges` NAME=LOW:HIGH, "),
        # A batch has a size unless the user gives one.
        (("rows", 7), "`dims` rows=N, `ranges` NAME=LOW:HIGH, "),
        ((1, 7), "`ranges` NAME=LOW:HIGH, "),
    ],
)
def test_sizes_that_do_not_fit_are_asked_for_where_the_model_leaves_them_open(
    tmp_path: Path, sizes: tuple[int | str, ...], fix: str
) -> None:
    taken = helper.make_tensor_value_info("x", TensorProto.FLOAT, sizes)
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    # How many elements are not zero is known at run time only, so that the model loads.
    nodes = [helper.make_node("NonZero", ["x"], ["places"]), helper.make_node("Cast", ["places"], ["c"], to=1)]
    nodes += [helper.make_node("Reshape", ["c", "rows"], ["y"])]
    rows = numpy_helper.from_array(np.array([3, 5]), "rows")
    path = tmp_path / "net.onnx"
    graph = helper.make_graph(nodes, "net", [taken], [output], [rows])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    with pytest.raises(ModelError, match="do not fit model net") as caught:
        fit(repository.find(path), InputOptions(dims={"width": 7}) if "width" in sizes else InputOptions())
    assert caught.value.fix.startswith(fix)


@pytest.mark.parametrize(
    ("node", "kind", "value", "words"),
    [
        (
            helper.make_node("GatherND", ["table", "i"], ["y"]),
            TensorProto.INT64,
            60,
            "i has 60, and GatherND takes 0 to 49",
        ),
        (helper.make_node("GatherElements", ["table", "i"], ["y"]), TensorProto.INT64, 60, "takes 0 to 49"),
        (
            helper.make_node("RoiAlign", ["image", "boxes", "i"], ["y"]),
            TensorProto.INT64,
            9,
            "i has 9, and RoiAlign takes 0 to 0",
        ),
        (helper.make_node("TopK", ["row", "i"], ["y", "k"]), TensorProto.INT64, 9, "i has 9, and TopK takes 0 to 4"),
        (
            helper.make_node("LSTM", ["x", "w", "r", "", "i"], ["y"], hidden_size=2),
            TensorProto.INT32,
            9,
            "i has 9, and LSTM takes 0 to 3",
        ),
        (
            helper.make_node("OneHotEncoder", ["i"], ["y"], domain="ai.onnx.ml", cats_strings=["a", "b"], zeros=0),
            TensorProto.STRING,
            "z",
            "i has 'z', and OneHotEncoder takes 'a', 'b'",
        ),
    ],
)
def test_refused_value_is_told_whatever_words_the_runtime_has_for_it(
    tmp_path: Path, node: onnx.NodeProto, kind: int, value: int | str, words: str
) -> None:
    shape = [1, 1] if node.op_type in ("GatherND", "GatherElements") else [1]
    weights = {"row": np.ones(4), "x": np.ones((3, 1, 4)), "w": np.ones((1, 8, 4)), "r": np.ones((1, 8, 2))}
    weights |= {"image": np.ones((1, 1, 4, 4)), "boxes": np.ones((1, 4))}
    given = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()]
    taken = helper.make_tensor_value_info("i", kind, shape)
    graph = helper.make_graph(
        [node], "net", [taken], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], [TABLE, *given]
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    model = repository.find(path)
    (dtype,) = {tensor_types.BY_DATATYPE[tensor.datatype].dtype for tensor in model.inputs}
    chosen = inputs.Inputs(({"i": np.full(shape, value, dtype)},), "by hand")
    with pytest.raises(ModelError) as caught:
        require_fit(model, Reference(model), chosen)
    assert words in caught.value.problem


def test_later_request_is_refused_as_well(tmp_path: Path) -> None:
    model, ids = vocabulary(tmp_path, hidden=False), np.full((1, 16), 3, np.int64)
    chosen = inputs.Inputs(({"ids": ids}, {"ids": ids + 60}), "2 real ones from ids.npz")
    with pytest.raises(ModelError, match=r"the inputs \(2 real ones from ids.npz\) do not fit model net: ids has 63"):
        require_fit(model, Reference(model), chosen)


def test_words_of_the_runtime_lose_the_places_in_its_sources() -> None:
    failure = RunFailed(
        "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running LSTM node. "
        "Name:'rnn' Status Message: /onnxruntime_src/core/a.cc:42 virtual void F(int) Invalid value\x1b[m2026"
    )
    assert (failure.node, failure.cause) == ("LSTM rnn", "Invalid value")


def test_the_node_that_failed_is_the_innermost_of_branches() -> None:
    words = "Non-zero status code returned while running {} node. Name:'{}' Status Message: "
    failure = RunFailed(words.format("If", "choice") + words.format("LSTM", "rnn") + "Input X must have 3 dimensions")
    assert (failure.node, failure.cause) == ("LSTM rnn", "Input X must have 3 dimensions")


def test_words_of_the_runtime_without_a_node_lose_its_prefix() -> None:
    failure = RunFailed("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: x")
    assert str(failure) == "Got invalid dimensions for input: x"


def test_two_sizes_of_one_name_are_told_as_such(tmp_path: Path) -> None:
    x, z = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "steps"]) for name in "xz")
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "steps"])
    graph = helper.make_graph([helper.make_node("Mul", ["x", "z"], ["y"])], "net", [x, z], [output])
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    options = InputOptions(shapes={"x": (1, 12), "z": (1, 13)})
    with pytest.raises(ModelError, match=r"x has 12 for steps, and z 13 \(Mul: Attempting to broadcast") as caught:
        fit(repository.find(path), options)
    assert caught.value.fix == "`dims` steps=N, for both"
