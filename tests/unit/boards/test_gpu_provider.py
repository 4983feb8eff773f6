"""What is said of a server that has GPUs and runs models on the CPU."""

from types import SimpleNamespace
from typing import Any

import pytest

from edgesim.boards import gpu_provider
from edgesim.errors import HostError
from edgesim.progress import Stages

FP16 = "gpu:tensorrt-fp16"
ON_CPU = {"runtime": "onnxruntime 1.23.2", "providers": ["CPUExecutionProvider"]}


def notes(description: dict[str, Any], target: str | None) -> list[str]:
    heard: list[str] = []
    stages: Any = SimpleNamespace(note=heard.append)
    gpu_provider.look_for(description, stages, target=target)
    return heard


@pytest.mark.parametrize("target", ["cpu", None])
def test_an_image_without_a_provider_for_gpus_is_noted_where_no_gpu_is_to_be_measured(target: str | None) -> None:
    (note,) = notes(ON_CPU, target)
    assert "onnxruntime 1.23.2 in this image has no provider for GPUs" in note


def test_an_image_without_a_provider_for_gpus_is_refused_where_a_gpu_is_to_be_measured() -> None:
    with pytest.raises(HostError, match=f"^`target={FP16}`: onnxruntime 1.23.2 in this image has no provider"):
        notes(ON_CPU, FP16)


def test_a_service_of_a_stack_is_named_by_its_key() -> None:
    with pytest.raises(HostError, match=r"^services\.net\.target: onnxruntime"):
        gpu_provider.look_for(ON_CPU, Stages(None), target=FP16, where="services.net.target")


def test_a_server_that_uses_gpus_or_says_nothing_is_let_be() -> None:
    assert notes({"providers": ["TensorrtExecutionProvider", "CPUExecutionProvider"]}, FP16) == []
    assert notes({}, FP16) == []
