"""A model's graph as the work that it makes on the board: operations, bytes, and what its runtime does as one."""

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
from edgesim.predictions.tensors import ContradictionError, Tensor, Tensors

Precision = Literal["fp32", "fp16", "int8"]


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node as the runtime runs it, and the work that it makes.

    Attributes:
        operation: ONNX's name; `fused` those after it that are done with it.
        flops: arithmetic, a multiply-add counting as two.
        read_bytes, weight_bytes, written_bytes: of activations, constants and results.
        shape: of its first result.
        product: rows, columns and depth of its matrix product, for one group; None where it is none.
        known: whether this project knows what such an operation costs.
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
        """All that is read and written once."""
        return self.read_bytes + self.weight_bytes + self.written_bytes


def read(path: Path, *, shapes: Mapping[str, Sequence[int]] | None = None, batch: int = 1) -> list[Node]:
    """The nodes of an ONNX file in their order, constants folded and fusions made; the weights' values stay unread.

    What is fused is what ONNX Runtime's arm64 build fuses (its optimized graph, as it writes it under the emulator, is
    held against this in the tests): batch normalization into the convolution before it, an activation or a sum after
    it, ``x * sigmoid(x)`` into one pass.

    Args:
        shapes: sizes by input name; needed where more than the first one is only known at run time, and allowed
            elsewhere, to ask what another resolution would cost.
        batch: the first size of every input where the graph leaves it open.

    Raises:
        ModelError: no ONNX model, a size is missing, or the sizes do not go through the graph.
    """
    try:
        proto = onnx.load(path, load_external_data=False)
    except (OSError, DecodeError) as error:
        raise ModelError(f"{path}: not an ONNX model that can be read: {error}") from error
    graph = proto.graph
    _set_inputs(graph, shapes or {}, batch, path)
    tensors = Tensors(proto)
    try:
        nodes = [node for node in graph.node if not tensors.settle(node)]
    except ContradictionError as error:
        raise ModelError(f"{path}: its sizes do not go together at {error}") from error
    return _Reader(graph, tensors, path).work(nodes)


def _set_inputs(graph: onnx.GraphProto, shapes: Mapping[str, Sequence[int]], batch: int, path: Path) -> None:
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if unknown := set(shapes) - {value.name for value in inputs}:
        names = ", ".join(value.name for value in inputs)
        raise ModelError(f"{path}: has no input {', '.join(sorted(unknown))}; it takes {names}")
    for value in inputs:
        dimensions = value.type.tensor_type.shape.dim
        given = shapes.get(value.name)
        if given is not None and len(given) != len(dimensions):
            raise ModelError(f"{path}: input {value.name} has {len(dimensions)} dimensions, not {len(given)}")
        for i, dimension in enumerate(dimensions):
            size = dimension.dim_value if dimension.HasField("dim_value") and dimension.dim_value > 0 else None
            wanted = given[i] if given is not None else (batch if i == 0 and size in (None, 1) else size)
            if wanted is None:
                raise ModelError(
                    f"{path}: input {value.name} has sizes that are only known at run time",
                    fix=f"--shape {value.name}={','.join('N' * len(dimensions))}, with the sizes that you use",
                )
            dimension.dim_value = wanted


class _Reader:
    """From nodes to work."""

    def __init__(self, graph: onnx.GraphProto, tensors: Tensors, path: Path) -> None:
        self.values = tensors.known
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
        done: set[int] = set()
        found = []
        for node in nodes:
            if id(node) in done:
                continue
            if node.op_type in WITHOUT_WORK or self._is_inside_quantized(node):
                self.made.update(node.output)
                continue
            members = [node, *self._fused_into(node)]
            done.update(id(member) for member in members)
            self.made.update(name for member in members for name in member.output)
            found.append(self._node(members))
        return found

    def _is_inside_quantized(self, node: onnx.NodeProto) -> bool:
        """Whether it only tells how the operation beside it is quantized; the runtime makes one of them."""
        if node.op_type == "DequantizeLinear":
            return bool(self.users.get(node.output[0]))
        return node.op_type == "QuantizeLinear" and node.input[0] in self.makers

    def _is_quantized(self, node: onnx.NodeProto) -> bool:
        maker = self.makers.get(node.input[0]) if node.input else None
        return maker is not None and maker.op_type == "DequantizeLinear" and node.op_type != "QuantizeLinear"

    def _only_user(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        users = self.users.get(node.output[0], [])
        return users[0] if len(users) == 1 and node.output[0] not in self.outputs else None

    def _fused_into(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
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
        """Of two results of one shape; the other one has to be there already."""
        shapes = [self.values[name].shape for name in node.input if name in self.values]
        others = [name for name in node.input if name not in convolution.output]
        return len(shapes) == 2 and shapes[0] == shapes[1] and all(name in self.made for name in others)

    def _has_constant(self, node: onnx.NodeProto) -> bool:
        return any(name in self.values and self.values[name].constant for name in node.input)

    def _value(self, name: str, node: onnx.NodeProto) -> Tensor:
        if name not in self.values:
            raise ModelError(
                f"{self.path}: the size of {name} (of {node.op_type} {node.name}) is only known at run time",
                fix="give the inputs' sizes with --shape, or export the model with fixed ones",
            )
        return self.values[name]

    def _node(self, members: list[onnx.NodeProto]) -> Node:
        first, last = members[0], members[-1]
        inside = {name for member in members for name in member.output}
        sources = dict.fromkeys(name for member in members for name in member.input if name and name not in inside)
        inputs = [self._value(name, first) for name in sources]
        results = [self._value(name, last) for name in last.output if name]
        written = sum(value.bytes for value in results)
        kind = KIND_OF.get(first.op_type, "other")
        precision: Precision = "fp32"
        quantized = self._is_quantized(first)
        if kind == "quantized" or quantized:
            kind = "quantized"
            precision = "int8"
        elif results and results[0].item_bytes == 2:
            precision = "fp16"
        node = Node(
            name=first.name or first.output[0],
            operation=first.op_type,
            kind=kind,
            precision=precision,
            flops=results[0].elements * sum(FLOPS.get(member.op_type, 1) for member in members),
            read_bytes=sum(value.bytes for value in inputs if not value.constant),
            weight_bytes=sum(value.bytes for value in inputs if value.constant),
            written_bytes=written,
            shape=results[0].shape,
            fused=tuple(member.op_type for member in members[1:] if member.op_type != "Identity"),
            known=first.op_type in KIND_OF,
        )
        if quantized:
            # Seen here between what makes numbers of them and back; the runtime leaves them a byte.
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
            return replace(node, flops=max(inputs[0].elements, results[0].elements * window))
        return node

    def _convolution(self, node: Node, proto: onnx.NodeProto) -> Node:
        weights = self._value(proto.input[3 if proto.op_type == "QLinearConv" else 1], proto)
        groups = int(_attribute(proto, "group", 1))
        if proto.op_type == "ConvTranspose":
            source = self._value(proto.input[0], proto)
            flops = 2 * source.elements * math.prod(weights.shape[1:])
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
        left = self._value(proto.input[0], proto)
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
