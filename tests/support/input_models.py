"""Models that do nothing with their inputs, for tests of what inputs they get."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from edgesim.models import repository
from edgesim.models.repository import Model

INT64, FLOAT, STRING, BOOL = TensorProto.INT64, TensorProto.FLOAT, TensorProto.STRING, TensorProto.BOOL
BERT = dict.fromkeys(("ids", "mask", "types"), (INT64, ("batch", "sequence")))
# A voice detector: the batch of its state is the second size, and its rate is a scalar.
VOICE: Mapping[str, tuple[int, Sequence[int | str] | None]] = {
    "audio": (FLOAT, ("batch", "samples")),
    "state": (FLOAT, (2, "batch", 8)),
    "rate": (INT64, ()),
}


def model_with(path: Path, inputs: Mapping[str, tuple[int, Sequence[int | str | None] | None]]) -> Model:
    """Write a model that gives its inputs back as they are, and return it.

    Args:
        inputs: type and shape by name; None as the shape is a tensor of any rank.
    """
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in inputs]
    taken, given = (
        [helper.make_tensor_value_info(f"{name}{suffix}", kind, shape) for name, (kind, shape) in inputs.items()]
        for suffix in ("", "_out")
    )
    graph = helper.make_graph(nodes, "inputs", taken, given)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return repository.find(str(path))
