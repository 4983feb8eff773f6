"""The nodes of a model, wherever they are: in the graph, in branches and loops, and in the model's own functions."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def bodies(node: "onnx.NodeProto") -> Iterator[tuple[str, "onnx.GraphProto"]]:
    """Yield the branches or the body of a node, each with the name of its attribute."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.name, attribute.g
        for graph in attribute.graphs:
            yield attribute.name, graph


def with_bodies(nodes: Iterable["onnx.NodeProto"]) -> Iterator["onnx.NodeProto"]:
    """Yield nodes, and the nodes of all bodies in them."""
    waiting = [iter(nodes)]  # a stack, because graphs in graphs may be deeper than Python's recursion
    while waiting:
        node = next(waiting[-1], None)
        if node is None:
            waiting.pop()
            continue
        yield node
        waiting += [iter(body.node) for _, body in bodies(node)]


def of_model(proto: "onnx.ModelProto") -> Iterator["onnx.NodeProto"]:
    """Yield all nodes of a model, each once however often it runs."""
    yield from with_bodies(proto.graph.node)
    for function in proto.functions:
        yield from with_bodies(function.node)
