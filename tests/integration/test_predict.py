"""Predictions: the graph that they assume beside the one that the board's runtime makes, and the command line."""

import json
import subprocess
from collections import Counter
from pathlib import Path

import onnx
import pytest

from edgesim.models.repository import Model
from edgesim.predictions import graph
from tests.integration.conftest import edgesim
from tests.support.command_line import edgesim_here

SCRIPT = """
import sys, onnxruntime
options = onnxruntime.SessionOptions()
options.optimized_model_filepath = "/out/optimized.onnx"
options.log_severity_level = 3
onnxruntime.InferenceSession("/model.onnx", options, providers=["CPUExecutionProvider"])
"""


@pytest.mark.emulation
@pytest.mark.usefixtures("nothing_left_behind")
def test_the_graph_is_the_one_that_the_emulated_runtime_makes(resnet18: Model, tmp_path: Path) -> None:
    """At its highest level: residual sums and activations inside the convolutions, and no blocked layout."""
    image = json.loads(edgesim("build", "jetson-nano", "--json").stdout)["reference"]
    tmp_path.chmod(0o777)
    subprocess.run(
        [
            "docker",
            "run",
            "--rm",
            "--label",
            "edgesim",
            "--platform",
            "linux/arm64",
            "--volume",
            f"{resnet18.path}:/model.onnx:ro",
            "--volume",
            f"{tmp_path}:/out",
            "--entrypoint",
            "python3.11",
            image,
            "-c",
            SCRIPT,
        ],
        check=True,
        timeout=300,
        capture_output=True,
    )
    theirs = Counter(
        (node.op_type.removeprefix("Fused"), node.op_type.startswith("Fused"))
        for node in onnx.load(tmp_path / "optimized.onnx").graph.node
        if node.op_type != "Flatten"
    )
    assert Counter((node.operation, bool(node.fused)) for node in graph.read(resnet18.path)) == theirs


def test_the_command_says_the_time_its_band_and_what_makes_it() -> None:
    done = edgesim_here("predict", "jetson-nano", "resnet18", "--explain")
    assert done.returncode == 0, done.stderr
    for words in ("80 %", "no figure is published", "by kind of operation", "Conv+Relu", "half the resolution", "int8"):
        assert words in done.stdout
    facts = json.loads(edgesim_here("predict", "jetson-nano", "resnet18", "--explain", "--json").stdout)
    assert facts["low_ms"] < facts["p50_ms"] < facts["high_ms"]
    assert sum(node["ms"] for node in facts["nodes"]) == pytest.approx(facts["p50_ms"])
    assert [other["change"] for other in facts["alternatives"]] == ["half the resolution", "int8"]


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["x86-gateway", "digits"], 2, "no prediction: it has the core of its host"),
        (["jetson-nano", "digits", "--shape", "image=1"], 2, "model digits takes image FP32[?, 8, 8]"),
        (["jetson-nano", "digits", "--threads", "0"], 2, "threads"),
    ],
)
def test_what_cannot_be_predicted_is_a_clear_error(arguments: list[str], code: int, problem: str) -> None:
    done = edgesim_here("predict", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert problem in done.stderr
    assert "Traceback" not in done.stderr


def test_a_result_that_is_of_no_board_calibrates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    edgesim("run", "jetson-nano", "digits", "--engine", "local", "--requests", "5", "-o", path)
    done = edgesim("calibrate", "jetson-nano", path)
    assert done.returncode == 2
    assert "is a run of execution host" in done.stderr
