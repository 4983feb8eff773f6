"""The example for Kubeflow without kfp: what a step makes of Kubeflow's description, and the compiled pipeline."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.pages import ROOT

EXAMPLE = ROOT / "examples" / "kubeflow"


@pytest.fixture
def step_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kubeflow_step", EXAMPLE / "steps" / "step.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def artifact(uri: str, **metadata: Any) -> dict[str, Any]:
    return {"artifacts": [{"name": "a", "uri": uri, "metadata": metadata}]}


def test_step_reads_its_inputs_and_tells_the_metadata_of_its_outputs(
    step_module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {
        "inputs": {"parameterValues": {"seed": 1}, "artifacts": {"verdict": artifact("/in/verdict", verdict="PASS")}},
        "outputs": {
            "artifacts": {"model": artifact(f"{tmp_path}/task/model")},
            "outputFile": f"{tmp_path}/task/executor_output.json",
        },
    }
    monkeypatch.setattr("sys.argv", ["train.py", json.dumps(facts)])
    step = step_module.Step()
    assert (step.parameters, step.metadata["verdict"]) == ({"seed": 1}, {"verdict": "PASS"})
    assert (step.inputs["verdict"], step.outputs["model"]) == (Path("/in/verdict"), tmp_path / "task" / "model")
    step.outputs["model"].write_bytes(b"")
    step.describe(model={"opset": 16})
    told = json.loads((tmp_path / "task" / "executor_output.json").read_text())
    assert told["artifacts"]["model"]["artifacts"][0]["metadata"] == {"opset": 16}


@pytest.mark.parametrize(
    ("uri", "path"), [("gs://b/x", "/gcs/b/x"), ("minio://b/x", "/minio/b/x"), ("s3://b/x", "/s3/b/x"), ("/x", "/x")]
)
def test_artifact_of_an_object_store_is_where_kubeflow_mounts_it(step_module: ModuleType, uri: str, path: str) -> None:
    assert step_module._path({"uri": uri}) == Path(path)


def test_each_step_of_the_compiled_pipeline_has_a_program() -> None:
    pipeline = next(iter(YAML(typ="safe", pure=True).load_all((EXAMPLE / "pipeline.yaml").read_text())))
    containers = [each["container"] for each in pipeline["deploymentSpec"]["executors"].values()]
    programs = {Path(container["command"][1]).name for container in containers}
    assert programs == {"train.py", "export.py", "check.py", "gate.py", "pack.py"}
    assert all((EXAMPLE / "steps" / name).is_file() for name in programs)
    assert {container["image"] for container in containers} == {"edgesim-steps:latest"}
