"""The tensors of a graph: how large they are, and which are known before it runs."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

# Larger ones are weights: nobody reads a shape from them.
_SMALL_ELEMENTS = 1024

_ITEM_BYTES: dict[int, int] = {
    TensorProto.FLOAT: 4,
    TensorProto.FLOAT16: 2,
    TensorProto.BFLOAT16: 2,
    TensorProto.DOUBLE: 8,
    TensorProto.BOOL: 1,
    TensorProto.INT8: 1,
    TensorProto.UINT8: 1,
    TensorProto.INT16: 2,
    TensorProto.UINT16: 2,
    TensorProto.INT32: 4,
    TensorProto.UINT32: 4,
    TensorProto.INT64: 8,
    TensorProto.UINT64: 8,
}


@dataclass(frozen=True)
class Tensor:
    """Its shape, the type of an element as ONNX numbers them, and whether it is known before the graph runs."""

    shape: tuple[int, ...]
    element: int = TensorProto.FLOAT
    constant: bool = False

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def item_bytes(self) -> int:
        return _ITEM_BYTES.get(self.element, 4)

    @property
    def bytes(self) -> int:
        return self.elements * self.item_bytes


class ContradictionError(Exception):
    """Sizes that do not go together: the node where, and why."""

    def __init__(self, node: onnx.NodeProto, problem: str) -> None:
        super().__init__(f"{node.op_type} {node.name or node.output[0]}: {problem}")


class Tensors:
    """What is known of them, node by node in the graph's order.

    ONNX infers shapes for a graph as a whole, too, but stops where a shape is computed from another one by an operation
    that it does not follow (a division, say); here each small value that can be known is computed.

    Attributes:
        known: tensors by name; one whose size is only known at run time is not among them.
    """

    def __init__(self, proto: onnx.ModelProto) -> None:
        self.known: dict[str, Tensor] = {}
        self._data: dict[str, np.ndarray] = {}
        self._opsets = list(proto.opset_import)
        self._versions = {entry.domain: entry.version for entry in proto.opset_import}
        self._ir_version = proto.ir_version
        for tensor in proto.graph.initializer:
            self.known[tensor.name] = Tensor(tuple(tensor.dims), tensor.data_type, constant=True)
            external = tensor.data_location == TensorProto.EXTERNAL
            if math.prod(tensor.dims) <= _SMALL_ELEMENTS and not external:
                self._data[tensor.name] = numpy_helper.to_array(tensor)
        for value in proto.graph.input:
            if value.name not in self.known:
                self._learn(value.name, value.type)

    def settle(self, node: onnx.NodeProto) -> bool:
        """Learn what `node` gives; whether that is known before the graph runs, so that nothing is left to do.

        Raises:
            ContradictionError: the sizes of what it takes do not go together.
        """
        inputs = [name for name in node.input if name]
        if node.op_type == "Shape" and inputs and inputs[0] in self.known:
            return self._compute(node, {inputs[0]: np.broadcast_to(np.float32(0), self.known[inputs[0]].shape)})
        constant = all(name in self.known and self.known[name].constant for name in inputs)
        if constant and all(name in self._data for name in inputs):
            # A graph without weights makes large ones here; their shape is enough.
            if node.op_type == "ConstantOfShape":
                shape = tuple(int(size) for size in self._data[inputs[0]])
                if math.prod(shape) > _SMALL_ELEMENTS:
                    self.known[node.output[0]] = Tensor(shape, TensorProto.FLOAT, constant=True)
                    return True
            if self._compute(node, {name: self._data[name] for name in inputs}):
                return True
        self._infer(node, inputs, constant=constant)
        return constant

    def _compute(self, node: onnx.NodeProto, feeds: dict[str, np.ndarray]) -> bool:
        try:
            results = ReferenceEvaluator(node, opsets=self._versions).run(None, feeds)
        except Exception:
            return False
        for name, result in zip(node.output, results, strict=False):
            array = np.asarray(result)
            if array.dtype == object:
                return False
            element = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
            self.known[name] = Tensor(array.shape, element, constant=True)
            if array.size <= _SMALL_ELEMENTS:
                self._data[name] = array
        return True

    def _infer(self, node: onnx.NodeProto, inputs: list[str], *, constant: bool) -> None:
        version = self._versions.get(node.domain, self._versions.get("ai.onnx", 1) if not node.domain else 1)
        try:
            schema = onnx.defs.get_schema(node.op_type, version, node.domain)
            types = {
                name: onnx.helper.make_tensor_type_proto(self.known[name].element, self.known[name].shape)
                for name in inputs
                if name in self.known
            }
            data = {name: numpy_helper.from_array(self._data[name]) for name in inputs if name in self._data}
            found: dict[str, Any] = onnx.shape_inference.infer_node_outputs(
                schema, node, types, data, opset_imports=self._opsets, ir_version=self._ir_version
            )
        except onnx.shape_inference.InferenceError as error:
            if all(name in self.known for name in inputs):
                raise ContradictionError(node, str(error).strip().splitlines()[0]) from error
            return
        except (onnx.defs.SchemaError, RuntimeError, KeyError):
            return
        for name, kind in found.items():
            self._learn(name, kind, constant=constant)
        if node.op_type == "Reshape" and node.output[0] in self.known and inputs[0] in self.known:
            before, after = self.known[inputs[0]], self.known[node.output[0]]
            if before.elements != after.elements:
                raise ContradictionError(node, f"{before.elements} elements do not fill {list(after.shape)}")

    def _learn(self, name: str, kind: onnx.TypeProto, *, constant: bool = False) -> None:
        tensor = kind.tensor_type
        if tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim):
            shape = tuple(dimension.dim_value for dimension in tensor.shape.dim)
            self.known[name] = Tensor(shape, tensor.elem_type, constant)
