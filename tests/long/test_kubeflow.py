"""The example for Kubeflow: compiled, and run by kfp.local with each step in a container."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import edgesim
from tests.support.pages import ROOT

pytestmark = [pytest.mark.timeout(1800)]

EXAMPLE = ROOT / "examples" / "kubeflow"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with what the example requires."""
    directory = tmp_path_factory.mktemp("kubeflow") / "venv"
    subprocess.run([sys.executable, "-m", "venv", directory], check=True)
    command = [str(directory / "bin" / "pip"), "install", "-q", "-r", str(EXAMPLE / "requirements.txt")]
    installed = subprocess.run(command, check=False, capture_output=True, text=True)
    assert installed.returncode == 0, f"kfp cannot be installed: {installed.stderr[-300:]}"
    return directory / "bin" / "python"


@pytest.fixture(scope="module")
def steps_image() -> str:
    """The image of the steps, under the name that the pipeline has."""
    built = edgesim("build", "--self", "--extras", "report", "--tag", "edgesim-cli:latest", timeout=1500)
    assert built.returncode == 0, built.stderr
    subprocess.run(
        ["docker", "buildx", "build", "--load", "-t", "edgesim-steps:latest", EXAMPLE], check=True, capture_output=True
    )
    return "edgesim-steps:latest"


def plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "STEPS_IMAGE")}


def run(python: Path, directory: Path, *rules: str) -> "subprocess.CompletedProcess[str]":
    command = [str(python), str(EXAMPLE / "run_locally.py"), *rules]
    return subprocess.run(
        command, cwd=directory, env=plain_environment(), capture_output=True, text=True, check=False, timeout=1500
    )


def outputs(directory: Path) -> Path:
    (found,) = (directory / "local_outputs").iterdir()
    return found


def test_compiled_pipeline_is_that_of_its_source(python: Path, tmp_path: Path) -> None:
    shutil.copyfile(EXAMPLE / "pipeline.py", tmp_path / "pipeline.py")
    subprocess.run([python, tmp_path / "pipeline.py"], env=plain_environment(), check=True, capture_output=True)
    assert (tmp_path / "pipeline.yaml").read_text() == (EXAMPLE / "pipeline.yaml").read_text()


@pytest.mark.docker
@pytest.mark.usefixtures("steps_image")
def test_pipeline_takes_a_model_to_its_package(python: Path, tmp_path: Path) -> None:
    done = run(python, tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    made = outputs(tmp_path)
    shown = {step: _metadata(made / step) for step in ("train", "export", "check", "gate", "pack")}
    assert shown["train"]["metrics"]["accuracy"] > 0.9
    assert len(shown["train"]["confusion"]["confusionMatrix"]["rows"]) == 10
    assert shown["export"]["model"]["framework"] == "ONNX"
    figures = shown["check"]["metrics"]
    assert figures["device_time_low_ms"] < figures["device_time_ms"] < figures["device_time_high_ms"]
    assert shown["gate"]["verdict"] == {"verdict": "PASS"}
    assert (made / "check" / "page").read_text().startswith("<!DOCTYPE html>")
    assert json.loads((made / "check" / "result").read_text())["execution"] == "host"
    with tarfile.open(made / "pack" / "package") as package:
        assert package.getnames() == ["digits/1/model.onnx"]


@pytest.mark.docker
@pytest.mark.usefixtures("steps_image")
def test_failing_gate_stops_the_pipeline_and_nothing_is_packed(python: Path, tmp_path: Path) -> None:
    done = run(python, tmp_path, "device_time_ms.p50 <= 0.000001")
    assert done.returncode != 0
    made = outputs(tmp_path)
    assert _metadata(made / "gate")["verdict"] == {"verdict": "FAIL"}
    assert not (made / "pack" / "package").exists()


def _metadata(step: Path) -> dict[str, dict[str, Any]]:
    """Return the metadata of a step's output artifacts, by their names."""
    report = json.loads((step / "executor_output.json").read_text())
    return {name: each["artifacts"][0]["metadata"] for name, each in report["artifacts"].items()}
