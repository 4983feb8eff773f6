"""The operations of a model as it uses them: of which operator set, and with which types of tensors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from edgesim.models import graph_nodes, runtime_kernels
from edgesim.models.runtime_kernels import Use
from edgesim.models.typed_graph import TypedGraph
from edgesim.printable import printable

if TYPE_CHECKING:
    import onnx

# ONNX Runtime makes an initializer of it.
_WITHOUT_KERNEL = frozenset(("Constant",))


@dataclass(frozen=True)
class Misuse:
    """A node that no release loads, whatever kernels it has.

    Attributes:
        words: what is wrong.
        is_foreign: whether ONNX Runtime has no operation of the domain, so that a library may have this one.
    """

    words: str
    is_foreign: bool = False


def of_model(proto: "onnx.ModelProto") -> Iterator[Use | Misuse]:
    """Yield the uses of a model's operations, each once, also in branches, loops and functions of its own."""
    return iter(dict.fromkeys(_Reader(proto).uses()))


class _Reader:
    def __init__(self, proto: "onnx.ModelProto") -> None:
        self._proto, self._typed = proto, TypedGraph.of(proto)
        self._own = {(function.domain, function.name) for function in proto.functions}

    def uses(self) -> Iterator[Use | Misuse]:
        opsets = {_domain(entry.domain): entry.version for entry in self._proto.opset_import}
        yield from self._of_nodes(self._proto.graph.node, opsets, typed=True)
        yield from self._quantized_products(opsets)
        for function in self._proto.functions:
            own = {_domain(entry.domain): entry.version for entry in function.opset_import}
            # The types of a function's tensors are those of each call.
            yield from self._of_nodes(function.node, own, typed=False)

    def _of_nodes(
        self, nodes: "Sequence[onnx.NodeProto]", opsets: Mapping[str, int], *, typed: bool
    ) -> Iterator[Use | Misuse]:
        for node in graph_nodes.with_bodies(nodes):
            domain = _domain(node.domain)
            if (node.domain, node.op_type) in self._own or (not domain and node.op_type in _WITHOUT_KERNEL):
                continue
            if domain not in runtime_kernels.domains():
                name = printable(f"{domain}.{node.op_type}")
                yield Misuse(f"{name}: a custom operation, which takes a library", is_foreign=True)
                continue
            schema = _schema(node.op_type, opsets.get(domain, 1), domain)
            if schema is not None and _is_gone(schema):
                yield Misuse(f"{node.op_type} is gone from opset {schema.since_version} on")
                continue
            ends = self._ends(node, schema, domain) if typed else ()
            if schema is not None and (words := _misfit(node.op_type, schema, ends)) is not None:
                yield Misuse(words)
                continue
            yield Use(
                domain=domain,
                name=printable(node.op_type),
                since=schema.since_version if schema is not None else 1,
                types=tuple(
                    dict.fromkeys(pair for name, group, kind in ends for pair in ((group, kind), (name, kind)))
                ),
                is_composed=schema is not None
                and (schema.has_function or getattr(schema, "has_context_dependent_function", False)),
            )

    def _ends(self, node: "onnx.NodeProto", schema: Any, domain: str) -> tuple[tuple[str, str, str], ...]:
        """Return name, type constraint and type of each input and output of a node whose type is known."""
        if schema is not None:
            formal = [
                [(each.name, each.type_str) for each in side if "Variadic" not in str(each.option)]
                for side in (schema.inputs, schema.outputs)
            ]
        else:
            formal = [list(side) for side in runtime_kernels.signature(domain, node.op_type)]
        known = []
        for names, side in zip((node.input, node.output), formal, strict=True):
            for tensor, (name, group) in zip(names, side, strict=False):
                kind = self._type(tensor)
                if tensor and kind is not None:
                    known.append((name, group, kind))
        return tuple(known)

    def _type(self, tensor: str) -> str | None:
        from onnx import TensorProto

        number = self._typed.types.get(tensor)
        if number is None or number not in TensorProto.DataType.values():
            return None
        return TensorProto.DataType.Name(number).lower()

    def _quantized_products(self, opsets: Mapping[str, int]) -> Iterator[Use]:
        """Yield what ONNX Runtime makes of a product between dequantized tensors that is quantized again."""
        nodes = self._proto.graph.node
        dequantized = {node.output[0] for node in nodes if self._is_dequantized_byte(node)}
        quantized = {node.input[0] for node in nodes if node.op_type == "QuantizeLinear" and node.input}
        for node in nodes:
            if node.op_type != "MatMul" or node.domain or not quantized.intersection(node.output):
                continue
            schema = _schema("QLinearMatMul", opsets.get("", 1), "")
            if schema is not None and dequantized.issuperset(node.input):
                yield Use(domain="", name="QLinearMatMul", since=schema.since_version)

    def _is_dequantized_byte(self, node: "onnx.NodeProto") -> bool:
        return node.op_type == "DequantizeLinear" and self._type(next(iter(node.input), "")) in ("int8", "uint8")


def types_of(proto: "onnx.ModelProto") -> frozenset[str]:
    """Return the types of a model's inputs, outputs and constants."""
    from onnx import TensorProto

    values = (*proto.graph.input, *proto.graph.output)
    numbers = {value.type.tensor_type.elem_type for value in values}
    numbers |= {tensor.data_type for tensor in proto.graph.initializer}
    return frozenset(TensorProto.DataType.Name(n).lower() for n in numbers if n in TensorProto.DataType.values() and n)


def bits_of(proto: "onnx.ModelProto") -> frozenset[int]:
    """Return the widths of the weights of a model's `MatMulNBits`, in bits."""
    nodes = [node for node in graph_nodes.of_model(proto) if node.op_type == "MatMulNBits"]
    return frozenset(each.i for node in nodes for each in node.attribute if each.name == "bits")


def _domain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _schema(name: str, opset: int, domain: str) -> Any:
    """Return ONNX's definition of an operation in an operator set; None if ONNX has none."""
    from onnx import defs

    try:
        return defs.get_schema(name, min(opset, 2**31 - 1), domain)
    except defs.SchemaError:
        return None


def _is_gone(schema: Any) -> bool:
    """Whether an operation was taken out of ONNX: another definition that came later has none after it."""
    newest = _schema(schema.name, 2**31 - 1, schema.domain)
    return bool(schema.deprecated and newest is not None and newest.deprecated)


def _misfit(name: str, schema: Any, ends: Sequence[tuple[str, str, str]]) -> str | None:
    """Return why ONNX's definition of an operation does not take its tensors; None if it does."""
    allowed = {each.type_param_str: each.allowed_type_strs for each in schema.type_constraints}
    for end, group, kind in ends:
        taken = allowed.get(group, [group])
        if f"tensor({kind})" not in taken:
            return f"{name} of opset {schema.since_version} does not take {kind} as {end}"
    for (_, group, kind), (_, other, second) in pairwise(sorted(ends, key=lambda each: each[1])):
        if group == other and kind != second and group in allowed:
            return f"{name} of opset {schema.since_version} does not take {kind} beside {second}"
    return None
