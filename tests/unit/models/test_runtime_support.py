"""Which releases of ONNX Runtime load a model, by its file."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from edgesim.images import runtime_releases
from edgesim.models import repository
from edgesim.models.runtime_support import Needs


def needs(path: Path, nodes: list[onnx.NodeProto], *, opset: int = 17, ir_version: int = 8) -> Needs:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in "xy")
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    graph = helper.make_graph(nodes, "g", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=ir_version), path)
    return Needs.of(repository.find(path))


def relu(name: str = "Relu", domain: str = "") -> list[onnx.NodeProto]:
    return [helper.make_node(name, ["x"], ["y"], domain=domain)]


@pytest.mark.parametrize(
    ("opset", "ir_version", "release", "words"),
    [
        (17, 8, "1.11.1", "opset 17; it loads up to 16"),
        (17, 8, "1.12.0", None),
        (13, 10, "1.17.3", "IR version 10; it loads up to 9"),
        (13, 10, "1.18.0", None),
        (21, 8, "1.17.3", "opset 21; it loads up to 20"),
        (21, 8, "1.99.0", None),
    ],
)
def test_a_release_refuses_a_newer_opset_and_ir_version(
    tmp_path: Path, opset: int, ir_version: int, release: str, words: str | None
) -> None:
    assert needs(tmp_path / "m.onnx", relu(), opset=opset, ir_version=ir_version).refusal(release) == words


def test_an_operation_needs_the_first_release_with_a_kernel_for_it(tmp_path: Path) -> None:
    # Identity of opset 21 takes 4-bit types: the kernel of 1.17 ends before it.
    attention = needs(tmp_path / "a.onnx", relu("GroupQueryAttention", "com.microsoft"))
    assert attention.refusal("1.17.3") == (
        "no kernel for com.microsoft.GroupQueryAttention, which 1.18.1 is the first to have"
    )
    assert attention.refusal("1.18.0") is None
    assert needs(tmp_path / "g.onnx", relu("Gelu", "com.microsoft")).refusal("1.16.3") is None


def test_operations_in_branches_count(tmp_path: Path) -> None:
    def branch(name: str) -> onnx.GraphProto:
        out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 2])
        return helper.make_graph([helper.make_node(name, ["x"], ["out"], domain="com.microsoft")], name, [], [out])

    condition = helper.make_node("Constant", [], ["c"], value=helper.make_tensor("c", TensorProto.BOOL, [], [True]))
    either = helper.make_node("If", ["c"], ["y"], then_branch=branch("Gelu"), else_branch=branch("MoE"))
    assert "com.microsoft.MoE" in (needs(tmp_path / "m.onnx", [condition, either]).refusal("1.20.1") or "")


def test_an_operation_that_a_runtime_can_take_apart_needs_no_kernel(tmp_path: Path) -> None:
    assert needs(tmp_path / "m.onnx", relu("Mish"), opset=18).operations == {}


def test_every_release_that_can_be_chosen_is_measured_or_has_a_measured_neighbour(tmp_path: Path) -> None:
    plain = needs(tmp_path / "m.onnx", relu(), opset=13, ir_version=7)
    assert [version for version in runtime_releases.VERSIONS if plain.refusal(version) is not None] == []
