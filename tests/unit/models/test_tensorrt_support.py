"""What the parser of each release of TensorRT takes, by the file of a model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, defs, helper, numpy_helper

from edgesim.models import repository, tensorrt_facts
from edgesim.models.tensorrt_facts import TensorRt
from edgesim.models.tensorrt_support import Findings, examine

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def node(operator: str, inputs: str, outputs: str = "y", **attributes: Any) -> onnx.NodeProto:
    name = f"{operator.lower()}_{outputs.split()[0]}"
    return helper.make_node(operator, inputs.split(" "), outputs.split(), name=name, **attributes)


def found(
    path: Path,
    release: str,
    nodes: Sequence[onnx.NodeProto],
    *,
    shape: Sequence[int | str] = (1, 4, 8, 8),
    kind: int = FLOAT,
    output: int = FLOAT,
    weights: dict[str, Any] | None = None,
    opset: int = 13,
    domains: Sequence[str] = (),
    functions: Sequence[onnx.FunctionProto] = (),
) -> Findings:
    """Write a model that takes x and gives y, and return what a release makes of it."""
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", output, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (weights or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=functions), path / "net.onnx")
    facts = TensorRt.of(release)
    assert facts is not None
    return examine(repository.find(str(path / "net.onnx")), facts)


@pytest.mark.parametrize(
    ("operator", "lacks", "takes"),
    [("NonZero", "8.2", "8.5"), ("Reciprocal", "8.2", "8.5"), ("IsInf", "8.5", "8.6"), ("Hardmax", "8.6", "10.3")],
)
def test_an_operator_is_refused_by_the_releases_before_the_first_that_takes_it(
    tmp_path: Path, operator: str, lacks: str, takes: str
) -> None:
    nodes = [node("Relu", "x", "r"), node(operator, "r")]
    before, after = found(tmp_path, lacks, nodes), found(tmp_path, takes, nodes)
    assert before.refused == (f"{operator} (1 node, {operator.lower()}_y): not among its operators",)
    assert (before.parts, before.left) == (1, {operator: 1})
    assert (after.refused, after.doubted, after.left) == ((), (), {})


def test_an_operator_of_which_nobody_says_anything_is_doubted(tmp_path: Path) -> None:
    for release in ("10.3", "10.13"):
        of_gelu = found(tmp_path, release, [node("Gelu", "x")], opset=20)
        assert of_gelu.refused == ()
        assert bool(of_gelu.doubted) == (release == "10.3")
    assert "no source says" in found(tmp_path, "10.3", [node("Gelu", "x")], opset=20).doubted[0]


def test_an_operator_in_a_branch_is_found(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("b", FLOAT, None)
    branches = [helper.make_graph([helper.make_node(name, ["x"], ["b"])], name, [], [value]) for name in ("Det", "Abs")]
    flag = helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0)
    condition = helper.make_node("Cast", ["m"], ["c"], to=TensorProto.BOOL)
    choice = helper.make_node("If", ["c"], ["y"], then_branch=branches[0], else_branch=branches[1], name="if")
    findings = found(tmp_path, "8.6", [flag, condition, choice])
    assert findings.refused == ("Det (1 node): not among its operators",)
    assert "If (1 node, if): both branches must give" in findings.doubted[0]
    assert findings.left == {"If": 1}


@pytest.mark.parametrize(
    ("release", "nodes", "words"),
    [
        ("8.2", [node("Einsum", "x x", equation="...ij,...jk->...ik")], "an ellipsis is not supported"),
        ("8.5", [node("Einsum", "x", equation="abii->abi")], "a diagonal is not supported"),
        ("8.5", [node("TopK", "x k", "y i")], "its input 1 must be a constant"),
        ("8.5", [node("MaxPool", "x", "y i", kernel_shape=[2, 2])], "its second output, Indices"),
        ("10.3", [node("MaxPool", "x", "y", kernel_shape=[2, 2], dilations=[2, 2])], "dilations other than 1"),
        ("8.2", [node("Resize", "x  s", mode="cubic")], "only the modes nearest and linear"),
        ("10.3", [node("LSTM", "x w w", "y", hidden_size=2, input_forget=1)], "input_forget is not supported"),
    ],
)
def test_a_node_that_breaks_a_documented_restriction_is_refused(
    tmp_path: Path, release: str, nodes: Sequence[onnx.NodeProto], words: str
) -> None:
    cast = [node("Shape", "x", "n"), node("ReduceMax", "n", "k")]
    weights = {"s": np.ones(4, np.float32), "w": np.ones((1, 8, 8), np.float32)}
    refused = found(tmp_path, release, [*cast, *nodes], weights=weights, shape=("n", 4, 8, 8)).refused
    assert len(refused) == 1
    assert words in refused[0]


def test_a_restriction_ends_with_the_release_that_lifts_it(tmp_path: Path) -> None:
    nodes = [node("Shape", "x", "n"), node("ReduceMax", "n", "k"), node("TopK", "x k", "y i")]
    assert found(tmp_path, "8.6", nodes, shape=("n", 4, 8, 8)).refused == ()


def test_what_follows_from_constants_is_to_be_folded_and_not_refused(tmp_path: Path) -> None:
    nodes = [node("NonZero", "w", "n"), node("Add", "x x"), node("Cast", "n", "z", to=FLOAT)]
    findings = found(tmp_path, "8.2", nodes, weights={"w": np.ones(4, np.float32)})
    assert findings.refused == ()
    assert "fold constants before the build" in findings.doubted[0]


def test_integers_are_narrowed_where_the_release_has_no_wider_ones(tmp_path: Path) -> None:
    nodes, weights = [node("Gather", "w x")], {"w": np.ones((9, 2), np.float32)}
    narrow, wide = (found(tmp_path, release, nodes, kind=INT64, weights=weights) for release in ("8.5", "10.3"))
    assert "input x of int64 is bound as int32: larger values are clamped" in narrow.remarks
    assert not any("int64" in remark for remark in wide.remarks)


@pytest.mark.parametrize(
    ("kind", "release", "taken"),
    [
        (TensorProto.BFLOAT16, "8.6", False),
        (TensorProto.BFLOAT16, "10.3", True),
        (TensorProto.DOUBLE, "8.2", True),
        (TensorProto.UINT16, "10.3", False),
        (TensorProto.STRING, "10.3", False),
    ],
)
def test_a_type_of_tensors_that_the_release_lacks_is_refused(
    tmp_path: Path, kind: int, release: str, taken: bool
) -> None:
    findings = found(tmp_path, release, [node("Identity", "x")], kind=kind, output=kind)
    assert (findings.refused == ()) == taken
    if not taken:
        assert "(2 tensors): it takes" in findings.refused[0]


@pytest.mark.parametrize(("release", "taken"), [("8.2", False), ("8.4", False), ("8.5", True), ("10.3", True)])
def test_bytes_as_inputs_and_outputs_are_taken_from_the_first_release_that_imports_them(
    tmp_path: Path, release: str, taken: bool
) -> None:
    nodes = [node("Cast", "x", "f", to=FLOAT), node("Relu", "f", "r"), node("Cast", "r", to=TensorProto.UINT8)]
    findings = found(tmp_path, release, nodes, kind=TensorProto.UINT8, output=TensorProto.UINT8)
    assert (findings.refused == ()) == taken
    # ONNX Runtime's TensorRT provider leaves the operations on bytes, and gives the rest to TensorRT.
    assert (findings.parts, findings.left) == ((1, {}) if taken else (1, {"Cast": 2}))


@pytest.mark.parametrize("release", ["8.5", "10.3"])
def test_bytes_within_a_network_are_refused_where_its_input_may_have_them(tmp_path: Path, release: str) -> None:
    nodes = [node("Cast", "x", "f", to=FLOAT), node("Cast", "f", "b", to=TensorProto.UINT8)]
    nodes.append(node("Cast", "b", to=FLOAT))
    findings = found(tmp_path, release, nodes, kind=TensorProto.UINT8)
    assert findings.refused[0].startswith("type uint8 (1 tensor): it takes")
    assert findings.left == {"Cast": 2}


def test_a_type_that_one_operator_is_not_listed_for_is_doubted(tmp_path: Path) -> None:
    findings = found(tmp_path, "8.5", [node("MatMul", "x x")], kind=TensorProto.INT32, output=TensorProto.INT32)
    assert findings.refused == ()
    assert "MatMul (1 node, matmul_y): of int32 here, documented for fp16, fp32" in findings.doubted[0]


@pytest.mark.parametrize(("zero_point", "refused"), [(np.uint8(0), True), (np.int8(3), True), (np.int8(0), False)])
def test_only_symmetric_quantization_is_taken(tmp_path: Path, zero_point: Any, refused: bool) -> None:
    nodes = [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z")]
    findings = found(tmp_path, "8.5", nodes, weights={"s": np.float32(0.1), "z": zero_point})
    assert findings.is_quantized
    assert any("zero point must be 0" in words for words in findings.refused) == refused


def test_an_opset_is_no_reason_where_its_operators_mean_the_same(tmp_path: Path) -> None:
    findings = found(tmp_path, "8.2", [node("Relu", "x")], opset=17)
    assert (findings.refused, findings.doubted) == ((), ())
    assert "opset 17 (documented up to 13)" in findings.remarks[0]


def test_an_operator_that_a_newer_opset_defines_anew_is_doubted(tmp_path: Path) -> None:
    findings = found(tmp_path, "8.5", [node("ReduceMean", "x a")], weights={"a": np.array([1])}, opset=18)
    assert "ReduceMean (1 node, reducemean_y): defined anew in opset 18" in findings.doubted[0]
    same = found(tmp_path, "8.5", [node("Reshape", "x s", allowzero=0)], weights={"s": np.array([1, -1])}, opset=21)
    assert same.doubted == ()


def test_an_opset_from_before_the_documented_ones_is_doubted(tmp_path: Path) -> None:
    assert "documented from 9 on" in found(tmp_path, "10.3", [node("Relu", "x")], opset=8).doubted[0]


def test_an_operation_of_another_domain_takes_a_plugin(tmp_path: Path) -> None:
    own = helper.make_node("FusedMagic", ["x"], ["y"], domain="com.example")
    assert "takes a plugin of your own" in found(tmp_path, "10.3", [own], domains=["com.example"]).refused[0]
    nms = helper.make_node("EfficientNMS_TRT", ["x", "x"], ["y"])
    findings = found(tmp_path, "8.2", [nms])
    assert findings.refused == ()
    assert any("a plugin that comes with TensorRT" in remark for remark in findings.remarks)


def test_functions_of_the_model_s_own_are_taken_from_tensorrt_9_on(tmp_path: Path) -> None:
    function = helper.make_function(
        "mine", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    nodes = [helper.make_node("Twice", ["x"], ["y"], domain="mine")]
    for release, refusals in (("8.6", 1), ("10.3", 0)):
        assert len(found(tmp_path, release, nodes, domains=["mine"], functions=[function]).refused) == refusals


def test_open_sizes_need_an_optimization_profile(tmp_path: Path) -> None:
    findings = found(tmp_path, "8.2", [node("Relu", "x")], shape=("n", 3, "h", 8))
    assert any("x [?, 3, ?, 8]" in remark and "optimization profile" in remark for remark in findings.remarks)


def test_parts_are_counted_as_onnx_runtime_s_provider_divides_the_graph(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "a"), node("Det", "a", "b"), node("Abs", "b", "c"), node("Det", "c", "d")]
    findings = found(tmp_path, "8.6", [*nodes, node("Neg", "d")])
    assert findings.parts == 3
    assert findings.left == {"Det": 2}


def test_a_release_without_a_list_of_its_own_goes_by_the_one_before_it() -> None:
    facts = TensorRt.of("10.13")
    assert facts is not None
    assert (facts.version, facts.documented) == ("10.13", "10.8")
    assert "Attention" not in facts.operators
    assert TensorRt.of("7.1") is None


def test_every_listed_operator_is_one_of_onnx_and_every_restriction_is_of_a_listed_one() -> None:
    newest = TensorRt.of("99.0")
    assert newest is not None
    known = {schema.name for schema in defs.get_all_schemas_with_history()}
    # Of ONNX's beginnings.
    assert newest.operators.keys() - known == {"ImageScaler", "ParametricSoftplus", "ScaledTanh"} - known
    for release in tensorrt_facts.releases():
        facts = TensorRt.of(release)
        assert facts is not None
        assert facts.source
        for operator in facts.operators:
            assert all(restriction.words for restriction in facts.restrictions(operator))
