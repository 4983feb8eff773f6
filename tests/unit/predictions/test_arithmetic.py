"""The arithmetic of operations beside hand counts: the same work has the same cost, however a graph writes it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.predictions import predict
from edgesim.predictions.graph import Node, read
from edgesim.predictions.model_reader import ModelReader

BOARD = "raspberry-pi-4"


def model(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int]],
    weights: Mapping[str, np.ndarray] | None = None,
    *,
    outputs: Mapping[str, Sequence[int] | None] | None = None,
    opsets: Mapping[str, int] | None = None,
    types: Mapping[str, int] | None = None,
) -> Model:
    """Write a model and return it."""
    versions = {"": 17} | dict(opsets or {})
    kinds = types or {}
    proto = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info(n, kinds.get(n, TensorProto.FLOAT), s) for n, s in inputs.items()],
        [
            helper.make_tensor_value_info(n, kinds.get(n, TensorProto.FLOAT), s)
            for n, s in (outputs or {"y": None}).items()
        ],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    imports = [helper.make_opsetid(domain, version) for domain, version in versions.items()]
    onnx.save(helper.make_model(proto, opset_imports=imports, ir_version=10), path)
    return repository.read(path, name=path.stem)


def only(path: Path, *arguments: Any, **keywords: Any) -> Node:
    """Return the one node of a model."""
    (node,) = read(model(path, *arguments, **keywords).path)
    return node


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("equation", "left", "right"),
    [
        ("bij,jk->bik", (1, 256, 256), (256, 256)),
        ("...ij,jk->...ik", (1, 256, 256), (256, 256)),
        ("bij,jk", (1, 256, 256), (256, 256)),
        ("bhid,bhjd->bhij", (1, 4, 64, 256), (1, 4, 256, 256)),
    ],
)
def test_a_product_takes_as_long_as_einsum_as_it_does_as_matmul(
    tmp_path: Path, equation: str, left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    einsum = [helper.make_node("Einsum", ["x", "w"], ["y"], equation=equation)]
    product = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    one = predict(BOARD, model(tmp_path / "e.onnx", einsum, {"x": left}, {"w": zeros(*right)}))
    other = predict(BOARD, model(tmp_path / "m.onnx", product, {"x": left}, {"w": zeros(*right)}))
    assert one.p50_ms == pytest.approx(other.p50_ms, rel=0.1)
    assert one.flops == other.flops


def test_einsum_of_three_operands_is_counted_pair_by_pair(tmp_path: Path) -> None:
    nodes = [helper.make_node("Einsum", ["x", "u", "v"], ["y"], equation="ij,jk,kl->il")]
    node = only(tmp_path / "e.onnx", nodes, {"x": [8, 16]}, {"u": zeros(16, 32), "v": zeros(32, 64)})
    assert node.flops == 2 * 8 * 16 * 32 + 2 * 8 * 32 * 64


def test_einsum_that_sums_nothing_moves_data(tmp_path: Path) -> None:
    nodes = [helper.make_node("Einsum", ["x"], ["y"], equation="ij->ji")]
    assert only(tmp_path / "e.onnx", nodes, {"x": [8, 16]}).kind == "data movement"


@pytest.mark.parametrize(("operation", "gates", "functions"), [("LSTM", 4, 5), ("GRU", 3, 3), ("RNN", 1, 1)])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_a_recurrent_layer_is_a_product_in_each_step(
    tmp_path: Path, operation: str, gates: int, functions: int, direction: str
) -> None:
    steps, rows, width, hidden, directions = 10, 2, 8, 16, 2 if direction == "bidirectional" else 1
    weights = {"w": zeros(directions, gates * hidden, width), "r": zeros(directions, gates * hidden, hidden)}
    node = helper.make_node(operation, ["x", "w", "r"], ["y"], hidden_size=hidden, direction=direction)
    read_node = only(tmp_path / "l.onnx", [node], {"x": [steps, rows, width]}, weights)
    of_functions = steps * rows * directions * hidden * functions * 20
    assert read_node.flops == 2 * steps * rows * directions * gates * hidden * (width + hidden) + of_functions
    assert (read_node.functions, read_node.kind) == (of_functions, "recurrent")


def test_recurrent_weights_beyond_the_cache_are_read_in_each_step(tmp_path: Path) -> None:
    def moved(hidden: int, steps: int) -> int:
        weights = {"w": zeros(1, 4 * hidden, 8), "r": zeros(1, 4 * hidden, hidden)}
        node = helper.make_node("LSTM", ["x", "w", "r"], ["", "y"], hidden_size=hidden)
        return only(tmp_path / "l.onnx", [node], {"x": [steps, 1, 8]}, weights).moved_bytes

    small, large = 4 * 4 * 64 * 64, 4 * 4 * 512 * 512
    assert moved(64, 101) - moved(64, 1) < small
    assert moved(512, 101) - moved(512, 1) > 100 * large


def test_attention_counts_both_products_and_its_softmax(tmp_path: Path) -> None:
    batch, heads, rows, keys, width = 2, 4, 16, 32, 8
    shapes = {"q": [batch, heads, rows, width], "k": [batch, heads, keys, width], "v": [batch, heads, keys, width]}
    node = helper.make_node("Attention", ["q", "k", "v"], ["y"])
    read_node = only(tmp_path / "a.onnx", [node], shapes, opsets={"": 23})
    scores = batch * heads * rows * keys
    assert read_node.functions == 18 * scores
    assert read_node.flops == 2 * 2 * scores * width + 18 * scores
    assert read_node.moved_bytes > 4 * 4 * scores


def test_com_microsoft_attention_counts_its_projections(tmp_path: Path) -> None:
    rows, width, heads = 16, 32, 4
    weights = {"w": zeros(width, 3 * width), "b": zeros(3 * width)}
    node = helper.make_node("Attention", ["x", "w", "b"], ["y"], domain="com.microsoft", num_heads=heads)
    attention = model(tmp_path / "a.onnx", [node], {"x": [1, rows, width]}, weights, opsets={"com.microsoft": 1})
    (read_node,) = ModelReader(attention).graph().nodes
    scores = heads * rows * rows
    projections, products = 2 * rows * width * 3 * width, 2 * 2 * rows * rows * width
    assert read_node.flops == projections + products + 18 * scores


def test_grouped_queries_attend_to_the_cache_too(tmp_path: Path) -> None:
    heads, width, past = 4, 8, 20
    types = {"lengths": TensorProto.INT32, "total": TensorProto.INT32}
    node = helper.make_node(
        "GroupQueryAttention",
        ["q", "k", "v", "pk", "pv", "lengths", "total"],
        ["y", "key", "value"],
        domain="com.microsoft",
        num_heads=heads,
        kv_num_heads=2,
    )
    shapes = {"q": [1, 1, heads * width], "k": [1, 1, 2 * width], "v": [1, 1, 2 * width]}
    caches = {"pk": [1, 2, past, width], "pv": [1, 2, past, width], "lengths": [1], "total": [1]}
    attention = model(
        tmp_path / "g.onnx",
        [node],
        shapes | caches,
        outputs={"y": [1, 1, heads * width], "key": [1, 2, past + 1, width], "value": [1, 2, past + 1, width]},
        opsets={"com.microsoft": 1},
        types=types,
    )
    (read_node,) = read(attention.path)
    assert read_node.functions == 18 * heads * (past + 1)


def test_four_bit_weights_take_half_a_byte_and_their_product_is_counted(tmp_path: Path) -> None:
    depth, columns, blocks = 256, 128, 256 // 32
    weights = {"w": np.zeros((columns, blocks, 16), np.uint8), "s": zeros(columns * blocks)}
    node = helper.make_node(
        "MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft", K=depth, N=columns, bits=4, block_size=32
    )
    packed = model(tmp_path / "n.onnx", [node], {"x": [1, depth]}, weights, opsets={"com.microsoft": 1})
    (read_node,) = ModelReader(packed).graph().nodes
    assert read_node.weight_bytes == depth * columns // 2 + 4 * columns * blocks
    assert read_node.flops >= 2 * depth * columns
    assert (read_node.precision, read_node.kind) == ("int4", "matrix product")


def test_a_table_is_read_where_it_is_indexed_only(tmp_path: Path) -> None:
    node = helper.make_node("Gather", ["table", "ids"], ["y"])
    gather = only(
        tmp_path / "g.onnx", [node], {"ids": [1, 4]}, {"table": zeros(50_000, 64)}, types={"ids": TensorProto.INT64}
    )
    assert gather.moved_bytes == 2 * 4 * 4 * 64 + 8 * 4


def trees(count: int, depth: int) -> onnx.NodeProto:
    """Return a regressor of complete trees."""
    nodes = 2 ** (depth + 1) - 1
    inner = 2**depth - 1
    ids = list(range(nodes))
    return helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_treeids=[tree for tree in range(count) for _ in ids],
        nodes_nodeids=ids * count,
        nodes_featureids=[0] * nodes * count,
        nodes_modes=(["BRANCH_LEQ"] * inner + ["LEAF"] * (nodes - inner)) * count,
        nodes_values=[0.5] * nodes * count,
        nodes_truenodeids=[2 * i + 1 if i < inner else 0 for i in ids] * count,
        nodes_falsenodeids=[2 * i + 2 if i < inner else 0 for i in ids] * count,
        target_treeids=[tree for tree in range(count) for _ in range(nodes - inner)],
        target_nodeids=list(range(inner, nodes)) * count,
        target_ids=[0] * (nodes - inner) * count,
        target_weights=[1.0] * (nodes - inner) * count,
    )


def test_trees_cost_their_depth_for_each_row(tmp_path: Path) -> None:
    forest = model(tmp_path / "t.onnx", [trees(10, 6)], {"x": [3, 4]}, opsets={"ai.onnx.ml": 3})
    (node,) = ModelReader(forest).graph().nodes
    assert (node.kind, node.steps) == ("tree ensemble", 3 * 10 * 6)
    uncached = model(tmp_path / "u.onnx", [trees(300, 8)], {"x": [3, 4]}, opsets={"ai.onnx.ml": 3})
    assert ModelReader(uncached).graph().nodes[0].steps == 3 * 3 * 300 * 8, "153,300 nodes wait for the memory"
    larger = model(tmp_path / "l.onnx", [trees(1000, 8)], {"x": [3, 4]}, opsets={"ai.onnx.ml": 3})
    assert predict(BOARD, larger).p50_ms > 10 * predict(BOARD, forest).p50_ms


def test_half_precision_is_not_quicker_on_a_core_without_it(tmp_path: Path) -> None:
    """Without such instructions the runtime computes in fp32; with them, the tensors are half as large."""
    products = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    singles = model(tmp_path / "s.onnx", products, {"x": [1, 2048]}, {"w": zeros(2048, 2048)})
    halves = model(
        tmp_path / "h.onnx",
        products,
        {"x": [1, 2048]},
        {"w": np.zeros((2048, 2048), np.float16)},
        types={"x": TensorProto.FLOAT16, "y": TensorProto.FLOAT16},
    )
    assert predict(BOARD, halves).p50_ms >= predict(BOARD, singles).p50_ms
    assert any("no half-precision arithmetic" in note for note in predict(BOARD, halves).notes)
    assert predict("raspberry-pi-5", halves).p50_ms < predict("raspberry-pi-5", singles).p50_ms


@pytest.mark.parametrize(
    ("order", "known"),
    [
        ([0, 2, 1, 3], True),  # the last axis stays
        ([0, 2, 3, 1], True),  # one axis moves
        ([0, 3, 1, 2], True),
        ([3, 2, 1, 0], False),
        ([0, 3, 2, 1], False),
        ([1, 0, 3, 2], False),
    ],
)
def test_a_transpose_that_moves_element_by_element_is_timed_on_this_host(
    order: list[int], known: bool, tmp_path: Path
) -> None:
    transposed = model(
        tmp_path / "t.onnx", [helper.make_node("Transpose", ["x"], ["y"], perm=order)], {"x": [2, 3, 4, 5]}
    )
    (node,) = ModelReader(transposed).graph().nodes
    assert (node.known, node.host_seconds is None) == (known, known)


@pytest.mark.parametrize(("opset", "known"), [(17, True), (19, False), (22, False)])
def test_average_pooling_of_new_opsets_is_timed_on_this_host(opset: int, known: bool, tmp_path: Path) -> None:
    pooling = helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3])
    (node,) = ModelReader(model(tmp_path / "p.onnx", [pooling], {"x": [1, 4, 8, 8]}, opsets={"": opset})).graph().nodes
    assert (node.known, node.host_seconds is None) == (known, known)


def test_a_selection_writes_and_reads_each_side_once_more(tmp_path: Path) -> None:
    inputs = {"c": [4, 1], "a": [4, 8], "b": [1]}
    nodes, kinds = [helper.make_node("Where", ["c", "a", "b"], ["y"])], {"c": TensorProto.BOOL}
    node = only(tmp_path / "w.onnx", nodes, inputs, types=kinds)
    sides, output = 4 + 4 * 32 + 4, 4 * 32
    assert node.moved_bytes == sides + output + 4 * output


@pytest.mark.parametrize(
    ("operation", "flops"),
    [("Sigmoid", 20), ("Elu", 38), ("Selu", 42), ("Celu", 38), ("Log", 30), ("Sin", 50), ("Erf", 52), ("Exp", 22)],
)
def test_functions_are_priced_by_the_instructions_of_an_element(tmp_path: Path, operation: str, flops: int) -> None:
    node = only(tmp_path / "f.onnx", [helper.make_node(operation, ["x"], ["y"])], {"x": [64, 64]})
    assert node.functions == node.flops == 64 * 64 * flops


@pytest.mark.parametrize(
    ("exponent", "flops"),
    [(np.float32(2), 20), (np.int64(3), 20), (np.float32(0.5), 245), (np.array([2, 3], np.float32), 245)],
)
@pytest.mark.parametrize("as_node", [False, True])
def test_a_power_costs_by_its_exponent(
    tmp_path: Path, exponent: np.ndarray | np.generic, flops: int, as_node: bool
) -> None:
    nodes, weights = [helper.make_node("Pow", ["x", "e"], ["y"])], {"e": np.asarray(exponent)}
    if as_node:
        nodes.insert(0, helper.make_node("Constant", [], ["e"], value=numpy_helper.from_array(weights.pop("e"))))
    assert only(tmp_path / "p.onnx", nodes, {"x": [64, 2]}, weights).functions == 64 * 2 * flops


def test_a_slope_for_each_channel_is_no_vector_operation(tmp_path: Path) -> None:
    slopes = {"s": zeros(8, 1, 1)}
    sloped = model(tmp_path / "p.onnx", [helper.make_node("PRelu", ["x", "s"], ["y"])], {"x": [1, 8, 64, 64]}, slopes)
    leaky = model(tmp_path / "l.onnx", [helper.make_node("LeakyRelu", ["x"], ["y"])], {"x": [1, 8, 64, 64]})
    assert predict(BOARD, sloped).p50_ms > 1.3 * predict(BOARD, leaky).p50_ms
