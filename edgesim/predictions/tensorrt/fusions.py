"""The fusions of TensorRT: which nodes of a graph run as one kernel on the GPU.

Source: the developer guide of TensorRT 8 and 10, section "Types of Fusions" (convolution with scale, activation and
element-wise sum; pointwise operations; products with bias and activation).
"""

from collections.abc import Sequence

import onnx

from edgesim.predictions import fusions
from edgesim.predictions.fusions import made_by

# Operations on each element by itself, which TensorRT generates one kernel for, however many follow each other.
POINTWISE = frozenset(
    (
        "Abs",
        "Add",
        "And",
        "BatchNormalization",
        "Cast",
        "Ceil",
        "Celu",
        "Clip",
        "Cos",
        "Div",
        "Elu",
        "Equal",
        "Erf",
        "Exp",
        "Floor",
        "Gelu",
        "Greater",
        "GreaterOrEqual",
        "HardSigmoid",
        "HardSwish",
        "LeakyRelu",
        "Less",
        "LessOrEqual",
        "Log",
        "Max",
        "Mean",
        "Min",
        "Mish",
        "Mul",
        "Neg",
        "Not",
        "Or",
        "PRelu",
        "Pow",
        "QuickGelu",
        "Reciprocal",
        "Relu",
        "Round",
        "Selu",
        "Sigmoid",
        "Sign",
        "Sin",
        "Softplus",
        "Softsign",
        "Sqrt",
        "Sub",
        "Sum",
        "Swish",
        "Tanh",
        "ThresholdedRelu",
        "Where",
        "Xor",
    )
)
_PRODUCTS = frozenset(("Conv", "ConvTranspose", "Gemm", "MatMul"))
# A chain ends after this many operations: a longer one is rare, and the search for its end is quadratic.
_LONGEST_CHAIN = 24


class TensorRtFusions(fusions.Fusions):
    """The nodes of one graph with their neighbours, as TensorRT joins them."""

    @staticmethod
    def is_known(node: onnx.NodeProto, opset: int) -> bool:
        """Price every operation: on a GPU, one that is no product costs its launches and its bytes."""
        return True

    def converts_fp8(self, node: onnx.NodeProto) -> bool:
        """Return False: an engine has quantization in the kernels beside it."""
        return False

    def is_timed(self, node: onnx.NodeProto, opset: int) -> bool:
        """Return False: what another host's kernels take tells nothing of a GPU."""
        return False

    def after(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Return the nodes after `node` that run in its kernel.

        A chain of pointwise operations joins the kernel before it if one tensor leaves the chain: TensorRT keeps the
        others in registers. So do a sum with a residual that exists before, and ``x * sigmoid(x)``.
        """
        if node.op_type not in _PRODUCTS and node.op_type not in POINTWISE:
            return []
        chain: list[onnx.NodeProto] = []
        best = 0
        while len(chain) < _LONGEST_CHAIN:
            following = self._next(node, chain)
            if following is None:
                break
            chain.append(following)
            if self._leaving((node, *chain)) == set(following.output[:1]):
                best = len(chain)
        return chain[:best]

    def _next(self, node: onnx.NodeProto, chain: Sequence[onnx.NodeProto]) -> onnx.NodeProto | None:
        """Return the next pointwise node that takes what the chain makes, and whose other inputs exist."""
        members = (node, *chain)
        inside = made_by(members)
        shape = self._shape(node.output[0])
        names = {member.name for member in members}
        for name in (output for member in members for output in member.output if output):
            for user in self.users.get(name, []):
                if user.name in names or user.op_type not in (*POINTWISE, "Identity"):
                    continue
                if user.output[0] in self.made or self._shape(user.output[0]) != shape:
                    continue
                if all(self._exists(other) or other in inside for other in user.input if other):
                    return user
        return None

    def _leaving(self, members: Sequence[onnx.NodeProto]) -> set[str]:
        """Return the names of the tensors that others take from the members."""
        names = {member.name for member in members}
        return {
            name
            for name in made_by(members)
            if name in self.outputs or any(user.name not in names for user in self.users.get(name, []))
        }

    def _exists(self, name: str) -> bool:
        tensor = self.tensors.get(name)
        return name in self.made or (tensor is not None and tensor.constant)

    def _shape(self, name: str) -> tuple[int, ...] | None:
        tensor = self.tensors.get(name)
        return tensor.shape if tensor is not None else None
