"""What a graph tells without being run: sizes of its weights and other tensors, and the values of small constants."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

# A larger constant is a table: its values are not read.
_MOST_ELEMENTS = 10_000
# Operations whose output has the sizes of their first input.
_SAME_SIZE = frozenset({"Identity", "Cast", "DequantizeLinear"})


@dataclass(frozen=True)
class Constants:
    """Sizes and values of a graph's tensors by name; those of the graphs around it as well."""

    _sizes: Mapping[str, tuple[int, ...]]
    _values: Mapping[str, np.ndarray]

    def sizes(self, name: str) -> tuple[int, ...] | None:
        """Return the sizes of a tensor; None where one of them is not known."""
        return self._sizes.get(name)

    def scalar(self, name: str) -> float | None:
        """Return the value of a constant that is a number."""
        value = self._values.get(name)
        if value is None or value.size != 1 or value.dtype.kind not in "iuf":
            return None
        number = float(value.reshape(-1)[0])
        return number if math.isfinite(number) else None

    def integers(self, name: str) -> Sequence[int] | None:
        """Return the values of a constant of whole numbers."""
        value = self._values.get(name)
        return [int(one) for one in value.reshape(-1)] if value is not None and value.dtype.kind in "iu" else None


def of(graph: onnx.GraphProto, around: Constants | None = None) -> Constants:
    """Return what a graph tells; `around` is the graph that it is a body in."""
    sizes = dict(around._sizes) if around is not None else {}
    values = dict(around._values) if around is not None else {}
    for value in (*graph.input, *graph.value_info):
        dimensions = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(one.HasField("dim_value") for one in dimensions):
            sizes[value.name] = tuple(one.dim_value for one in dimensions)
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    tensors[node.output[0]] = attribute.t
                if attribute.name in ("value_int", "value_ints"):
                    written = onnx.helper.get_attribute_value(attribute)
                    values[node.output[0]] = np.array(written, np.int64)
    for name, tensor in tensors.items():
        sizes[name] = tuple(tensor.dims)
        if (array := values_of(tensor)) is not None:
            values[name] = array
    for node in graph.node:
        if node.op_type in _SAME_SIZE and node.input and node.input[0] in sizes:
            sizes.setdefault(node.output[0], sizes[node.input[0]])
            if node.op_type != "DequantizeLinear" and node.input[0] in values:
                values.setdefault(node.output[0], values[node.input[0]])
    return Constants(sizes, values)


def values_of(tensor: TensorProto) -> np.ndarray | None:
    """Return the values of a small constant; None for a large one, for one in another file, and for a broken one."""
    if tensor.data_location == TensorProto.EXTERNAL or not 0 <= math.prod(tensor.dims) <= _MOST_ELEMENTS:
        return None
    try:
        return numpy_helper.to_array(tensor)
    except Exception:  # of ONNX, for values that do not fit their sizes or a type that it does not have
        return None
