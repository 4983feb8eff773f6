"""A graph as work: operations and bytes compared with hand counts, and graphs that cannot be read."""

import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static

from edgesim.errors import ModelError
from edgesim.models import repository, samples
from edgesim.models.repository import Model
from edgesim.predictions import graph

FLOAT = TensorProto.FLOAT


def save(path: Path, nodes: list[onnx.NodeProto], inputs: dict[str, list[int | str]], **weights: np.ndarray) -> Path:
    proto = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    onnx.save(helper.make_model(proto, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_the_work_of_a_convolution_equals_a_hand_count(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    weights = np.zeros((16, 3, 3, 3), np.float32)
    (node,) = graph.read(save(tmp_path / "m.onnx", nodes, {"x": [1, 3, 32, 32]}, w=weights))
    assert (node.kind, node.fused, node.shape) == ("convolution", ("Relu",), (1, 16, 16, 16))
    assert node.flops == 2 * 16 * 16 * 16 * 27
    assert (node.read_bytes, node.weight_bytes, node.written_bytes) == (4 * 3 * 32 * 32, 4 * 16 * 27, 4 * 16 * 16 * 16)


@pytest.mark.parametrize(
    ("weights", "group", "kind"),
    [
        ((8, 8, 1, 1), 1, "pointwise convolution"),
        ((8, 1, 3, 3), 8, "depthwise convolution"),
        ((8, 4, 3, 3), 2, "convolution"),
    ],
)
def test_kinds_of_convolutions_are_distinguished(
    tmp_path: Path, weights: tuple[int, ...], group: int, kind: str
) -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], group=group)]
    (node,) = graph.read(save(tmp_path / "m.onnx", nodes, {"x": [1, 8, 8, 8]}, w=np.zeros(weights, np.float32)))
    assert node.kind == kind
    assert node.flops == 2 * np.prod(node.shape) * np.prod(weights[1:])


def test_a_product_counts_its_depth_and_includes_its_bias(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Add", ["m", "b"], ["y"])]
    weights = {"w": np.zeros((64, 10), np.float32), "b": np.zeros(10, np.float32)}
    (node,) = graph.read(save(tmp_path / "m.onnx", nodes, {"x": [5, 64]}, **weights))
    assert (node.flops, node.fused, node.product) == (2 * 5 * 64 * 10, ("Add",), (5, 10, 64))


def test_sizes_that_the_graph_computes_are_known(tmp_path: Path) -> None:
    """Exporters write a reshape like this: a size is extracted, divided and concatenated."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "one"], ["channels"]),
        helper.make_node("Div", ["channels", "two"], ["half"]),
        helper.make_node("Unsqueeze", ["half", "zero"], ["halves"]),
        helper.make_node("Concat", ["lead", "halves", "tail"], ["sizes"], axis=0),
        helper.make_node("Reshape", ["x", "sizes"], ["r"]),
        helper.make_node("Transpose", ["r"], ["y"], perm=[0, 2, 1, 3]),
    ]
    numbers = {
        "one": np.array(1),
        "two": np.array(2),
        "zero": np.array([0]),
        "lead": np.array([1, 2]),
        "tail": np.array([-1]),
    }
    (node,) = graph.read(save(tmp_path / "m.onnx", nodes, {"x": [1, 8, 4, 4]}, **numbers))
    assert (node.operation, node.shape) == ("Transpose", (1, 4, 2, 16))


@pytest.mark.parametrize(
    ("sizes", "fix"),
    [
        (["batch", "words"], "sizes that go together: `dims` batch=N `dims` words=N"),
        ([1, 7], "export the model again: it fixes the sizes itself"),
    ],
)
def test_sizes_that_contradict_each_other_are_told_with_those_to_change(
    tmp_path: Path, sizes: list[str | int], fix: str
) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    path = save(tmp_path / "m.onnx", nodes, {"x": sizes}, w=np.zeros((8, 8), np.float32))
    with pytest.raises(ModelError, match="contradict each other at MatMul y") as caught:
        graph.read(path, shapes={"x": [1, 7]} if "words" in sizes else None)
    assert caught.value.fix == fix


def test_a_size_that_is_only_known_at_run_time_must_be_given(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    path = save(tmp_path / "m.onnx", nodes, {"x": ["batch", "words", 8]}, w=np.zeros((8, 8), np.float32))
    with pytest.raises(ModelError, match="only known at run time") as caught:
        graph.read(path)
    assert "`shapes` x=N,N,N" in caught.value.fix
    (node,) = graph.read(path, shapes={"x": [2, 16, 8]})
    assert node.flops == 2 * 2 * 16 * 8 * 8
    with pytest.raises(ModelError, match="has no input z; it takes x"):
        graph.read(path, shapes={"z": [1]})
    with pytest.raises(ModelError, match="has 3 dimensions, not 1"):
        graph.read(path, shapes={"x": [1]})


def test_a_size_that_depends_on_values_is_refused_with_its_node(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("NonZero", ["x"], ["n"]),
        helper.make_node("Cast", ["n"], ["f"], to=FLOAT, name="after"),
        helper.make_node("Relu", ["f"], ["y"]),
    ]
    with pytest.raises(ModelError, match=r"of n .of NonZero .* is only known at run time"):
        graph.read(save(tmp_path / "m.onnx", nodes, {"x": [4, 4]}))


def test_a_graph_of_views_and_constants_alone_copies_its_outputs(tmp_path: Path) -> None:
    (view,) = graph.read(save(tmp_path / "v.onnx", [helper.make_node("Flatten", ["x"], ["y"])], {"x": [1, 8, 4]}))
    assert (view.kind, view.shape, view.read_bytes, view.written_bytes) == ("data movement", (1, 32), 128, 128)
    folded = helper.make_node("Add", ["a", "a"], ["y"])
    (constant,) = graph.read(save(tmp_path / "c.onnx", [folded], {"x": [1]}, a=np.ones((4, 4), np.float32)))
    assert (constant.name, constant.written_bytes) == ("y", 64)


def test_an_unknown_operation_is_counted_and_marked(tmp_path: Path) -> None:
    nodes = [helper.make_node("Det", ["x"], ["y"])]
    (node,) = graph.read(save(tmp_path / "m.onnx", nodes, {"x": [4, 4]}))
    assert (node.kind, node.known, node.read_bytes) == ("other", False, 64)


def test_a_graph_out_of_order_costs_what_it_costs_in_order(resnet18: Model, tmp_path: Path) -> None:
    proto = onnx.load(resnet18.path)
    nodes = list(reversed(proto.graph.node))
    del proto.graph.node[:], proto.graph.value_info[:]
    proto.graph.node.extend(nodes)
    onnx.save(proto, tmp_path / "reversed.onnx")
    in_order, out_of_order = (graph.read_graph(path) for path in (resnet18.path, tmp_path / "reversed.onnx"))
    # Which of two convolutions an addition is fused into follows the order; the arithmetic does not.
    ones, others = ({each.name: (each.flops, each.shape) for each in read.nodes} for read in (in_order, out_of_order))
    assert others == ones


def test_a_batch_multiplies_the_work(resnet18: Model) -> None:
    one, four = (sum(node.flops for node in graph.read(resnet18.path, batch=batch)) for batch in (1, 4))
    assert four == pytest.approx(4 * one, rel=0.01)


@pytest.mark.parametrize("name", ["digits", "mobilenet_v2", "resnet18"])
def test_the_fusions_are_those_of_the_runtime(name: str, tmp_path: Path) -> None:
    """Compare with the graph that ONNX Runtime writes, before it changes the memory layout for this host's kernels."""
    model, path = repository.find(name, samples.ensure(name)), tmp_path / "optimized.onnx"
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    onnxruntime.InferenceSession(model.path, options, providers=["CPUExecutionProvider"])
    in_runtime = [node.op_type.removeprefix("Fused") for node in onnx.load(path).graph.node]
    nodes = graph.read(model.path)
    # ONNX Runtime fuses the sum of a residual block and the activation after it only at the next optimization level.
    sums = [operation for node in nodes for operation in node.fused if "Add" in node.fused and operation != "Clip"]
    views = ("Reshape", "Flatten", "Squeeze", "Identity")
    assert sorted([node.operation for node in nodes] + sums) == sorted(op for op in in_runtime if op not in views)


def test_six_hundred_nodes_are_read_in_under_a_second(tmp_path: Path) -> None:
    """One second is what edgesim promises; a tenth is typical."""
    nodes, last = [], "x"
    for i in range(200):
        nodes += [
            helper.make_node("Conv", [last, "w"], [f"c{i}"], pads=[1, 1, 1, 1]),
            helper.make_node("Sigmoid", [f"c{i}"], [f"s{i}"]),
            helper.make_node("Mul", [f"c{i}", f"s{i}"], [f"m{i}" if i < 199 else "y"]),
        ]
        last = f"m{i}"
    path = save(tmp_path / "m.onnx", nodes, {"x": [1, 8, 64, 64]}, w=np.zeros((8, 8, 3, 3), np.float32))
    begun = time.process_time()
    read = graph.read(path)
    assert time.process_time() - begun < 1
    assert [node.operation for node in read] == ["Conv", "Sigmoid"] * 200


class _Noise(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        generator = np.random.default_rng(0)
        self._left = [{name: generator.random(shape, np.float32)} for _ in range(2)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return self._left.pop() if self._left else None


def test_quantized_models_are_int8_where_they_compute(tmp_path: Path, resnet18: Model) -> None:
    floats = graph.read(resnet18.path)
    quantize_static(str(resnet18.path), str(tmp_path / "static.onnx"), _Noise("image", (1, 3, 224, 224)))
    static = graph.read(tmp_path / "static.onnx")
    products = [node for node in static if node.product is not None]
    assert {node.precision for node in products} == {"int8"}
    assert sum(node.flops for node in products) == pytest.approx(sum(n.flops for n in floats if n.product), rel=0.01)
    assert {node.precision for node in static} == {"int8"}
    assert sum(node.moved_bytes for node in static) < sum(node.moved_bytes for node in floats)
    assert [node.operation for node in static].count("DequantizeLinear") == 1, "the one that makes the output"
    quantize_dynamic(resnet18.path, tmp_path / "dynamic.onnx", weight_type=QuantType.QUInt8)
    dynamic = [node for node in graph.read(tmp_path / "dynamic.onnx") if node.product is not None]
    assert {node.precision for node in dynamic} == {"int8"}
