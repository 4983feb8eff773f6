"""Whether a release of TensorRT takes a model, by its file alone and by what the release's parser documents.

A model that passes may still not build: kernels depend on sizes, and on the memory that the builder has. Nothing here
runs TensorRT, which has no release for this host.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgesim.models import graph_nodes, repository, tensorrt_facts
from edgesim.models.repository import Model
from edgesim.models.tensorrt_facts import Restriction, TensorRt
from edgesim.models.typed_graph import TypedGraph
from edgesim.printable import printable

if TYPE_CHECKING:
    import onnx

_FOLD = "fold constants before the build: polygraphy surgeon sanitize --fold-constants"
# No model has a newer one.
_NEWEST_OPSET = 9999
_FLOW = frozenset(("If", "Loop", "Scan", "SequenceMap"))
_QUANTIZING = frozenset(("QuantizeLinear", "DequantizeLinear"))
# Names of ONNX's types as TensorRT's documentation has them; all others are written as ONNX does.
_TYPES = {
    "float": "fp32",
    "float16": "fp16",
    "bfloat16": "bf16",
    "double": "fp64",
    "float8e4m3fn": "fp8",
    "float4e2m1": "fp4",
}
# Input of a node whose type is the type of what it computes, where that is not the first.
_TYPED_INPUT = {"Where": 1, "OneHot": 2}


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a release of TensorRT makes of a model.

    Attributes:
        refused: why it does not take the model; `doubted` where no source decides. Each a sentence with nodes counted.
        remarks: what a build or a program has to do, or sees otherwise.
        is_quantized: whether the model quantizes and dequantizes, so that an engine for it needs int8.
        parts: subgraphs that ONNX Runtime's TensorRT provider would give to TensorRT.
        left: how often it would leave each operation to CUDA or the CPU.
    """

    facts: TensorRt
    refused: tuple[str, ...]
    doubted: tuple[str, ...]
    remarks: tuple[str, ...]
    is_quantized: bool
    parts: int
    left: Mapping[str, int]


def examine(model: Model, facts: TensorRt) -> Findings:
    """Compare a model with what a release takes.

    Raises:
        ModelError: the file is not an ONNX model.
    """
    return _Examination(repository.parse(model.path), facts).findings(model)


class _Examination:
    """A model beside the facts of a release, node by node."""

    def __init__(self, proto: "onnx.ModelProto", facts: TensorRt) -> None:
        self._proto, self._facts = proto, facts
        self._typed = TypedGraph.of(proto)
        # Bounded, since ONNX's own functions take 32 bits.
        opsets = (entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx"))
        self._opset = min(next(opsets, 0), _NEWEST_OPSET)
        self._functions = {(function.domain, function.name) for function in proto.functions}
        self._refused: dict[str, list[str]] = {}
        self._doubted: dict[str, list[str]] = {}
        # Nodes by their outputs, which are theirs alone.
        self._unsupported: set[tuple[str, ...]] = set()

    def findings(self, model: Model) -> Findings:
        for node in graph_nodes.of_model(self._proto):
            before = sum(map(len, self._refused.values()))
            self._node(node)
            if sum(map(len, self._refused.values())) > before:
                self._unsupported.add(tuple(node.output))
        types = list(self._of_types(model))
        parts, left = self._partition()
        return Findings(
            facts=self._facts,
            refused=(*types, *_counted(self._refused)),
            doubted=(*self._of_opset(), *_counted(self._doubted)),
            remarks=tuple(self._remarks(model)),
            is_quantized=any(node.op_type in _QUANTIZING for node in self._proto.graph.node),
            parts=parts,
            left=left,
        )

    # --- one node -----------------------------------------------------------------------------------------------------

    def _node(self, node: "onnx.NodeProto") -> None:
        facts, operator = self._facts, node.op_type
        if (node.domain, operator) in self._functions:
            if not facts.takes_functions:
                self._refuse(node, "is a function of the model's own: inline it (onnx.inliner)")
            return
        if node.domain not in ("", "ai.onnx"):
            self._foreign(node)
            return
        if operator in facts.unknown:
            self._doubt(node, f"no source says whether TensorRT {facts.version} takes it")
            return
        if operator not in facts.operators:
            if operator in tensorrt_facts.plugins():
                return
            if self._typed.is_folded(node):
                self._doubt(node, f"not among its operators, and made of constants: {_FOLD}")
            else:
                self._refuse(node, "not among its operators")
            return
        for restriction in facts.restrictions(operator):
            self._restricted(node, restriction)
        if operator not in _FLOW and not self._typed.is_folded(node):
            self._typed_node(node)
        if (words := self._newer_definition(node)) is not None:
            self._doubt(node, words)

    def _foreign(self, node: "onnx.NodeProto") -> None:
        """Judge an operation of another domain, which only a plugin can run."""
        if node.op_type not in tensorrt_facts.plugins():
            self._refuse(node, f"of the domain {printable(node.domain)}, which takes a plugin of your own")

    def _restricted(self, node: "onnx.NodeProto", restriction: Restriction) -> None:
        verdict = self._keeps_to(node, restriction)
        if verdict is True:
            return
        if verdict is None and restriction.inputs:
            self._doubt(node, f"{restriction.words}, and follows from constants: {_FOLD}")
        elif verdict is None or restriction.doubt:
            self._doubt(node, restriction.words)
        else:
            self._refuse(node, restriction.words)

    def _keeps_to(self, node: "onnx.NodeProto", restriction: Restriction) -> bool | None:
        """Return whether a node keeps to a restriction; None if the file does not tell."""
        inputs = list(node.input)
        if restriction.inputs:
            return self._has_constants(inputs, restriction)
        if restriction.attribute is not None:
            return _has_attribute(node, restriction)
        if restriction.outputs is not None:
            return not any(node.output[restriction.outputs :])
        if restriction.inputs_most is not None:
            return not any(inputs[restriction.inputs_most :])
        if restriction.zero_point is not None:
            return self._is_symmetric(inputs, restriction.zero_point)
        shape = self._typed.shapes.get(inputs[0]) if inputs else None
        if restriction.rank:
            return len(shape) in restriction.rank if shape is not None else None
        if restriction.static:
            return self._typed.is_static(inputs[0]) if inputs else True
        if restriction.distinct:
            terms = _attribute(node, "equation", b"").decode(errors="replace").partition("->")[0].split(",")
            return all(len(set(term.strip())) == len(term.strip()) for term in terms if "." not in term)
        return False

    def _has_constants(self, inputs: list[str], restriction: Restriction) -> bool | None:
        verdict: bool | None = True
        for place in restriction.inputs:
            name = inputs[place] if place < len(inputs) else ""
            if not name:
                continue
            if restriction.most is not None:
                value = self._typed.value(name)
                if value is not None and value.size and int(value.max()) > restriction.most:
                    return False
            elif name not in self._typed.foldable:
                return False
            elif name not in self._typed.constants:
                verdict = None
        return verdict

    def _is_symmetric(self, inputs: list[str], place: int) -> bool | None:
        name = inputs[place] if place < len(inputs) else ""
        if not name:
            return True
        if self._type(name) in ("uint8", "uint16", "int16", "uint4"):
            return False
        value = self._typed.value(name)
        return not value.any() if value is not None else None

    def _typed_node(self, node: "onnx.NodeProto") -> None:
        """Judge the type of what a node computes; types that the whole release lacks are told once, elsewhere."""
        place = _TYPED_INPUT.get(node.op_type, 0)
        kind = self._type(node.input[place]) if place < len(node.input) else None
        kind = self._facts.narrowed.get(kind, kind) if kind is not None else None
        if kind is None or kind not in self._facts.tensor_types or node.op_type in _QUANTIZING:
            return
        taken = self._facts.operators[node.op_type]
        if kind not in taken and not (kind == "int8" and "fp32" in taken):
            self._doubt(node, f"of {kind} here, documented for {', '.join(sorted(taken))}")

    def _newer_definition(self, node: "onnx.NodeProto") -> str | None:
        """Return why a node may mean something else than the release's newest operator set says; None if it does not.

        Most operators are defined anew only for more types.
        """
        from onnx import defs

        opset = self._opset
        if opset <= self._facts.opset:
            return None
        old: Any  # the stubs lack two properties
        new: Any
        try:
            new = defs.get_schema(node.op_type, opset, "")
            old = defs.get_schema(node.op_type, self._facts.opset, "")
        except defs.SchemaError:
            return None  # operators of ONNX's beginnings, such as ImageScaler
        if new.since_version <= self._facts.opset:
            return None
        given = {attribute.name for attribute in node.attribute if not _is_default(attribute, new)}
        same = (
            given <= old.attributes.keys() and len(node.input) <= old.max_input and len(node.output) <= old.max_output
        )
        # An attribute that became an input, and a default that changed.
        gone = any(name not in new.attributes for name, attribute in old.attributes.items() if attribute.required)
        moved = len(node.input) > len(old.inputs) and not _is_variadic(old)
        changed = any(
            name not in given and str(new.attributes[name].default_value) != str(attribute.default_value)
            for name, attribute in old.attributes.items()
            if name in new.attributes
        )
        if same and not gone and not moved and not changed:
            return None
        documented = f"documented up to opset {self._facts.opset}: export with that"
        return f"defined anew in opset {new.since_version}, and {documented}"

    # --- the whole model ----------------------------------------------------------------------------------------------

    def _of_types(self, model: Model) -> Iterator[str]:
        """Yield the types of tensors that the release does not take at all."""
        ends = {tensor.name for tensor in (*model.inputs, *model.outputs)}
        names: dict[str, set[str]] = {}
        for node in graph_nodes.of_model(self._proto):
            refused = {name for name in (*node.input, *node.output) if self._is_refused(name, is_end=name in ends)}
            for name in refused:
                names.setdefault(self._type(name) or "", set()).add(name)
            if refused:
                self._unsupported.add(tuple(node.output))
        for kind, tensors in sorted(names.items()):
            count = f"{len(tensors)} tensor{'s' if len(tensors) > 1 else ''}"
            yield f"type {kind} ({count}): it takes {', '.join(sorted(self._facts.tensor_types))}"

    def _is_refused(self, name: str, *, is_end: bool) -> bool:
        """Whether a tensor has a type that the release does not take, or not there."""
        facts, kind = self._facts, self._type(name)
        if kind is None or kind in facts.tensor_types or kind in facts.narrowed:
            return False
        return not (is_end and kind in facts.io_types)

    def _of_opset(self) -> Iterator[str]:
        opset = self._opset
        if 0 < opset < self._facts.oldest_opset:
            yield f"opset {opset}: documented from {self._facts.oldest_opset} on; convert the model"

    def _remarks(self, model: Model) -> Iterator[str]:
        facts, opset = self._facts, self._opset
        if opset > facts.opset:
            yield f"opset {opset} (documented up to {facts.opset}), whose other operations mean the same in both"
        for kind, other in facts.narrowed.items():
            names = [tensor.name for tensor in model.inputs if self._type(tensor.name) == kind]
            if names:
                yield f"input {printable(', '.join(names))} of {kind} is bound as {other}: larger values are clamped"
            elif any(self._type(tensor.name) == kind for tensor in model.outputs) or kind in self._weight_types():
                yield f"{kind} is taken as {other}: larger values are clamped"
        open_inputs = [tensor for tensor in model.inputs if -1 in tensor.shape]
        if open_inputs:
            words = ", ".join(f"{printable(tensor.name)} {list(tensor.shape)}" for tensor in open_inputs)
            yield f"open sizes ({words.replace('-1', '?')}): fix them, or give an optimization profile (--minShapes, …)"
        plugins = sorted({node.op_type for node in self._proto.graph.node} & tensorrt_facts.plugins())
        if plugins:
            yield f"{', '.join(plugins)}: a plugin that comes with TensorRT; no other runtime has it"
        if any(node.op_type == "NonMaxSuppression" for node in self._proto.graph.node):
            yield "NonMaxSuppression gives a number of rows that the values decide: outputs are sized at run time"

    def _weight_types(self) -> set[str | None]:
        return {self._type(tensor.name) for tensor in self._proto.graph.initializer}

    def _partition(self) -> tuple[int, Counter[str]]:
        """Return how ONNX Runtime's TensorRT provider would divide the graph, in the graph's order."""
        parts, inside, left = 0, False, Counter[str]()
        for node in self._proto.graph.node:
            if node.op_type == "Constant" or self._typed.is_folded(node):
                continue
            taken = not any(tuple(each.output) in self._unsupported for each in graph_nodes.with_bodies([node]))
            parts += taken and not inside
            inside = taken
            if not taken:
                left[printable(node.op_type)] += 1
        return parts, left

    def _type(self, name: str) -> str | None:
        """Return a tensor's type as TensorRT calls it; None if it is not known."""
        from onnx import TensorProto

        number = self._typed.types.get(name)
        if number is None or number not in TensorProto.DataType.values():
            return None
        word = TensorProto.DataType.Name(number).lower()
        return _TYPES.get(word, word)

    def _refuse(self, node: "onnx.NodeProto", words: str) -> None:
        self._refused.setdefault(f"{printable(node.op_type)}: {words}", []).append(node.name)

    def _doubt(self, node: "onnx.NodeProto", words: str) -> None:
        self._doubted.setdefault(f"{printable(node.op_type)}: {words}", []).append(node.name)


def _counted(reasons: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield reasons, with how many nodes each is about and the first one's name, after the operator's."""
    for reason, names in reasons.items():
        operator, _, words = reason.partition(": ")
        first = next((printable(name) for name in names if name), "")
        count = f"{len(names)} nodes" if len(names) > 1 else "1 node"
        yield f"{operator} ({count}{f', {first}' if first else ''}): {words}"


def _has_attribute(node: "onnx.NodeProto", restriction: Restriction) -> bool:
    assert restriction.attribute is not None, "only such restrictions come here"
    value = _attribute(node, restriction.attribute, None)
    if value is None:
        return True
    if isinstance(value, bytes):
        word = value.decode(errors="replace")
        return not any(part in word for part in restriction.without) and (
            not restriction.values or word in restriction.values
        )
    if isinstance(value, Iterable):
        sizes = list(value)
        if restriction.lengths:
            return len(sizes) in restriction.lengths
        return all(size in restriction.all_of for size in sizes)
    return not restriction.values or value in restriction.values


def _attribute(node: "onnx.NodeProto", name: str, otherwise: Any) -> Any:
    from onnx import helper

    for attribute in node.attribute:
        if attribute.name == name:
            try:
                return helper.get_attribute_value(attribute)
            except ValueError:  # an attribute without a type
                break
    return otherwise


def _is_default(attribute: "onnx.AttributeProto", schema: Any) -> bool:
    """Whether an attribute is given the value that it has anyway."""
    defined = schema.attributes.get(attribute.name)
    return defined is not None and defined.default_value == attribute


def _is_variadic(schema: Any) -> bool:
    return bool(schema.inputs) and "Variadic" in str(schema.inputs[-1].option)
