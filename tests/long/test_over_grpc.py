"""Boards that get their requests over gRPC: edgesim's server, and another image's that has gRPC alone."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import edgesim
from tests.support import input_models

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]
IMAGE = "edgesim/test-grpc-only:latest"
DATA = Path(__file__).parents[1] / "data" / "grpc-only"
OPTIONS = ("--protocol", "grpc", "--requests", "50", "--duration", "0")


def ran(*words: str | Path) -> dict[str, Any]:
    """Run a board; return its result."""
    output = Path(words[-1])
    done = edgesim(*words, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(output.read_text())
    assert (document["requests"]["failed"], document["scenario"]["protocol"]) == (0, "grpc")
    return document


@pytest.fixture(scope="module")
def over_grpc(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of edgesim's own server, whose image has grpcio then."""
    return ran("run", "x86-gateway", "digits", *OPTIONS, "-o", tmp_path_factory.mktemp("own") / "r.json")


@pytest.fixture(scope="module")
def image(over_grpc: dict[str, Any]) -> Iterator[str]:
    base = over_grpc["image"]["reference"]
    build = ["docker", "buildx", "build", "--quiet", "--load"]
    subprocess.run([*build, "--build-arg", f"BASE={base}", "-t", IMAGE, DATA], check=True, capture_output=True)
    yield IMAGE
    subprocess.run(["docker", "image", "rm", "-f", IMAGE], check=True, capture_output=True)


def test_own_server_answers_over_grpc_what_the_host_computes(over_grpc: dict[str, Any]) -> None:
    assert over_grpc["requests"]["ok"] >= 50
    assert over_grpc["agreement"]["max_abs_difference"] < 1e-4
    assert over_grpc["generator"]["connections"] == 1


def test_image_that_has_grpc_alone_becomes_ready_and_is_measured(image: str, tmp_path: Path) -> None:
    input_models.model_with(tmp_path / "net.onnx", {"x": (1, [1, 4])})
    server = ("--image", image, "--image-grpc-port", "9000")
    result = ran("run", "x86-gateway", tmp_path / "net.onnx", *server, *OPTIONS, "-o", tmp_path / "r.json")
    assert result["requests"]["ok"] >= 50
    assert result["agreement"]["max_abs_difference"] == 0


def test_image_that_has_grpc_alone_is_not_ready_over_http(image: str, tmp_path: Path) -> None:
    input_models.model_with(tmp_path / "net.onnx", {"x": (1, [1, 4])})
    done = edgesim("run", "x86-gateway", tmp_path / "net.onnx", "--image", image, "--ready-timeout", "5")
    assert done.returncode == 4
    assert "the server was not ready within 5" in done.stderr
    assert "--protocol grpc" in done.stderr


def test_models_are_checked_and_gated_over_grpc(tmp_path: Path) -> None:
    checked = edgesim("check", "x86-gateway", "digits", "--protocol", "grpc", "--json", timeout=600)
    assert checked.returncode in (0, 6), checked.stdout + checked.stderr
    items = {item["name"]: item["verdict"] for item in json.loads(checked.stdout)["items"]}
    assert items["answers"] == "PASS"
    assert edgesim("models", "build", "digits", "--models", "models", cwd=tmp_path).returncode == 0
    path = "models/digits/1/model.onnx"
    gated = edgesim(
        *(
            "gate",
            "x86-gateway",
            "--base",
            path,
            "--cand",
            path,
            "--protocol",
            "grpc",
            "--max-rounds",
            "6",
            "-o",
            "out",
        ),
        *("--rule", "latency_ms.p50 <= 10000"),
        cwd=tmp_path,
        timeout=600,
    )
    assert gated.returncode in (0, 6), gated.stdout + gated.stderr
    for side in ("base", "candidate"):
        assert json.loads((tmp_path / "out" / f"{side}.json").read_text())["scenario"]["protocol"] == "grpc"
