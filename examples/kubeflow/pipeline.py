"""A model from its training to its package, for a board that is simulated: a pipeline for Kubeflow Pipelines 2.

``python pipeline.py`` writes it to pipeline.yaml.
"""

import os
from pathlib import Path

from kfp import compiler, dsl

# Where the cluster pulls the image of the steps from.
IMAGE = os.environ.get("STEPS_IMAGE", "edgesim-steps:latest")
RULES = ["device_time_ms.p50 <= 5", "artifact_bytes <= 1 MB"]


def step(name: str) -> dsl.ContainerSpec:
    """Return the container of a step, whose program Kubeflow tells all inputs and outputs at once."""
    return dsl.ContainerSpec(image=IMAGE, command=["python3", f"/opt/steps/{name}.py"], args=["{{$}}"])


@dsl.container_component
def train(
    seed: int,
    hidden: int,
    weights: dsl.Output[dsl.Artifact],
    test_images: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    confusion: dsl.Output[dsl.ClassificationMetrics],
):
    """Train a network on handwritten digits."""
    return step("train")


@dsl.container_component
def export(weights: dsl.Input[dsl.Artifact], model: dsl.Output[dsl.Model]):
    """Write the network as an ONNX model."""
    return step("export")


@dsl.container_component
def check(
    board: str,
    engine: str,
    model: dsl.Input[dsl.Model],
    test_images: dsl.Input[dsl.Dataset],
    result: dsl.Output[dsl.Artifact],
    page: dsl.Output[dsl.HTML],
    verdict: dsl.Output[dsl.Markdown],
    metrics: dsl.Output[dsl.Metrics],
):
    """Check the model on the simulated board, and run it there."""
    return step("check")


@dsl.container_component
def gate(rules: list, result: dsl.Input[dsl.Artifact], verdict: dsl.Output[dsl.Markdown]):
    """Judge the result by rules; the pipeline goes on after PASS alone."""
    return step("gate")


@dsl.container_component
def pack(
    board: str,
    engine: str,
    model: dsl.Input[dsl.Model],
    verdict: dsl.Input[dsl.Markdown],
    package: dsl.Output[dsl.Artifact],
):
    """Pack what passed the gate."""
    return step("pack")


@dsl.pipeline(name="model-for-a-board", description="Train, export, check on a simulated board, gate, pack.")
def model_for_a_board(
    board: str = "jetson-nano",
    engine: str = "local",
    rules: list = RULES,
    seed: int = 0,
    hidden: int = 64,
):
    """Take a model from its training to its package.

    Args:
        board: a profile of edgesim.
        engine: ``local`` where the steps have no Docker Engine, which is usual in a cluster; else ``docker``.
        rules: of `edgesim gate`.
    """
    trained = train(seed=seed, hidden=hidden)
    exported = export(weights=trained.outputs["weights"])
    model = exported.outputs["model"]
    checked = check(board=board, engine=engine, model=model, test_images=trained.outputs["test_images"])
    gated = gate(rules=rules, result=checked.outputs["result"])
    pack(board=board, engine=engine, model=model, verdict=gated.outputs["verdict"])


if __name__ == "__main__":
    compiler.Compiler().compile(model_for_a_board, str(Path(__file__).with_name("pipeline.yaml")))
