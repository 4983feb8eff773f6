"""A model's graph with the types and shapes of its tensors, and which of them are constants."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgesim.models.graph_nodes import bodies, with_bodies

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from numpy.typing import NDArray

# Larger constants are weights, which say nothing about shapes.
_MOST_VALUES = 4096
_UNCERTAIN = frozenset(("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial"))


@dataclass
class TypedGraph:
    """What is known of the tensors of a model without running it.

    Attributes:
        types: numbers of ONNX's types by tensor, as far as they are known.
        shapes: shapes by tensor, None for a size that is open; a tensor of unknown rank is missing.
        constants: tensors that the file has the values of.
        foldable: tensors that follow from constants alone, which a tool can fold before a build.
    """

    types: dict[str, int] = field(default_factory=dict)
    shapes: dict[str, tuple[int | None, ...]] = field(default_factory=dict)
    constants: set[str] = field(default_factory=set)
    foldable: set[str] = field(default_factory=set)
    _values: "dict[str, onnx.TensorProto]" = field(default_factory=dict)

    @classmethod
    def of(cls, proto: "onnx.ModelProto") -> "TypedGraph":
        """Read a model's tensors; what inference does not tell is missing."""
        typed = cls()
        typed._take_types(_inferred(proto).graph)
        typed._take_constants(proto.graph)
        return typed

    def value(self, name: str) -> "NDArray[np.generic] | None":
        """Return the values of a small constant; None for others."""
        import numpy as np
        from onnx import numpy_helper

        tensor = self._values.get(name)
        if tensor is None or tensor.data_location == tensor.EXTERNAL or np.prod(tensor.dims, initial=1) > _MOST_VALUES:
            return None
        try:
            return numpy_helper.to_array(tensor)
        except (ValueError, TypeError):  # the file states other sizes than it has
            return None

    def is_folded(self, node: "onnx.NodeProto") -> bool:
        """Whether a node is left to do only because nobody has folded it."""
        return all(name in self.foldable for name in node.output if name)

    def _take_types(self, graph: "onnx.GraphProto") -> None:
        for value in (*graph.input, *graph.output, *graph.value_info):
            tensor = value.type.tensor_type
            if tensor.elem_type:
                self.types[value.name] = tensor.elem_type
            if tensor.HasField("shape"):
                self.shapes[value.name] = tuple(
                    size.dim_value if size.HasField("dim_value") else None for size in tensor.shape.dim
                )
        for initializer in graph.initializer:
            self.types[initializer.name] = initializer.data_type
            self.shapes[initializer.name] = tuple(initializer.dims)
        for node in graph.node:
            for _, body in bodies(node):
                self._take_types(body)

    def _take_constants(self, graph: "onnx.GraphProto") -> None:
        self._keep({tensor.name: tensor for tensor in graph.initializer})
        for node in graph.node:
            if node.op_type == "Constant":
                values = [(node.output[0], each.t) for each in node.attribute if each.name == "value"]
                self._keep(dict(values))
                self.constants.update(node.output)
                self.foldable.update(node.output)
                self.types |= {name: tensor.data_type for name, tensor in values}
            elif self._follows_from_constants(node):
                self.foldable.update(name for name in node.output if name)
            for _, body in bodies(node):
                self._take_constants(body)

    def _keep(self, values: "Mapping[str, onnx.TensorProto]") -> None:
        self._values |= values
        self.constants.update(values)
        self.foldable.update(values)

    def _follows_from_constants(self, node: "onnx.NodeProto") -> bool:
        inputs = [name for name in node.input if name]
        if node.op_type in ("Shape", "Size"):
            return all(self.is_static(name) for name in inputs)
        if node.op_type in _UNCERTAIN or any(True for _ in bodies(node)):
            return False
        return bool(inputs) and all(name in self.foldable for name in inputs)

    def is_static(self, name: str) -> bool:
        """Whether all sizes of a tensor are known."""
        return name in self.shapes and None not in self.shapes[name]


def _inferred(proto: "onnx.ModelProto") -> "onnx.ModelProto":
    """Return the model with inferred types and without large weights; as it is where ONNX cannot infer them."""
    import onnx

    light = onnx.ModelProto()
    light.CopyFrom(proto)
    for tensor in _weights(light.graph):
        if len(tensor.raw_data) > 8 * _MOST_VALUES:
            tensor.ClearField("raw_data")
    try:
        return onnx.shape_inference.infer_shapes(light, data_prop=True)
    except Exception:  # of ONNX, for a graph that contradicts itself: there is no base class
        return light


def _weights(graph: "onnx.GraphProto") -> "Iterable[onnx.TensorProto]":
    yield from graph.initializer
    for node in with_bodies(graph.node):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
        for _, body in bodies(node):
            yield from body.initializer
