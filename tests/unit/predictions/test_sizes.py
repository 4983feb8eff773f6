"""Both sources of sizes agree, and no model that runs on this host is declined."""

from pathlib import Path

import onnx

from edgesim import profiles
from edgesim.predictions import Declined, predict_or_decline
from edgesim.predictions.graph import name_nodes, set_inputs
from edgesim.predictions.host_run import HostRunner
from edgesim.predictions.shape_inference import ShapeInference
from tests.support.operator_models import OperatorModel, operator_models

# Of the standard's operator tests; `make test-long` takes all of them.
STEP = 23
BOARD = profiles.load("raspberry-pi-4")


def disagreements(operator: OperatorModel) -> list[str]:
    """Return the tensors whose sizes differ between inference and a run."""
    proto = onnx.load(operator.model.path)
    set_inputs(proto.graph, {name: array.shape for name, array in operator.arrays.items()}, 1, operator.model.path)
    name_nodes(proto.graph)
    inference = ShapeInference(proto)
    for node in proto.graph.node:
        inference.infer(node)
    turns = HostRunner(operator.model, operator.arrays).run(proto).turns(proto.graph.node)
    return [
        f"{operator.model.name}: {name} is {inference.known[name].shape}, and {tensor.shape} in a run"
        for turn in turns
        for name, tensor in turn.items()
        if name in inference.known and inference.known[name].shape != tensor.shape
    ]


def check(directory: Path, step: int) -> int:
    """Compare and predict operator models; return their number."""
    count = 0
    for operator in operator_models(directory, step=step):
        assert disagreements(operator) == []
        shapes = {name: array.shape for name, array in operator.arrays.items()}
        answer = predict_or_decline(BOARD, operator.model, shapes=shapes, arrays=operator.arrays)
        assert not isinstance(answer, Declined), answer.reason
        count += 1
    return count


def test_sizes_from_inference_and_from_a_run_agree_and_nothing_that_runs_is_declined(tmp_path: Path) -> None:
    assert check(tmp_path, STEP) > 40
