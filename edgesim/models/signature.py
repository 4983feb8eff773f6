"""The signature of a model: its inputs and outputs, with their types and shapes."""

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgesim.errors import ModelError, ModelUnsupported
from edgesim.models import tensor_types

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """An input or output of a model.

    Attributes:
        datatype: the type in the Open Inference Protocol: ``FP32``.
        shape: -1 where a size is only known at run time.
        dims: the name that the model gives to each size, such as ``sequence``; empty for a size without one.
        any_rank: the model states no shape, not even a number of dimensions; `shape` is empty then.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    dims: tuple[str, ...] = ()
    any_rank: bool = False

    def __str__(self) -> str:
        sizes = "..." if self.any_rank else ", ".join("?" if n < 0 else str(n) for n in self.shape)
        return f"{self.name} {self.datatype}[{sizes}]"

    def fits(self, shape: Sequence[int]) -> bool:
        """Return whether the tensor may have this shape, in which every size is known."""
        if self.any_rank:
            return True
        return len(shape) == len(self.shape) and all(
            own in (-1, size) for size, own in zip(shape, self.shape, strict=True)
        )


def inputs(path: Path, proto: "onnx.ModelProto") -> tuple[Tensor, ...]:
    """Return the inputs of a model that a request gives: those of the graph without the names of its weights.

    Args:
        path: the model's file, for messages.

    Raises:
        ModelUnsupported: the Open Inference Protocol cannot carry one of them.
    """
    weights = {initializer.name for initializer in proto.graph.initializer}
    return tuple(_tensor(path, value) for value in proto.graph.input if value.name not in weights)


def outputs(path: Path, proto: "onnx.ModelProto") -> tuple[Tensor, ...]:
    """Return the outputs of a model.

    Args:
        path: the model's file, for messages.

    Raises:
        ModelError: there are none.
        ModelUnsupported: the Open Inference Protocol cannot carry one of them.
    """
    return tuple(_tensor(path, value) for value in _typed_outputs(path, proto))


def _typed_outputs(path: Path, proto: "onnx.ModelProto") -> "Iterable[onnx.ValueInfoProto]":
    """Return the outputs of a graph; the type of one that the file leaves open, as ONNX Runtime would, by inference.

    Raises:
        ModelError: there are none.
    """
    if not proto.graph.output:
        raise ModelError(f"{path}: the graph has no output", fix="export the model with the outputs that you need")
    if any(value.type.WhichOneof("value") is None for value in proto.graph.output):
        from onnx import shape_inference

        with contextlib.suppress(Exception):  # of ONNX, which has no base class: what it cannot infer stays open
            return shape_inference.infer_shapes(proto).graph.output
    return proto.graph.output


def _tensor(path: Path, value: "onnx.ValueInfoProto") -> Tensor:
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type") or kind.elem_type not in tensor_types.BY_ONNX:
        raise _unsupported(path, value)
    shape = tuple(
        # 0 is a size: that of an empty cache, before the first token.
        dimension.dim_value if dimension.HasField("dim_value") and dimension.dim_value >= 0 else -1
        for dimension in kind.shape.dim
    )
    return Tensor(
        name=value.name,
        datatype=tensor_types.BY_ONNX[kind.elem_type].datatype,
        shape=shape,
        dims=tuple(dimension.dim_param for dimension in kind.shape.dim),
        any_rank=not kind.HasField("shape"),
    )


def _unsupported(path: Path, value: "onnx.ValueInfoProto") -> ModelUnsupported:
    """Return the error for an input or output that the Open Inference Protocol cannot carry."""
    if value.type.sequence_type.elem_type.HasField("map_type"):
        # ZipMap, which scikit-learn's and onnxmltools' converters append to a classifier by default.
        return ModelUnsupported(
            f"{path}: {value.name} is a sequence of maps, which edgesim cannot serve; the file itself is valid",
            fix="export the model without ZipMap: convert_sklearn(..., options={'zipmap': False}), or zipmap=False",
        )
    kind = value.type.WhichOneof("value")
    fix = "export the model with plain tensors as inputs and outputs"
    if kind == "tensor_type":
        from onnx import TensorProto

        names = {number: name for name, number in TensorProto.DataType.items()}
        word = names.get(value.type.tensor_type.elem_type, "of an unknown type")
        fix = f"export the model with {value.name} as FLOAT or INT8, which a Cast in the graph makes"
    else:
        word = (kind or "no type").removesuffix("_type").replace("_", " ")
    return ModelUnsupported(
        f"{path}: {value.name} has the type {word}, which the Open Inference Protocol lacks; the file itself is valid",
        fix=fix,
    )
