"""The nodes of a model, wherever they are: in the graph, in branches and loops, and in the model's own functions."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
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


def sort(graph: "onnx.GraphProto") -> None:
    """Bring the nodes of a graph, and those of its bodies, into an order in which each follows those that it reads.

    The ONNX standard asks for such an order, but converters write files without it, and ONNX Runtime takes them.
    Nodes that are in order stay where they are; so do those that read each other in a circle.
    """
    waiting = [graph]
    while waiting:
        each = waiting.pop()
        order = _order(each.node)
        if order != list(range(len(order))):
            nodes = [each.node[index] for index in order]
            del each.node[:]
            each.node.extend(nodes)
        waiting += [body for node in each.node for _, body in bodies(node)]


def _order(nodes: "Sequence[onnx.NodeProto]") -> list[int]:
    """Return the indices of nodes in the order to run them, the lowest first where several may be next."""
    made_by = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    readers: list[list[int]] = [[] for _ in nodes]
    missing = []
    for index, node in enumerate(nodes):
        read = {made_by[name] for name in _names_read(node) if name in made_by} - {index}
        missing.append(len(read))
        for maker in read:
            readers[maker].append(index)
    ready = [index for index, count in enumerate(missing) if not count]
    order = []
    while ready:
        order.append(heapq.heappop(ready))
        for reader in readers[order[-1]]:
            missing[reader] -= 1
            if not missing[reader]:
                heapq.heappush(ready, reader)
    return order if len(order) == len(nodes) else list(range(len(nodes)))


def _names_read(node: "onnx.NodeProto") -> Iterator[str]:
    """Yield the names of the tensors that a node reads, and of those that its bodies read or give as they are."""
    for each in with_bodies([node]):
        yield from each.input
        yield from (value.name for _, body in bodies(each) for value in body.output)
