"""The fusions of ONNX Runtime's arm64 build: which nodes of a graph it runs as one."""

from collections.abc import Collection, Mapping

import onnx
from onnx import TensorProto

from edgesim.models.graph_nodes import bodies, with_bodies
from edgesim.predictions import arithmetic
from edgesim.predictions.operations import ACTIVATIONS_IN_CONVOLUTION, ACTIVATIONS_IN_PRODUCT, KIND_OF
from edgesim.predictions.scattered_moves import LARGE, is_scattered
from edgesim.predictions.tensors import GraphTensor

_FP8 = frozenset(number for name, number in TensorProto.DataType.items() if name.startswith("FLOAT8"))
_CONVERSIONS = frozenset(("DequantizeLinear", "QuantizeLinear", "Cast"))
_BYTES = frozenset((TensorProto.INT8, TensorProto.UINT8))
_PRODUCTS = frozenset(("MatMul", "Gemm", "Einsum"))
_QUICK_IN_PRODUCTS = frozenset((TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16))
_WHOLE = frozenset((TensorProto.INT32, TensorProto.INT64))


class Fusions:
    """The nodes of one graph with their neighbours.

    Attributes:
        tensors: the graph's tensors by name, as far as they are known.
        users, makers: nodes by the tensor that they take or make.
        outputs: names of the graph's outputs.
        made: names of the tensors that exist before the next node runs.
    """

    def __init__(self, graph: onnx.GraphProto, tensors: Mapping[str, GraphTensor]) -> None:
        self.tensors = tensors
        self.users: dict[str, list[onnx.NodeProto]] = {}
        self.makers: dict[str, onnx.NodeProto] = {}
        for node in graph.node:
            for name in node.input:
                self.users.setdefault(name, []).append(node)
            for _, body in bodies(node):  # a body uses tensors of the graph around it by their names
                for name in {name for inner in with_bodies(body.node) for name in inner.input}:
                    self.users.setdefault(name, []).append(node)
            for name in node.output:
                self.makers[name] = node
        self.outputs = {value.name for value in graph.output}
        self.made = {value.name for value in graph.input}

    def is_inside_quantized(self, node: onnx.NodeProto) -> bool:
        """Whether the node only says how a neighbouring operation is quantized; the runtime merges such nodes."""
        if self.converts_fp8(node):
            return False
        if node.op_type == "DequantizeLinear":
            return bool(self.users.get(node.output[0]))
        return node.op_type == "QuantizeLinear" and node.input[0] in self.makers

    def is_quantized(self, node: onnx.NodeProto) -> bool:
        """Whether the runtime runs the node in int8, between a dequantization and a quantization."""
        maker = self.makers.get(node.input[0]) if node.input else None
        return (
            maker is not None
            and maker.op_type == "DequantizeLinear"
            and node.op_type != "QuantizeLinear"
            and not self.converts_fp8(maker)
        )

    def converts_fp8(self, node: onnx.NodeProto) -> bool:
        """Whether the node turns FP8 into another type, or back: the runtime neither folds nor merges that.

        ONNX Runtime's CPU provider has no operation in FP8: its optimized graph keeps such nodes, and computes in FP32.
        """
        return node.op_type in _CONVERSIONS and any(
            self._onnx_type(name) in _FP8 for name in (*node.input[:1], *node.output[:1])
        )

    def is_timed(self, node: onnx.NodeProto, opset: int) -> bool:
        """Whether types or sizes of a node make its cost unknown: the prices are of quick kernels.

        Conversions of FP8 go element by element, as texts do, and products of FP64 and of whole numbers have kernels of
        their own.
        """
        kind = self._onnx_type(node.input[0]) if node.input else None
        if TensorProto.STRING in (kind, self._onnx_type(node.output[0])):
            return True  # an allocation for each text: up to 50 times as long as its 8 bytes
        if node.op_type in _PRODUCTS:
            return kind is not None and kind not in _QUICK_IN_PRODUCTS
        if node.op_type == "MaxPool" and kind in _BYTES:  # in QDQ form, the graph has a float here
            return True
        return (
            self.converts_fp8(node)
            or is_scattered(node, opset, self.tensors)
            or (self._is_slow_type(node, kind) and self.tensors[node.input[0]].elements >= LARGE)
        )

    @staticmethod
    def _is_slow_type(node: onnx.NodeProto, kind: int | None) -> bool:
        """Whether the kernel has no vectors for this type: on an EPYC up to 20 times as long as for FP32.

        That is so of functions of FP64, and of sums and quotients of whole numbers.
        """
        if kind == TensorProto.DOUBLE:
            return KIND_OF.get(node.op_type) in ("transcendental", "softmax")
        return kind in _WHOLE and (node.op_type == "Div" or node.op_type.startswith("Reduce"))

    def _onnx_type(self, name: str) -> int | None:
        tensor = self.tensors.get(name)
        return tensor.onnx_type if tensor is not None else None

    def stored(self, name: str) -> GraphTensor | None:
        """Return a tensor of few bits that the runtime unpacks within the operation that takes it; None for others."""
        maker = self.makers.get(name)
        if maker is None or maker.op_type != "DequantizeLinear":
            return None
        packed = self.tensors.get(maker.input[0])
        return packed if packed is not None and packed.bits < 8 else None

    @staticmethod
    def is_known(node: onnx.NodeProto, opset: int) -> bool:
        """Whether the cost of a node's operation is known."""
        return arithmetic.is_known(node, opset)

    def after(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
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

    def _only_user(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        """Return the one node that takes the first output of `node`; None if others take it, too."""
        users = self.users.get(node.output[0], [])
        return users[0] if len(users) == 1 and node.output[0] not in self.outputs else None

    def _is_sum(self, node: onnx.NodeProto, convolution: onnx.NodeProto) -> bool:
        """Whether `node` adds two tensors of one shape: the convolution's output, and one that exists before it."""
        shapes = [self.tensors[name].shape for name in node.input if name in self.tensors]
        others = [name for name in node.input if name not in convolution.output]
        return len(shapes) == 2 and shapes[0] == shapes[1] and all(name in self.made for name in others)

    def _has_constant(self, node: onnx.NodeProto) -> bool:
        return any(name in self.tensors and self.tensors[name].constant for name in node.input)


def made_by(nodes: Collection[onnx.NodeProto]) -> set[str]:
    """Return the names of the tensors that nodes make."""
    return {name for node in nodes for name in node.output if name}
