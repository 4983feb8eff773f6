"""The arithmetic of operations: for each, a function from its tensors and attributes to what a core computes.

To price another operation, add a function to `_BY_OPERATION`. An operation that is neither there nor in `KIND_OF` has
an unknown cost, and is timed on this host (`edgesim.predictions.host_run`).
"""

import math
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from edgesim.predictions.operations import FLOPS, KIND_OF, LOOPS, SCALAR, Kind
from edgesim.predictions.tensors import GraphTensor

# Recurrent weights up to this size stay in a core's cache from one step to the next: half of the smallest second-level
# cache of the boards that come with edgesim. Larger ones are read again in each step.
_CACHED_BYTES = 256 * 1024
_GATES: Mapping[str, int] = {"LSTM": 4, "DynamicQuantizeLSTM": 4, "GRU": 3, "RNN": 1}
# Sigmoids and hyperbolic tangents for each hidden unit and step.
_FUNCTIONS_OF_STEP: Mapping[str, int] = {"LSTM": 5, "DynamicQuantizeLSTM": 5, "GRU": 3, "RNN": 1}
# Nodes of trees that stay in a core's cache, at 40 bytes each in ONNX Runtime and 1 MiB of cache; a comparison in a
# larger ensemble waits for the memory, and counts as this many. Assumed; on an EPYC it takes 3 to 4 times as long.
_CACHED_NODES = (1 << 20) // 40
_WAITING_STEPS = 3
# The scores of attention are written by the product, read and written by the softmax, and read by the next product.
_PASSES_OVER_SCORES = 4
# Kinds of operations whose arithmetic is all of functions.
_OF_FUNCTIONS = frozenset(("transcendental", "softmax"))
# From this opset on, ONNX Runtime's AveragePool has a kernel without vectors, for dilations: 5 to 75 times as long.
_SCALAR_POOLING = 19


@dataclass(frozen=True)
class Operation:
    """A node of the graph with its tensors; None stands for an optional one that is left out."""

    proto: onnx.NodeProto
    inputs: tuple[GraphTensor | None, ...]
    outputs: tuple[GraphTensor | None, ...]

    def input(self, index: int) -> GraphTensor:
        """Return an input; an empty tensor for one that is left out."""
        tensor = self.inputs[index] if index < len(self.inputs) else None
        return tensor if tensor is not None else GraphTensor((0,))

    @property
    def output(self) -> GraphTensor:
        """The first output that is not left out; a scalar if all are."""
        return next((tensor for tensor in self.outputs if tensor is not None), GraphTensor(()))

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute's value."""
        for attribute in self.proto.attribute:
            if attribute.name == name:
                return onnx.helper.get_attribute_value(attribute)
        return default


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """What a core computes for one operation.

    Attributes:
        flops: all arithmetic, a multiply-add counting as two.
        functions: the part of `flops` that is not products: sigmoids, exponentials.
        product: rows, columns and depth of the matrix product, for one group; None for other operations.
        window: sizes of a convolution's kernel, and its largest stride; empty for other operations.
        steps: comparisons of decision trees, each after another.
        again_bytes: bytes that are moved besides one reading of each input and one writing of each output.
        tables: inputs of which only as many bytes are read as the output has.
    """

    kind: Kind
    flops: int
    functions: int = 0
    product: tuple[int, int, int] | None = None
    window: tuple[int, ...] = ()
    steps: int = 0
    again_bytes: int = 0
    tables: frozenset[int] = frozenset()


def arithmetic(operation: Operation) -> Arithmetic:
    """Return the arithmetic of an operation; of an unknown one, one operation for each element."""
    counted = _BY_OPERATION.get(operation.proto.op_type)
    return counted(operation) if counted is not None else _each_element(operation)


def is_known(node: onnx.NodeProto, opset: int) -> bool:
    """Whether the cost of a node's operation is known.

    Args:
        opset: of ONNX's own operations.
    """
    if node.op_type in ("Resize", "Upsample"):
        return all(attribute.s == b"nearest" for attribute in node.attribute if attribute.name == "mode")
    if node.op_type == "AveragePool":
        return opset < _SCALAR_POOLING
    if node.op_type == "Transpose":
        return _moves_blocks(next((tuple(attribute.ints) for attribute in node.attribute), None))
    if node.op_type == "MaxPool" and len([name for name in node.output if name]) > 1:
        return False  # the kernel that also gives the places takes 20 to 70 times as long
    return node.op_type in KIND_OF and node.op_type not in LOOPS


def _moves_blocks(order: tuple[int, ...] | None) -> bool:
    """Whether ONNX Runtime's Transpose moves blocks; otherwise it moves element by element, 20 to 200 times as long.

    Blocks are moved where the last axis stays the last, and where a single axis moves past the others
    (onnxruntime/core/providers/cpu/tensor/transpose.cc).

    Args:
        order: the permutation; None reverses the axes, however many there are.
    """
    if order is None:
        return False
    axes = range(len(order))
    return order[-1:] == (len(order) - 1,) or any(
        [axis for axis in order if axis != moved] == [axis for axis in axes if axis != moved] for moved in axes
    )


def _where(operation: Operation) -> Arithmetic:
    """Each side is selected into a tensor of its own, and both are merged (…/cpu/tensor/where_op.cc)."""
    output = operation.output
    return Arithmetic(kind="element-wise", flops=output.elements, again_bytes=4 * output.bytes)


def _each_element(operation: Operation) -> Arithmetic:
    name = operation.proto.op_type
    kind = KIND_OF.get(name, "other")
    flops = operation.output.elements * FLOPS.get(name, 1)
    if kind in ("pooling", "reduction"):
        window = math.prod(operation.attribute("kernel_shape", ())) or 1
        flops = max(operation.input(0).elements, operation.output.elements * window)
    return Arithmetic(kind=kind, flops=flops, functions=flops if kind in _OF_FUNCTIONS or name in SCALAR else 0)


def _gelu(operation: Operation) -> Arithmetic:
    by_tanh = operation.attribute("approximate", b"none") == b"tanh"
    flops = operation.output.elements * FLOPS["FastGelu" if by_tanh else "Gelu"]
    return Arithmetic(kind="transcendental", flops=flops, functions=flops)


def _power(operation: Operation) -> Arithmetic:
    """ONNX Runtime squares and cubes by products, and calls `pow` for all other exponents (…/element_wise_ops.cc)."""
    by_products = operation.input(1).scalar in (2, 3)
    flops = operation.output.elements * (FLOPS["Sigmoid"] if by_products else FLOPS["Pow"])
    return Arithmetic(kind="transcendental", flops=flops, functions=flops)


# --- convolutions and products ----------------------------------------------------------------------------------------


def _convolution(operation: Operation) -> Arithmetic:
    proto, output = operation.proto, operation.output
    weights = operation.input(3 if proto.op_type == "QLinearConv" else 1)
    if proto.op_type == "ConvTranspose":
        flops = 2 * operation.input(0).elements * math.prod(weights.shape[1:])
        return Arithmetic(kind="convolution", flops=flops)
    groups = int(operation.attribute("group", 1))
    kernel, depth = weights.shape[2:], math.prod(weights.shape[1:])
    pixels = output.shape[0] * math.prod(output.shape[2:])
    strides = operation.attribute("strides", (1,) * len(kernel))
    kind = KIND_OF[proto.op_type]
    if kind != "quantized":
        if groups > 1 and weights.shape[1] == 1:
            kind = "depthwise convolution"
        elif math.prod(kernel) == 1 and math.prod(strides) == 1:
            kind = "pointwise convolution"
    return Arithmetic(
        kind=kind,
        flops=2 * pixels * output.shape[1] * depth,
        product=(output.shape[1] // groups, pixels, depth),
        window=(*kernel, max(strides, default=1)),
    )


def _product(operation: Operation) -> Arithmetic:
    left = operation.input(0)
    transposed = len(left.shape) > 1 and operation.attribute("transA", 0)
    depth = left.shape[-2 if transposed else -1] if len(left.shape) > 1 else left.elements
    return _product_of_depth(operation, depth)


def _product_of_depth(operation: Operation, depth: int) -> Arithmetic:
    shape = operation.output.shape
    rows, columns = shape[-2] if len(shape) > 1 else 1, shape[-1] if shape else 1
    return Arithmetic(
        kind=KIND_OF[operation.proto.op_type], flops=2 * math.prod(shape) * depth, product=(rows, columns, depth)
    )


def _packed_product(operation: Operation) -> Arithmetic:
    """A product with weights of a few bits, which are unpacked on the way: a multiply-add for each."""
    depth, columns = int(operation.attribute("K", 1)), int(operation.attribute("N", 1))
    product = _product_of_depth(operation, depth)
    return Arithmetic(kind=product.kind, flops=product.flops + 2 * depth * columns, product=product.product)


def _einsum(operation: Operation) -> Arithmetic:
    """Contract the operands from left to right, as ONNX Runtime does: an index that is not needed later is summed."""
    equation = operation.attribute("equation", b"").decode().replace(" ", "")
    terms, arrow, result = equation.partition("->")
    tensors = [operation.input(i) for i in range(len(operation.inputs))]
    subscripts = [_spelled(term, len(tensor.shape)) for term, tensor in zip(terms.split(","), tensors, strict=True)]
    sizes: dict[str, int] = {}
    for subscript, tensor in zip(subscripts, tensors, strict=True):
        for index, size in zip(subscript, tensor.shape, strict=True):
            sizes[index] = max(sizes.get(index, 1), size)
    result = _spelled(result, len(operation.output.shape)) if arrow else _implied(subscripts)
    flops, depth, left = 0, 1, set(subscripts[0])
    for i, subscript in enumerate(subscripts[1:], 1):
        both = left | set(subscript)
        needed = set(result).union(*subscripts[i + 1 :])
        flops += 2 * math.prod(sizes[index] for index in both)
        depth = max(depth, math.prod(sizes[index] for index in both - needed))
        left = both & needed
    if depth == 1:  # nothing is summed over two operands: a transpose, a sum, or an outer product
        return Arithmetic(kind="data movement", flops=flops)
    shape = operation.output.shape
    rows, columns = shape[-2] if len(shape) > 1 else 1, shape[-1] if shape else 1
    return Arithmetic(kind="matrix product", flops=flops, product=(rows, columns, depth))


def _spelled(subscript: str, dimensions: int) -> str:
    """Return a subscript with a capital letter of its own for each dimension that an ellipsis stands for."""
    if "..." not in subscript:
        return subscript
    count = dimensions - (len(subscript) - 3)
    # Counted from the right, as broadcasting aligns dimensions; digits do not occur in equations.
    return subscript.replace("...", (string.digits + string.punctuation)[:count][::-1])


def _implied(subscripts: list[str]) -> str:
    joined = "".join(subscripts)
    return "".join(sorted(index for index in set(joined) if joined.count(index) == 1 or not index.isalpha()))


def _linear_model(operation: Operation) -> Arithmetic:
    """Rows by coefficients; of a support vector machine, by its vectors, with a function for each."""
    rows = operation.input(0).shape[0] if operation.input(0).shape else 1
    vectors = operation.attribute("support_vectors") or operation.attribute("coefficients") or ()
    flops, functions = 2 * rows * len(vectors), 0
    if operation.attribute("support_vectors") and operation.attribute("kernel_type", b"LINEAR") != b"LINEAR":
        width = max(operation.input(0).elements // max(rows, 1), 1)
        functions = rows * len(vectors) // width * FLOPS["Exp"]
    return Arithmetic(kind="matrix product", flops=flops + functions, functions=functions)


# --- recurrent networks and attention ---------------------------------------------------------------------------------


def _recurrent(operation: Operation) -> Arithmetic:
    """The input's product for all steps at once, and a product with the recurrent weights in each step."""
    name = operation.proto.op_type
    sequence, recurrent = operation.input(0), operation.input(2)
    width = sequence.shape[-1]
    steps, rows = sequence.shape[:2] if not operation.attribute("layout", 0) else sequence.shape[1::-1]
    directions, gates = recurrent.shape[0], _GATES[name]
    hidden = int(operation.attribute("hidden_size", math.isqrt(recurrent.elements // directions // gates)))
    units = steps * rows * directions * hidden
    functions = units * _FUNCTIONS_OF_STEP[name] * FLOPS["Sigmoid"]
    again = recurrent.bytes * max(steps - 1, 0) if recurrent.bytes // directions > _CACHED_BYTES else 0
    return Arithmetic(
        kind="recurrent",
        flops=2 * units * gates * (width + hidden) + functions,
        functions=functions,
        product=(rows, gates * hidden, width + hidden),
        again_bytes=again,
    )


def _attention(operation: Operation) -> Arithmetic:
    """Queries by keys, a softmax, and the scores by the values; in com.microsoft's `Attention` the projections, too."""
    proto, query = operation.proto, operation.input(0)
    contributed = proto.domain == "com.microsoft"
    heads = int(operation.attribute("num_heads") or operation.attribute("q_num_heads") or 0)
    projections = 0
    if proto.op_type == "QAttention" or (contributed and proto.op_type == "Attention"):
        rows, width = query.shape[-2], operation.output.shape[-1]
        projections = 2 * query.elements * operation.input(1).shape[-1]
        batch, keys, value_width = query.shape[0], rows, width
        past = operation.input(8 if proto.op_type == "QAttention" else 4)
        keys += past.shape[-2] if len(past.shape) > 1 else 0
        query_width = width
    else:
        key, value = operation.input(1), operation.input(2)
        batch = query.shape[0]
        if len(query.shape) == 4:  # [batch, heads, rows, width of a head]
            heads, rows = query.shape[1], query.shape[2]
            query_width = heads * query.shape[3]
        else:  # [batch, rows, width], or [batch, rows, heads, 3, width of a head] where all three are packed
            rows, query_width = query.shape[1], query.elements // max(batch * query.shape[1], 1)
            if len(query.shape) == 5:
                query_width //= 3
            elif not key.elements:
                query_width = operation.output.shape[-1]
        keys = key.shape[-2] if len(key.shape) in (3, 4) else key.shape[1] if len(key.shape) == 5 else rows
        past = operation.input({"MultiHeadAttention": 6, "GroupQueryAttention": 3}.get(proto.op_type, 4))
        keys += past.shape[2] if len(past.shape) == 4 else 0
        value_width = operation.output.shape[-1] if len(operation.output.shape) == 3 else query_width
        if len(value.shape) == 4 and len(operation.output.shape) == 4:
            value_width = heads * value.shape[3]
    scores = batch * max(heads, 1) * rows * keys
    functions = scores * FLOPS["Softmax"]
    return Arithmetic(
        kind="attention",
        flops=projections + 2 * batch * rows * keys * (query_width + value_width) + functions,
        functions=functions,
        product=(rows, keys, query_width // max(heads, 1)),
        again_bytes=_PASSES_OVER_SCORES * scores * query.bits // 8,
    )


# --- tables and trees -------------------------------------------------------------------------------------------------


def _gather(operation: Operation) -> Arithmetic:
    return Arithmetic(kind="data movement", flops=operation.output.elements, tables=frozenset((0,)))


def _embedding(operation: Operation) -> Arithmetic:
    kind = KIND_OF[operation.proto.op_type]
    return Arithmetic(kind=kind, flops=8 * operation.output.elements, tables=frozenset((2, 3, 4)))


def _trees(operation: Operation) -> Arithmetic:
    rows = operation.input(0).shape[0] if len(operation.input(0).shape) > 1 else 1
    steps, nodes = _expected_steps(operation)
    waiting = _WAITING_STEPS if nodes > _CACHED_NODES else 1
    return Arithmetic(kind="tree ensemble", flops=0, steps=math.ceil(rows * steps * waiting))


def _expected_steps(operation: Operation) -> tuple[float, int]:
    """Return the comparisons for one row, if both answers of each are as likely, and the nodes of all trees."""
    yes, no, is_leaf, level = _links(operation)
    weights = np.ones(len(level))
    steps = 0.0
    # The graph of a stranger may have circles; no tree is deeper than its nodes.
    for _ in range(len(is_leaf)):
        inner = ~is_leaf[level]
        level, weights = level[inner], weights[inner]
        if not len(level):
            break
        steps += float(weights.sum())
        level, weights = np.concatenate([yes[level], no[level]]), np.concatenate([weights, weights]) / 2
        kept = (level >= 0) & (weights > 1e-6)
        level, weights = level[kept], weights[kept]
    return steps, len(is_leaf)


def _links(operation: Operation) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the nodes after a yes and a no (-1 without one), whether a node is a leaf, and the roots."""
    if operation.proto.op_type == "TreeEnsemble":
        yes, no = (np.asarray(operation.attribute(f"nodes_{name}nodeids", ())) for name in ("true", "false"))
        ends = [np.asarray(operation.attribute(f"nodes_{name}leafs", ()), bool) for name in ("true", "false")]
        roots = np.asarray(operation.attribute("tree_roots", ()), np.int64)
        return np.where(ends[0], -1, yes), np.where(ends[1], -1, no), np.zeros(len(yes), bool), roots
    trees = np.asarray(operation.attribute("nodes_treeids", ()))
    numbers = np.asarray(operation.attribute("nodes_nodeids", ()))
    place = {pair: i for i, pair in enumerate(zip(trees.tolist(), numbers.tolist(), strict=True))}
    yes, no = (
        np.array(
            [
                place.get(pair, -1)
                for pair in zip(trees.tolist(), operation.attribute(f"nodes_{name}nodeids", ()), strict=False)
            ],
            np.int64,
        )
        for name in ("true", "false")
    )
    is_leaf = np.array([mode == b"LEAF" for mode in operation.attribute("nodes_modes", ())], bool)
    _, roots = np.unique(trees, return_index=True)
    return yes, no, is_leaf, roots


_BY_OPERATION: Mapping[str, Callable[[Operation], Arithmetic]] = {
    **dict.fromkeys(("Conv", "FusedConv", "ConvTranspose", "ConvInteger", "QLinearConv", "DeformConv"), _convolution),
    **dict.fromkeys(
        (
            "Gemm",
            "MatMul",
            "FusedMatMul",
            "FusedGemm",
            "TransposeMatMul",
            "MatMulInteger",
            "MatMulInteger16",
            "MatMulIntegerToFloat",
            "DynamicQuantizeMatMul",
            "QLinearMatMul",
            "QGemm",
        ),
        _product,
    ),
    **dict.fromkeys(("MatMulNBits", "MatMulBnb4"), _packed_product),
    "Einsum": _einsum,
    "Where": _where,
    "Pow": _power,
    "Gelu": _gelu,
    **dict.fromkeys(("LinearClassifier", "LinearRegressor", "SVMClassifier", "SVMRegressor"), _linear_model),
    **dict.fromkeys(("LSTM", "GRU", "RNN", "DynamicQuantizeLSTM"), _recurrent),
    **dict.fromkeys(("Attention", "MultiHeadAttention", "GroupQueryAttention", "QAttention"), _attention),
    **dict.fromkeys(("Gather", "GatherElements", "GatherND", "GatherBlockQuantized"), _gather),
    **dict.fromkeys(("EmbedLayerNormalization", "QEmbedLayerNormalization"), _embedding),
    **dict.fromkeys(("TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"), _trees),
}
