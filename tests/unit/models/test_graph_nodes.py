"""Nodes in the order in which they run."""

import random

import onnx
from onnx import TensorProto, helper

from edgesim.models.graph_nodes import sort


def _graph(*nodes: onnx.NodeProto) -> onnx.GraphProto:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    return helper.make_graph(nodes, "g", [value], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])])


def _outputs(graph: onnx.GraphProto) -> list[str]:
    return [name for node in graph.node for name in node.output]


def test_each_node_follows_those_that_it_reads_and_keeps_its_place_otherwise() -> None:
    names = ["x", *(f"t{index}" for index in range(40))]
    nodes = [helper.make_node("Relu", [names[index]], [names[index + 1]]) for index in range(40)]
    for seed in range(20):
        shuffled = random.Random(seed).sample(nodes, len(nodes))
        graph = _graph(*shuffled)
        sort(graph)
        assert _outputs(graph) == names[1:]
    beside = [helper.make_node("Relu", ["x"], [name]) for name in ("c", "a", "b")]
    graph = _graph(*beside)
    sort(graph)
    assert _outputs(graph) == ["c", "a", "b"]


def test_a_branch_is_sorted_too_and_its_node_follows_what_it_reads_from_around_it() -> None:
    branch = _graph(helper.make_node("Relu", ["inner"], ["y"]), helper.make_node("Add", ["x", "late"], ["inner"]))
    choice = helper.make_node("If", ["flag"], ["z"], then_branch=branch, else_branch=branch)
    graph = _graph(choice, helper.make_node("Relu", ["x"], ["late"]))
    sort(graph)
    assert _outputs(graph) == ["late", "z"]
    assert all(_outputs(attribute.g) == ["inner", "y"] for attribute in graph.node[1].attribute)


def test_a_node_follows_what_its_branch_gives_as_it_is() -> None:
    output = helper.make_tensor_value_info("late", TensorProto.FLOAT, [1])
    branch = helper.make_graph([], "branch", [], [output])
    choice = helper.make_node("If", ["flag"], ["z"], then_branch=branch, else_branch=branch)
    graph = _graph(choice, helper.make_node("Relu", ["x"], ["late"]))
    sort(graph)
    assert _outputs(graph) == ["late", "z"]


def test_nodes_that_read_each_other_stay_where_they_are() -> None:
    graph = _graph(helper.make_node("Relu", ["b"], ["a"]), helper.make_node("Relu", ["a"], ["b"]))
    sort(graph)
    assert _outputs(graph) == ["a", "b"]
