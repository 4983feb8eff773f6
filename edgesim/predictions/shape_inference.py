"""Sizes of a graph's tensors by inference, and which tensors are known before the graph runs."""

import math
from collections import ChainMap
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgesim.models import external_weights
from edgesim.predictions.tensors import GraphTensor

# Larger constants are weights: no node reads a shape from them, so their values stay unread.
_SMALL_ELEMENTS = 1024
# Elements of a tensor that is computed; where ONNX knows beforehand that it has more, it is not.
_MOST_COMPUTED = 2**22


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


def _scalar(array: np.ndarray | None) -> float | None:
    """Return the one number of an array; None for other arrays."""
    return float(array.item()) if array is not None and array.size == 1 and array.dtype.kind in "fiu" else None


class ShapeInference:
    """Infers the shapes of a graph's tensors, node by node in the graph's order.

    ONNX infers shapes of a whole graph, too, but stops where a shape is computed from another shape by an operation
    that ONNX does not follow (a division, for example). This class computes each small value that can be known.

    Attributes:
        known: tensors by name. A tensor whose size is only known at run time is not among them.
    """

    def __init__(
        self,
        proto: onnx.ModelProto,
        graph: onnx.GraphProto | None = None,
        outer: "ShapeInference | None" = None,
        otherwise: Mapping[str, GraphTensor] | None = None,
    ) -> None:
        """Prepare to infer the shapes of a graph.

        Args:
            graph: the model's own graph, or a body in it.
            outer: the graph around a body, whose tensors the body sees.
            otherwise: tensors by name, for those that cannot be inferred.
        """
        graph = graph if graph is not None else proto.graph
        self.known: MutableMapping[str, GraphTensor] = ChainMap({}, outer.known if outer is not None else {})
        # Values of small constants.
        self._values: MutableMapping[str, np.ndarray] = ChainMap({}, outer._values if outer is not None else {})
        self._proto = proto
        self._opsets = list(proto.opset_import)
        self._versions = {entry.domain: entry.version for entry in proto.opset_import}
        self._otherwise = otherwise or {}
        for tensor in graph.initializer:
            external = tensor.data_location == TensorProto.EXTERNAL
            if math.prod(tensor.dims) <= _SMALL_ELEMENTS and not external:
                self._values |= _value_of(tensor)
            scalar = _scalar(self._values.get(tensor.name))
            self.known[tensor.name] = GraphTensor(tuple(tensor.dims), tensor.data_type, constant=True, scalar=scalar)
        for sparse in graph.sparse_initializer:
            self.known[sparse.values.name] = GraphTensor(tuple(sparse.dims), sparse.values.data_type, constant=True)
        for value in graph.input:
            if value.name not in self.known:
                self._add(value.name, value.type)

    def value(self, name: str) -> np.ndarray | None:
        """Return the value of a small tensor that is known before the graph runs."""
        return self._values.get(name)

    def infer(self, node: onnx.NodeProto) -> bool:
        """Infer the outputs of `node`, whose inputs were inferred before.

        Returns:
            Whether the outputs are known before the graph runs, so that the node does nothing at run time.

        Raises:
            ContradictionError: the sizes of the node's inputs contradict each other.
        """
        constant = self._infer(node)
        for name in node.output:
            if name in self._otherwise and name not in self.known:
                self.known[name] = self._otherwise[name]
        return constant

    def take(self, names: Iterable[tuple[str, str]], body: "ShapeInference") -> None:
        """Take over the sizes of a body's outputs: pairs of a name here, and the name in the body."""
        for here, there in names:
            if there in body.known:
                tensor = body.known[there]
                self.known[here] = GraphTensor(tensor.shape, tensor.onnx_type)

    def _infer(self, node: onnx.NodeProto) -> bool:
        inputs = [name for name in node.input if name]
        if node.op_type == "Shape" and inputs and inputs[0] in self.known:
            self._values[node.output[0]] = sizes = _shape_of(node, self.known[inputs[0]].shape)
            self.known[node.output[0]] = GraphTensor(sizes.shape, TensorProto.INT64, constant=True)
            return True
        if _is_random(node):
            self._infer_types(node, inputs, constant=False)
            return False
        constant = all(name in self.known and self.known[name].constant for name in inputs)
        if any(attribute.HasField("g") for attribute in node.attribute):
            return False  # a body sees more than the node's inputs
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
            # As a model: for a node alone, the evaluator takes its newest operators, whatever opset it is told.
            results = ReferenceEvaluator(self._alone(node, feeds)).run(None, feeds)
        except Exception:
            return False
        for name, result in zip([name for name in node.output if name], results, strict=False):
            array = np.asarray(result)
            if array.dtype == object:
                return False
            onnx_type = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
            self.known[name] = GraphTensor(array.shape, onnx_type, constant=True, scalar=_scalar(array))
            if array.size <= _SMALL_ELEMENTS:
                self._values[name] = array
        return True

    def _alone(self, node: onnx.NodeProto, feeds: Mapping[str, np.ndarray]) -> onnx.ModelProto:
        """Return a model of one node, of the opsets of the model that the node is from."""
        model = onnx.ModelProto(ir_version=self._proto.ir_version, opset_import=self._opsets)
        model.graph.name = "node"
        model.graph.node.append(node)
        for name, array in feeds.items():
            onnx_type = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
            model.graph.input.append(onnx.helper.make_tensor_value_info(name, onnx_type, array.shape))
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in node.output if name)
        return model

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
        node = _with_default(node)
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
                schema, node, types, values, opset_imports=self._opsets, ir_version=self._proto.ir_version
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
        tensor = tensor_of(kind, constant=constant)
        if tensor is not None:
            self.known[name] = tensor


def tensor_of(kind: onnx.TypeProto, *, constant: bool = False) -> GraphTensor | None:
    """Return the tensor that a type describes; None if it is no tensor, or has open sizes."""
    tensor = kind.tensor_type
    if not tensor.HasField("shape") or not all(d.HasField("dim_value") for d in tensor.shape.dim):
        return None
    shape = tuple(dimension.dim_value for dimension in tensor.shape.dim)
    return GraphTensor(shape, tensor.elem_type, constant)


def _is_random(node: onnx.NodeProto) -> bool:
    return node.op_type.startswith("Random") or node.op_type in ("Bernoulli", "Multinomial")


def _with_default(node: onnx.NodeProto) -> onnx.NodeProto:
    """Return the node with a default that ONNX's own rule takes for another one (1.23): STFT is one-sided."""
    if node.op_type != "STFT" or any(attribute.name == "onesided" for attribute in node.attribute):
        return node
    whole = onnx.NodeProto()
    whole.CopyFrom(node)
    whole.attribute.append(onnx.helper.make_attribute("onesided", 1))
    return whole


def _shape_of(node: onnx.NodeProto, shape: tuple[int, ...]) -> np.ndarray:
    """Return what the operation Shape gives for a tensor of this shape."""
    ends = {attribute.name: attribute.i for attribute in node.attribute}
    return np.array(shape[ends.get("start", 0) : ends.get("end")], np.int64)
