"""Whether the strings of an ONNX file are text, as protocol buffers promise and do not check for ONNX."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx


def are_text(proto: "onnx.ModelProto") -> bool:
    """Return whether all names of a model are UTF-8: protobuf gives bytes for a string that is not."""
    return all(isinstance(text, str) for text in _texts(proto))


def _texts(proto: "onnx.ModelProto") -> Iterator[Any]:
    """Yield the names of a model: of its operators, nodes, tensors and files, also in branches, loops and functions."""
    yield from (entry.domain for entry in proto.opset_import)
    yield from (text for entry in proto.metadata_props for text in (entry.key, entry.value))
    graphs = [proto.graph]
    nodes: list[onnx.NodeProto] = []
    for function in proto.functions:
        yield from (function.name, function.domain, *function.input, *function.output, *function.attribute)
        nodes += function.node
    while graphs or nodes:  # not by recursion: graphs in graphs may be deeper than Python's
        for graph in graphs:
            yield from (value.name for value in (*graph.input, *graph.output, *graph.value_info))
            yield from _of_tensors(graph.initializer)
            nodes += graph.node
        graphs = []
        for node in nodes:
            yield from (node.op_type, node.domain, node.name, *node.input, *node.output)
            for attribute in node.attribute:
                yield attribute.name
                yield from _of_tensors([attribute.t, *attribute.tensors])
                graphs += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]
        nodes = []


def _of_tensors(tensors: "Iterable[onnx.TensorProto]") -> Iterator[Any]:
    for tensor in tensors:
        yield tensor.name
        yield from (text for entry in tensor.external_data for text in (entry.key, entry.value))
