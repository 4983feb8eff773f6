"""A model's graph as work on the board: operations, bytes, and the nodes that the runtime fuses."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import onnx
from google.protobuf.message import DecodeError

from edgesim.errors import ModelError
from edgesim.predictions.operations import (
    ACTIVATIONS_IN_CONVOLUTION,
    ACTIVATIONS_IN_PRODUCT,
    FLOPS,
    KIND_OF,
    WITHOUT_WORK,
    Kind,
)
from edgesim.predictions.shape_inference import ContradictionError, GraphTensor, ShapeInference

Precision = Literal["fp32", "fp16", "int8"]


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node as the runtime runs it, and its work.

    Attributes:
        operation: ONNX's name of the operation.
        fused: operations of the following nodes that the runtime fuses into this node.
        flops: arithmetic, a multiply-add counting as two.
        read_bytes, weight_bytes, written_bytes: bytes of activations, constants and outputs.
        shape: of the first output.
        product: rows, columns and depth of the matrix product, for one group; None for other nodes.
        known: whether edgesim knows the cost of the operation.
    """

    name: str
    operation: str
    kind: Kind
    precision: Precision
    flops: int
    read_bytes: int
    weight_bytes: int
    written_bytes: int
    shape: tuple[int, ...]
    product: tuple[int, int, int] | None = None
    fused: tuple[str, ...] = ()
    known: bool = True

    @property
    def moved_bytes(self) -> int:
        """All bytes that the node reads and writes, each counted once."""
        return self.read_bytes + self.weight_bytes + self.written_bytes


def read(path: str | Path, *, shapes: Mapping[str, Sequence[int]] | None = None, batch: int = 1) -> list[Node]:
    """Read the nodes of an ONNX file in the graph's order, constants folded and nodes fused; weights stay unread.

    The fusions are those of ONNX Runtime's arm64 build: batch normalization, a sum or an activation into the
    convolution before it, and ``x * sigmoid(x)`` into one pass. A test compares them with the optimized graph that ONNX
    Runtime writes under the emulator.

    Args:
        shapes: sizes by input name. Needed where more than the first size is only known at run time; allowed elsewhere,
            to ask for the cost of another resolution.
        batch: the first size of every input where the graph leaves that size open or has 1.

    Raises:
        ModelError: the file is not an ONNX model, a size is missing, or the sizes contradict each other.
    """
    try:
        proto = onnx.load(path, load_external_data=False)
    except (OSError, DecodeError) as error:
        raise ModelError(f"{path}: cannot read as an ONNX model: {error}") from error
    graph = proto.graph
    _set_inputs(graph, shapes or {}, batch, path)
    inference = ShapeInference(proto)
    try:
        nodes = [node for node in graph.node if not inference.infer(node)]
    except ContradictionError as error:
        raise ModelError(f"{path}: the sizes contradict each other at {error}") from error
    return _Reader(graph, inference.known, path).work(nodes)


def _set_inputs(graph: onnx.GraphProto, shapes: Mapping[str, Sequence[int]], batch: int, path: str | Path) -> None:
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if unknown := set(shapes) - {value.name for value in inputs}:
        names = ", ".join(value.name for value in inputs)
        raise ModelError(f"{path}: has no input {', '.join(sorted(unknown))}; it takes {names}", fix="correct `shapes`")
    for value in inputs:
        dimensions = value.type.tensor_type.shape.dim
        shape = shapes.get(value.name)
        if shape is not None and len(shape) != len(dimensions):
            raise ModelError(f"{path}: input {value.name} has {len(dimensions)} dimensions, not {len(shape)}")
        for i, dimension in enumerate(dimensions):
            size = dimension.dim_value if dimension.HasField("dim_value") and dimension.dim_value > 0 else None
            if shape is not None:
                size = shape[i]
            elif i == 0 and size in (None, 1):
                size = batch
            if size is None:
                raise ModelError(
                    f"{path}: input {value.name} has sizes that are only known at run time",
                    fix=f"`shapes` {value.name}={','.join('N' * len(dimensions))}, with the sizes that you use",
                )
            dimension.dim_value = size


class _Reader:
    """Turns the nodes of a graph into work.

    Attributes:
        tensors: the graph's tensors by name, as far as they are known.
        users, makers: nodes by the tensor that they take or make.
        outputs: names of the graph's outputs.
        made: names of the tensors that exist before the next node runs.
    """

    def __init__(self, graph: onnx.GraphProto, tensors: Mapping[str, GraphTensor], path: str | Path) -> None:
        self.tensors = tensors
        self.path = path
        self.users: dict[str, list[onnx.NodeProto]] = {}
        self.makers: dict[str, onnx.NodeProto] = {}
        for node in graph.node:
            for name in node.input:
                self.users.setdefault(name, []).append(node)
            for name in node.output:
                self.makers[name] = node
        self.outputs = {value.name for value in graph.output}
        self.made = {value.name for value in graph.input}

    def work(self, nodes: Iterable[onnx.NodeProto]) -> list[Node]:
        """Return the work of the nodes that run on the board, in their order."""
        done: set[int] = set()
        work = []
        for node in nodes:
            if id(node) in done:
                continue
            if node.op_type in WITHOUT_WORK or self._is_inside_quantized(node):
                self.made.update(node.output)
                continue
            members = [node, *self._fused_into(node)]
            done.update(id(member) for member in members)
            self.made.update(name for member in members for name in member.output)
            work.append(self._node(members))
        return work

    def _is_inside_quantized(self, node: onnx.NodeProto) -> bool:
        """Whether the node only says how a neighbouring operation is quantized; the runtime merges such nodes."""
        if node.op_type == "DequantizeLinear":
            return bool(self.users.get(node.output[0]))
        return node.op_type == "QuantizeLinear" and node.input[0] in self.makers

    def _is_quantized(self, node: onnx.NodeProto) -> bool:
        """Whether the runtime runs the node in int8, between a dequantization and a quantization."""
        maker = self.makers.get(node.input[0]) if node.input else None
        return maker is not None and maker.op_type == "DequantizeLinear" and node.op_type != "QuantizeLinear"

    def _only_user(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        """Return the one node that takes the first output of `node`; None if others take it, too."""
        users = self.users.get(node.output[0], [])
        return users[0] if len(users) == 1 and node.output[0] not in self.outputs else None

    def _fused_into(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Return the nodes after `node` that the runtime fuses into it."""
        fused: list[onnx.NodeProto] = []
        if node.op_type == "Conv":
            following = self._only_user(node)
            while following is not None and following.op_type in ("BatchNormalization", "Identity"):
                fused.append(following)
                following = self._only_user(following)
            if following is not None and following.op_type == "Add" and self._is_sum(following, node):
                fused.append(following)
                following = self._only_user(following)
                if following is not None and following.op_type == "Relu":
                    fused.append(following)
            elif following is not None and following.op_type in ACTIVATIONS_IN_CONVOLUTION:
                fused.append(following)
        elif node.op_type == "Sigmoid":
            # x * sigmoid(x), in one pass over x.
            product = self._only_user(node)
            if product is not None and product.op_type == "Mul" and node.input[0] in product.input:
                fused.append(product)
        elif node.op_type in ("MatMul", "Gemm"):
            following = self._only_user(node)
            if following is not None and following.op_type == "Add" and self._has_constant(following):
                fused.append(following)
                following = self._only_user(following)
            if following is not None and following.op_type in ACTIVATIONS_IN_PRODUCT:
                fused.append(following)
        return fused

    def _is_sum(self, node: onnx.NodeProto, convolution: onnx.NodeProto) -> bool:
        """Whether `node` adds two tensors of one shape: the convolution's output, and one that exists before it."""
        shapes = [self.tensors[name].shape for name in node.input if name in self.tensors]
        others = [name for name in node.input if name not in convolution.output]
        return len(shapes) == 2 and shapes[0] == shapes[1] and all(name in self.made for name in others)

    def _has_constant(self, node: onnx.NodeProto) -> bool:
        return any(name in self.tensors and self.tensors[name].constant for name in node.input)

    def _tensor(self, name: str, node: onnx.NodeProto) -> GraphTensor:
        if name not in self.tensors:
            raise ModelError(
                f"{self.path}: the size of {name} (of {node.op_type} {node.name}) is only known at run time",
                fix="give the inputs' sizes with `shapes`, or export the model with fixed sizes",
            )
        return self.tensors[name]

    def _node(self, members: list[onnx.NodeProto]) -> Node:
        """Return the work of a node and of the nodes that are fused into it, the node itself first."""
        first, last = members[0], members[-1]
        inside = {name for member in members for name in member.output}
        sources = dict.fromkeys(name for member in members for name in member.input if name and name not in inside)
        inputs = [self._tensor(name, first) for name in sources]
        outputs = [self._tensor(name, last) for name in last.output if name]
        kind = KIND_OF.get(first.op_type, "other")
        precision: Precision = "fp32"
        quantized = self._is_quantized(first)
        if kind == "quantized" or quantized:
            kind = "quantized"
            precision = "int8"
        elif outputs and outputs[0].item_bytes == 2:
            precision = "fp16"
        node = Node(
            name=first.name or first.output[0],
            operation=first.op_type,
            kind=kind,
            precision=precision,
            flops=outputs[0].elements * sum(FLOPS.get(member.op_type, 1) for member in members),
            read_bytes=sum(tensor.bytes for tensor in inputs if not tensor.constant),
            weight_bytes=sum(tensor.bytes for tensor in inputs if tensor.constant),
            written_bytes=sum(tensor.bytes for tensor in outputs),
            shape=outputs[0].shape,
            fused=tuple(member.op_type for member in members[1:] if member.op_type != "Identity"),
            known=first.op_type in KIND_OF,
        )
        if quantized:
            # The graph has fp32 tensors here, between dequantization and quantization; the runtime keeps one byte each.
            node = replace(
                node,
                read_bytes=node.read_bytes // 4,
                weight_bytes=node.weight_bytes // 4,
                written_bytes=node.written_bytes // 4,
            )
        if first.op_type in ("Conv", "ConvInteger", "QLinearConv", "ConvTranspose"):
            return self._convolution(node, first)
        if first.op_type in ("Gemm", "MatMul", "MatMulInteger", "QLinearMatMul", "QGemm"):
            return self._product(node, first)
        if kind in ("pooling", "reduction"):
            window = math.prod(_attribute(first, "kernel_shape", ())) or 1
            return replace(node, flops=max(inputs[0].elements, outputs[0].elements * window))
        return node

    def _convolution(self, node: Node, proto: onnx.NodeProto) -> Node:
        """Return the node with the arithmetic and the kind of its convolution."""
        weights = self._tensor(proto.input[3 if proto.op_type == "QLinearConv" else 1], proto)
        groups = int(_attribute(proto, "group", 1))
        if proto.op_type == "ConvTranspose":
            image = self._tensor(proto.input[0], proto)
            flops = 2 * image.elements * math.prod(weights.shape[1:])
            return replace(node, flops=flops, kind="convolution")
        kernel, depth = weights.shape[2:], math.prod(weights.shape[1:])
        pixels = node.shape[0] * math.prod(node.shape[2:])
        strides = _attribute(proto, "strides", (1,) * len(kernel))
        pointwise = math.prod(kernel) == 1 and math.prod(strides) == 1
        flops = 2 * pixels * node.shape[1] * depth
        kind: Kind = node.kind
        if kind != "quantized":
            kind = "convolution"
            if groups > 1 and weights.shape[1] == 1:
                kind = "depthwise convolution"
            elif pointwise:
                kind = "pointwise convolution"
        return replace(
            node,
            kind=kind,
            flops=flops,
            product=(node.shape[1] // groups, pixels, depth),
        )

    def _product(self, node: Node, proto: onnx.NodeProto) -> Node:
        """Return the node with the arithmetic of its matrix product."""
        left = self._tensor(proto.input[0], proto)
        transposed = proto.op_type == "Gemm" and _attribute(proto, "transA", 0)
        depth = left.shape[-2 if transposed else -1] if len(left.shape) > 1 else left.elements
        elements = math.prod(node.shape)
        columns = node.shape[-1] if node.shape else 1
        rows = node.shape[-2] if len(node.shape) > 1 else 1
        return replace(node, flops=2 * elements * depth, product=(rows, columns, depth))


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    for attribute in node.attribute:
        if attribute.name == name:
            return onnx.helper.get_attribute_value(attribute)
    return default
