"""Sizes of a model's tensors from both sources, inference and a run on this host, side by side."""

from dataclasses import dataclass

import onnx

from edgesim.inputs import Arrays
from edgesim.models.repository import Model
from edgesim.predictions.graph import name_nodes, set_inputs
from edgesim.predictions.host_run import HostRunner
from edgesim.predictions.shape_inference import ShapeInference


@dataclass(frozen=True)
class ComparedSizes:
    """The tensors whose sizes both sources tell: their number, and those that differ, in words."""

    tensors: int
    disagreements: list[str]


def compare_sizes(model: Model, arrays: Arrays) -> ComparedSizes:
    """Infer the sizes of a model's own graph, run the model once, and compare.

    Raises:
        ModelError: the model does not run on this host.
    """
    proto = onnx.load(model.path, load_external_data=False)
    set_inputs(proto.graph, {name: array.shape for name, array in arrays.items()}, 1, model.path)
    name_nodes(proto.graph)
    inference = ShapeInference(proto)
    for node in proto.graph.node:
        inference.infer(node)
    both = {
        (name, inference.known[name].shape, tensor.shape)
        for turn in HostRunner(model, arrays).run(proto).turns(proto.graph.node)
        for name, tensor in turn.items()
        if name in inference.known
    }
    return ComparedSizes(
        tensors=len({name for name, _, _ in both}),
        disagreements=[
            f"{model.name}: {name} is {inferred}, and {ran} in a run"
            for name, inferred, ran in sorted(both)
            if inferred != ran
        ],
    )
