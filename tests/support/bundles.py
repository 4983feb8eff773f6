"""Bundles for tests: made from a result that no board has measured."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from edgesim import profiles
from edgesim.jobs.bundle import bundle
from edgesim.jobs.result_sections import invocation_section, model_section, profile_section
from edgesim.models import repository
from edgesim.options import RunOptions
from edgesim.results.run_result import RunResult
from tests.support import results


def recorded(directory: Path, options: RunOptions | None = None) -> RunResult:
    """Return the result of a run of a model that is written to `directory`, with `options`."""
    path = directory / "net.onnx"
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "net", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    (directory / "inputs.yaml").write_text("inputs:\n  x: {file: requests/*.npy}\n")
    (directory / "requests").mkdir(exist_ok=True)
    np.save(directory / "requests" / "0.npy", np.ones((1, 4), np.float32))
    profile = profiles.load("jetson-nano:5w")
    return results.emulated_and_invalid().model_copy(
        update={
            "profile": profile_section(profile),
            "model": model_section(repository.find(path), own_server=True),
            "image": results.emulated_and_invalid().image.model_copy(update={"id": "sha256:" + "ef" * 32}),
            "invocation": invocation_section(profile, str(path), options if options is not None else RunOptions()),
        }
    )


def written(directory: Path, options: RunOptions | None = None) -> Path:
    """Write a bundle, and return its path."""
    recorded(directory, options).write(directory / "result.json")
    return bundle(directory / "result.json", directory / "net.edgesim.tar").path
