"""Shapes of a graph's tensors, and which tensors are known before the graph runs."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgesim.models import external_weights, tensor_types

# Larger constants are weights: no node reads a shape from them, so their values stay unread.
_SMALL_ELEMENTS = 1024
# Elements of a tensor that is computed; where ONNX knows beforehand that it has more, it is not.
_MOST_COMPUTED = 2**22
# Bytes of an element whose type the table does not have, or whose size is not fixed.
_DEFAULT_ITEM_BYTES = 4


@dataclass(frozen=True)
class GraphTensor:
    """A tensor of a graph.

    Attributes:
        shape: all sizes are known.
        onnx_type: type of an element, as ONNX's `TensorProto.DataType` numbers it.
        constant: whether the tensor is known before the graph runs.
    """

    shape: tuple[int, ...]
    onnx_type: int = TensorProto.FLOAT
    constant: bool = False

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def item_bytes(self) -> int:
        kind = tensor_types.BY_ONNX.get(self.onnx_type)
        return kind.item_bytes if kind is not None and kind.item_bytes is not None else _DEFAULT_ITEM_BYTES

    @property
    def bytes(self) -> int:
        return self.elements * self.item_bytes


class ContradictionError(Exception):
    """Sizes that contradict each other: names the node, and says why."""

    def __init__(self, node: onnx.NodeProto, problem: str) -> None:
        super().__init__(f"{node.op_type} {node.name or node.output[0]}: {problem}")


def _value_of(tensor: TensorProto) -> dict[str, np.ndarray]:
    """Return the value of an initializer by its name; empty if it has not the values that it says."""
    try:
        return {tensor.name: numpy_helper.to_array(tensor)}
    except (TypeError, ValueError, KeyError):  # KeyError: of a type that ONNX does not have
        return {}


class ShapeInference:
    """Infers the shapes of a graph's tensors, node by node in the graph's order.

    ONNX infers shapes of a whole graph, too, but stops where a shape is computed from another shape by an operation
    that ONNX does not follow (a division, for example). This class computes each small value that can be known.

    Attributes:
        known: tensors by name. A tensor whose size is only known at run time is not among them.
    """

    def __init__(self, proto: onnx.ModelProto) -> None:
        self.known: dict[str, GraphTensor] = {}
        self._values: dict[str, np.ndarray] = {}  # of small constants
        self._opsets = list(proto.opset_import)
        self._versions = {entry.domain: entry.version for entry in proto.opset_import}
        self._ir_version = proto.ir_version
        for tensor in proto.graph.initializer:
            self.known[tensor.name] = GraphTensor(tuple(tensor.dims), tensor.data_type, constant=True)
            external = tensor.data_location == TensorProto.EXTERNAL
            if math.prod(tensor.dims) <= _SMALL_ELEMENTS and not external:
                self._values |= _value_of(tensor)
        for value in proto.graph.input:
            if value.name not in self.known:
                self._add(value.name, value.type)

    def infer(self, node: onnx.NodeProto) -> bool:
        """Infer the outputs of `node`, whose inputs were inferred before.

        Returns:
            Whether the outputs are known before the graph runs, so that the node does nothing at run time.

        Raises:
            ContradictionError: the sizes of the node's inputs contradict each other.
        """
        inputs = [name for name in node.input if name]
        if node.op_type == "Shape" and inputs and inputs[0] in self.known:
            return self._compute(node, {inputs[0]: np.broadcast_to(np.float32(0), self.known[inputs[0]].shape)})
        constant = all(name in self.known and self.known[name].constant for name in inputs)
        if constant and all(name in self._values for name in inputs):
            # A graph that is stored without weights makes large ones with this operation; their shape is enough.
            if node.op_type == "ConstantOfShape":
                shape = tuple(int(size) for size in self._values[inputs[0]])
                if math.prod(shape) > _SMALL_ELEMENTS:
                    self.known[node.output[0]] = GraphTensor(shape, TensorProto.FLOAT, constant=True)
                    return True
            if self._compute(node, {name: self._values[name] for name in inputs}):
                return True
        self._infer_types(node, inputs, constant=constant)
        return constant

    def _compute(self, node: onnx.NodeProto, feeds: dict[str, np.ndarray]) -> bool:
        """Compute the outputs of a node from the values of its inputs; return whether that worked."""
        if external_weights.are_named_in(node):  # ONNX would open the file, wherever a stranger's model says that it is
            return False
        if self._may_not_end(node, feeds):
            return False
        # Imported here: 50 ms that only a graph with a computed shape needs.
        from onnx.reference import ReferenceEvaluator

        try:
            results = ReferenceEvaluator(node, opsets=self._versions).run(None, feeds)
        except Exception:
            return False
        for name, result in zip(node.output, results, strict=False):
            array = np.asarray(result)
            if array.dtype == object:
                return False
            onnx_type = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
            self.known[name] = GraphTensor(array.shape, onnx_type, constant=True)
            if array.size <= _SMALL_ELEMENTS:
                self._values[name] = array
        return True

    def _may_not_end(self, node: onnx.NodeProto, feeds: dict[str, np.ndarray]) -> bool:
        """Return whether a node is a loop, or makes much of little: a stranger may ask for any number of turns."""
        if any(attribute.HasField("g") for attribute in node.attribute):
            return True
        values = {name: numpy_helper.from_array(array) for name, array in feeds.items()}
        types = {name: onnx.helper.make_tensor_type_proto(v.data_type, v.dims) for name, v in values.items()}
        version = self._versions.get(node.domain, self._versions.get("ai.onnx", 1) if not node.domain else 1)
        try:
            schema = onnx.defs.get_schema(node.op_type, version, node.domain)
            outputs = onnx.shape_inference.infer_node_outputs(schema, node, types, values, opset_imports=self._opsets)
        except Exception:  # as in `_infer_types`
            return False
        shapes = [[dimension.dim_value for dimension in kind.tensor_type.shape.dim] for kind in outputs.values()]
        return any(math.prod(shape) > _MOST_COMPUTED for shape in shapes)

    def _infer_types(self, node: onnx.NodeProto, inputs: list[str], *, constant: bool) -> None:
        """Infer types and shapes of a node's outputs by ONNX's own rules for the operation."""
        version = self._versions.get(node.domain, self._versions.get("ai.onnx", 1) if not node.domain else 1)
        try:
            schema = onnx.defs.get_schema(node.op_type, version, node.domain)
            types = {
                name: onnx.helper.make_tensor_type_proto(self.known[name].onnx_type, self.known[name].shape)
                for name in inputs
                if name in self.known
            }
            values = {name: numpy_helper.from_array(self._values[name]) for name in inputs if name in self._values}
            outputs: dict[str, Any] = onnx.shape_inference.infer_node_outputs(
                schema, node, types, values, opset_imports=self._opsets, ir_version=self._ir_version
            )
        except onnx.shape_inference.InferenceError as error:
            if all(name in self.known for name in inputs):
                raise ContradictionError(node, str(error).strip().splitlines()[0]) from error
            return
        except Exception:  # of ONNX, for a node that it does not know or that is wrong: there is no base class
            return
        for name, kind in outputs.items():
            self._add(name, kind, constant=constant)
        if node.op_type == "Reshape" and node.output[0] in self.known and inputs[0] in self.known:
            before, after = self.known[inputs[0]], self.known[node.output[0]]
            if before.elements != after.elements:
                raise ContradictionError(node, f"{before.elements} elements do not fill {list(after.shape)}")

    def _add(self, name: str, kind: onnx.TypeProto, *, constant: bool = False) -> None:
        tensor = kind.tensor_type
        if tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim):
            shape = tuple(dimension.dim_value for dimension in tensor.shape.dim)
            self.known[name] = GraphTensor(shape, tensor.elem_type, constant)
