"""How a model's graph uses its inputs, which tells the values that make sense: rows of tables, categories, masks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from edgesim.models import graph_constants, parameter_inputs, repository
from edgesim.models.graph_constants import Constants
from edgesim.models.graph_nodes import bodies
from edgesim.models.parameter_inputs import Parameter
from edgesim.models.repository import Model
from edgesim.models.signature import Tensor

Value = int | float | str

# Operations that pass the values of their first input on, or a part of them.
_PASSING = frozenset(
    {"Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Slice", "Expand", "Tile", "Gather"}
    | {"Split", "Pad", "GatherElements", "StringNormalizer"}
    # An index may be negative, which counts from the end of a table.
    | {"Neg", "Abs", "Clip"}
)
# Those that make no value larger than it was, beside a constant.
_SHRINKING = frozenset({"Max", "Min", "Div"})
# Those that leave the columns of a table where they are.
_KEEPING_COLUMNS = frozenset({"Identity", "Cast", "StringNormalizer"})
_CATEGORIES = ("cats_strings", "cats_int64s", "keys_strings", "keys_int64s", "keys_floats")
_WITH_CATEGORIES = frozenset({"OneHotEncoder", "LabelEncoder", "CategoryMapper"})
_RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
_INTEGERS = frozenset({"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"})


@dataclass(frozen=True, kw_only=True)
class InputUse:
    """What the graph tells of the values of an input.

    Attributes:
        low, high: smallest and largest value; None where the graph tells none.
        choices: the values that the model knows.
        columns: the same for each column of a table, where columns differ.
        constant: the value for all elements: of a mask, or what the model compares the input with.
        length: the input is the lengths of sequences in other inputs.
    """

    low: int = 0
    high: int | None = None
    choices: tuple[Value, ...] = ()
    columns: Mapping[int, tuple[Value, ...]] = field(default_factory=dict)
    constant: int | None = None
    length: bool = False


@dataclass(frozen=True)
class _Origin:
    """An input whose values a tensor has: in one column of a table or everywhere.

    Attributes:
        times, plus: the tensor has the input's values times a number, plus one of a range of numbers.
    """

    name: str
    column: int | None = None
    times: int = 1
    plus: tuple[int, int] = (0, 0)

    def moved(self, low: int, high: int) -> "_Origin":
        """Return the origin of a tensor that is larger by `low` to `high`."""
        return replace(self, plus=(self.plus[0] + low, self.plus[1] + high))

    def scaled(self, factor: int) -> "_Origin":
        """Return the origin of a tensor that is `factor` times as large."""
        return replace(self, times=self.times * factor, plus=(self.plus[0] * factor, self.plus[1] * factor))


def by_input(model: Model) -> dict[str, InputUse]:
    """Return what the graph tells of the values of each input, by name; an input that it tells nothing of is left out.

    Raises:
        ModelError, HostError: the file cannot be read.
    """
    if not any(_is_code(tensor) or _may_be_mask(tensor) or _may_be_sizes(tensor) for tensor in model.inputs):
        return {}
    # By the file's time, and not by the digest of all weights, which may take seconds.
    return _of_file(model.path, model.path.stat().st_mtime_ns, model.inputs)


@lru_cache(maxsize=4)  # a run asks several times, and a file may take seconds to read
def _of_file(path: Path, _changed_ns: int, inputs: tuple[Tensor, ...]) -> dict[str, InputUse]:
    proto = repository.parse(path)
    if proto.functions:
        from onnx import inliner

        try:
            proto = inliner.inline_local_functions(proto)
        except Exception:  # of ONNX, which has no base class: what cannot be read tells nothing
            return {}
    return _Reader(inputs, proto).uses()


class _Reader:
    """Follows the values of inputs through a graph, in the order of computation."""

    def __init__(self, inputs: Sequence[Tensor], proto: onnx.ModelProto) -> None:
        self._tensors = {tensor.name: tensor for tensor in inputs}
        self._proto = proto
        self._uses: dict[str, InputUse] = {}

    def uses(self) -> dict[str, InputUse]:
        """Return the uses of all inputs."""
        origins = {tensor.name: _columns(tensor) for tensor in self._tensors.values()}
        self._graph(self._proto.graph, origins, graph_constants.of(self._proto.graph))
        for tensor in self._tensors.values():
            self._by_name(tensor)
        return self._uses

    def _graph(self, graph: onnx.GraphProto, origins: dict[str, tuple[_Origin, ...]], constants: Constants) -> None:
        for node in graph.node:
            self._take(node, origins, constants)
            for _, body in bodies(node):
                self._graph(body, dict(origins), graph_constants.of(body, constants))
            if (passed := _passed(node, origins, constants)) is not None:
                origins |= {name: passed for name in node.output if name}

    def _take(self, node: onnx.NodeProto, origins: Mapping[str, tuple[_Origin, ...]], constants: Constants) -> None:
        """Note what a node demands of the values of its inputs."""
        for position, rows in _tables(node, constants):
            for origin in _at(node, position, origins):
                # A single position is that of the first token: all others follow it in the table.
                is_first = node.op_type == "RotaryEmbedding" and _is_single(self._tensors[origin.name])
                self._bound(origin, 1 if is_first else rows)
        if node.op_type in _WITH_CATEGORIES and (choices := _categories(node)):
            for origin in _at(node, 0, origins):
                self._choose(origin, choices)
        if node.op_type in _RECURRENT or node.op_type == "ReverseSequence":
            for origin in _at(node, 4 if node.op_type in _RECURRENT else 1, origins):
                self._set(origin.name, length=True)
        for position in range(len(node.input)):
            for origin in _at(node, position, origins):
                if (accepted := parameter_inputs.parameter(node, position, constants)) is not None:
                    self._accept(origin, accepted)
        if node.op_type in ("Equal", "Sub") and len(node.input) > 1:
            self._take_comparison(node, origins, constants)

    def _take_comparison(
        self, node: onnx.NodeProto, origins: Mapping[str, tuple[_Origin, ...]], constants: Constants
    ) -> None:
        """Note a switch, such as a rate that is compared with 16000, and a mask that is taken from 1."""
        for here, there in ((0, 1), (1, 0)):
            value = constants.scalar(node.input[there])
            for origin in _at(node, here, origins) if value is not None else ():
                tensor, use = self._tensors[origin.name], self._uses.get(origin.name)
                if node.op_type == "Sub":
                    if here == 1 and value == 1 and _may_be_mask(tensor):
                        self._set(origin.name, constant=1)
                elif _is_single(tensor) and _is_code(tensor) and (use is None or use.constant is None):
                    self._set(origin.name, constant=(int(value or 0) - origin.plus[0]) // origin.times)

    def _by_name(self, tensor: Tensor) -> None:
        """Note masks and lengths by their names, which exporters hardly vary."""
        name, use = tensor.name.lower(), self._uses.get(tensor.name, InputUse())
        told = use.high is not None or use.choices or use.constant is not None or use.length
        if told or not (_is_code(tensor) or tensor.datatype == "BOOL") or tensor.datatype == "BYTES":
            return
        if "mask" in name:
            # A mask of padding is true where there is nothing.
            self._set(tensor.name, constant=0 if "pad" in name else 1)
        elif ("length" in name or name.endswith(("_len", "_lens", "lens"))) and len(tensor.shape) <= 1:
            self._set(tensor.name, length=True)

    def _bound(self, origin: _Origin, rows: int) -> None:
        use = self._uses.get(origin.name, InputUse())
        low = max(use.low, -(origin.plus[0] // origin.times))
        high = (rows - 1 - origin.plus[1]) // origin.times
        if rows > 0 and _is_code(self._tensors[origin.name]):
            self._set(origin.name, low=low, high=high if use.high is None else min(use.high, high))

    def _accept(self, origin: _Origin, accepted: Parameter) -> None:
        """Note the values of a parameter: a whole number, or a size that a model takes as a float and casts."""
        if self._tensors[origin.name].datatype not in _INTEGERS:
            if accepted.is_size:
                self._set(origin.name, constant=accepted.high if accepted.constant is None else accepted.constant)
            return
        if accepted.constant is None:
            self._bound(origin.moved(-accepted.low, -accepted.low), accepted.high - accepted.low + 1)
        elif origin == _Origin(origin.name, origin.column):
            self._set(origin.name, constant=accepted.constant)

    def _choose(self, origin: _Origin, choices: tuple[Value, ...]) -> None:
        use = self._uses.get(origin.name, InputUse())
        if origin.column is None:
            if not use.choices:
                self._set(origin.name, choices=choices)
        elif origin.column not in use.columns:
            self._set(origin.name, columns={**use.columns, origin.column: choices})

    def _set(self, name: str, **changes: object) -> None:
        self._uses[name] = replace(self._uses.get(name, InputUse()), **changes)  # type: ignore[arg-type]


def _columns(tensor: Tensor) -> tuple[_Origin, ...]:
    """Return an origin for each column of a table, and one for any other input."""
    if len(tensor.shape) == 2 and tensor.shape[1] > 0:
        return tuple(_Origin(tensor.name, column) for column in range(tensor.shape[1]))
    return (_Origin(tensor.name),)


def _everywhere(origins: Sequence[_Origin]) -> tuple[_Origin, ...]:
    """Return origins without columns, after an operation that may move these."""
    return tuple(dict.fromkeys(replace(origin, column=None) for origin in origins))


def _at(node: onnx.NodeProto, position: int, origins: Mapping[str, tuple[_Origin, ...]]) -> tuple[_Origin, ...]:
    return origins.get(node.input[position], ()) if position < len(node.input) else ()


def _passed(
    node: onnx.NodeProto, origins: Mapping[str, tuple[_Origin, ...]], constants: Constants
) -> tuple[_Origin, ...] | None:
    """Return the origins of a node's outputs; None where a node makes values of its own."""
    first = _at(node, 0, origins)
    if node.op_type == "ArrayFeatureExtractor" and len(node.input) > 1:
        columns = constants.integers(node.input[1])
        if first and columns is not None and all(0 <= column < len(first) for column in columns):
            return tuple(first[column] for column in columns)
        return _everywhere(first) or None
    if node.op_type == "Concat":
        parts = [origins.get(name, ()) for name in node.input]
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
        together = tuple(origin for part in parts for origin in part)
        return (together if axis in (1, -1) and all(parts) else _everywhere(together)) or None
    if node.op_type == "Where" and len(node.input) > 2:
        return _everywhere((*_at(node, 1, origins), *_at(node, 2, origins))) or None
    if node.op_type in ("Add", "Sub") and len(node.input) > 1:
        first, values = _beside_constant(node, origins, constants, either=node.op_type == "Add")
        if not values:
            return None
        low, high = (min(values), max(values)) if node.op_type == "Add" else (-max(values), -min(values))
        return tuple(origin.moved(low, high) for origin in first)
    if node.op_type == "Mul" and len(node.input) > 1:
        first, values = _beside_constant(node, origins, constants)
        return tuple(origin.scaled(max(values)) for origin in first) if values and min(values) >= 1 else None
    if node.op_type in _SHRINKING and len(node.input) > 1:
        first, values = _beside_constant(node, origins, constants, either=node.op_type != "Div")
        return first if values and min(values) >= 0 else None
    if node.op_type not in _PASSING or not first:
        return None
    return first if node.op_type in _KEEPING_COLUMNS else _everywhere(first)


def _beside_constant(
    node: onnx.NodeProto, origins: Mapping[str, tuple[_Origin, ...]], constants: Constants, *, either: bool = True
) -> tuple[tuple[_Origin, ...], Sequence[int]]:
    """Return the origins of one of a node's two inputs, and the whole numbers of the other; nothing where it has none.

    Args:
        either: whether the first input may be the constant one.
    """
    for here, there in ((0, 1), (1, 0)) if either else ((0, 1),):
        first, values = _at(node, here, origins), constants.integers(node.input[there])
        if values is None and (value := constants.scalar(node.input[there])) is not None and value == int(value):
            values = [int(value)]
        if first and values:
            return first, values
    return (), ()


def _tables(node: onnx.NodeProto, constants: Constants) -> Iterator[tuple[int, int]]:
    """Yield the positions of a node's inputs that index a table, each with the number of rows of that table."""
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    names = [*node.input, "", "", ""]
    if node.op_type in ("Gather", "GatherElements", "ScatterElements", "Scatter", "GatherBlockQuantized"):
        axis = attributes.get("gather_axis" if node.op_type == "GatherBlockQuantized" else "axis", 0)
        if (sizes := constants.sizes(names[0])) is not None and -len(sizes) <= axis < len(sizes):
            yield 1, sizes[axis]
    elif node.op_type in ("GatherND", "ScatterND"):
        sizes = constants.sizes(names[0])
        if sizes is not None and attributes.get("batch_dims", 0) < len(sizes):
            # The columns of the indices are for one axis each: the shortest of them all is within each.
            indices = constants.sizes(names[1]) or ()
            begin = attributes.get("batch_dims", 0)
            yield 1, min(sizes[begin : begin + (indices[-1] if indices else 1)], default=0)
    elif node.op_type == "OneHot":
        if (depth := constants.scalar(names[1])) is not None:
            yield 0, int(depth)
    elif node.op_type in ("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"):
        if (sizes := constants.sizes(names[0])) is not None and len(sizes) > 1:
            yield 1, sizes[1]
    elif node.op_type in ("RoiAlign", "CropAndResize"):
        yield 2, 1  # of the images of a batch, whose size is open as a rule, the first one is there
    elif node.op_type == "RotaryEmbedding":
        ids, table = (1, 2) if node.domain else (3, 1)
        if (sizes := constants.sizes(names[table])) is not None and len(sizes) == 2:
            yield ids, sizes[0]
    elif node.op_type == "EmbedLayerNormalization":
        for ids, table in ((0, 2), (1, 4), (8, 3)):
            if ids < len(node.input) and table < len(node.input) and (sizes := constants.sizes(names[table])):
                yield ids, sizes[0]


def _categories(node: onnx.NodeProto) -> tuple[Value, ...]:
    """Return the categories that an encoder knows."""
    for attribute in node.attribute:
        if attribute.name in _CATEGORIES or attribute.name == "keys_tensor":
            value = helper.get_attribute_value(attribute)
            if isinstance(value, TensorProto):
                value = graph_constants.values_of(value)
            if value is not None and len(value):
                is_text = isinstance(value[0], bytes)
                return tuple(one.decode(errors="replace") for one in value) if is_text else tuple(value)
    return ()


def _is_code(tensor: Tensor) -> bool:
    """Return whether a tensor may hold codes: whole numbers, or text."""
    return tensor.datatype in _INTEGERS or tensor.datatype == "BYTES"


def _may_be_sizes(tensor: Tensor) -> bool:
    return len(tensor.shape) == 1


def _may_be_mask(tensor: Tensor) -> bool:
    return tensor.datatype in _INTEGERS or tensor.datatype == "BOOL" or "mask" in tensor.name.lower()


def _is_single(tensor: Tensor) -> bool:
    return not tensor.any_rank and all(size == 1 for size in tensor.shape)
