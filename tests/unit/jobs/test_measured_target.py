"""What a native run measured: the CPU, or a GPU as the server reports it."""

from types import SimpleNamespace
from typing import Any

import pytest

from edgesim.errors import HostError
from edgesim.jobs import board_session
from edgesim.jobs.result_sections import measured_target

TENSORRT, CUDA, CPU = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"
FP16 = "gpu:tensorrt-fp16"


@pytest.mark.parametrize(
    ("gpus", "description", "chosen", "target"),
    [
        (None, {"providers": [CPU]}, "cpu", "cpu"),
        ("runtime nvidia", {"providers": [TENSORRT, CUDA, CPU], "gpus": "fp16"}, "cpu", FP16),
        ("runtime nvidia", {"providers": [CUDA, CPU], "gpus": "fp16"}, FP16, "gpu:cuda"),
        ("runtime nvidia", {"providers": [CPU], "gpus": "fp16"}, FP16, "cpu"),
        ("runtime nvidia", {}, FP16, FP16),
        (None, {}, FP16, "cpu"),
    ],
    ids=["no GPU", "TensorRT", "CUDA alone", "GPUs that the image has no provider for", "another server", "CPU server"],
)
def test_a_measured_time_is_of_what_ran_the_model(
    gpus: str | None, description: dict[str, Any], chosen: str, target: str
) -> None:
    assert measured_target(gpus, description, chosen=chosen) == target


@pytest.mark.parametrize(("target", "is_refused"), [("cpu", False), (FP16, True)])
def test_an_image_without_a_provider_for_gpus_is_refused_where_a_gpu_is_to_be_measured(
    target: str, *, is_refused: bool
) -> None:
    board: Any = SimpleNamespace(gpus="runtime nvidia", target=target)
    notes: Any = SimpleNamespace(note=lambda words: heard.append(words))
    heard: list[str] = []
    description = {"runtime": "onnxruntime 1.23.2", "providers": [CPU]}
    if is_refused:
        with pytest.raises(HostError, match=f"`target={FP16}`: onnxruntime 1.23.2 in this image has no provider"):
            board_session._look_for_gpu(board, description, notes)
    else:
        board_session._look_for_gpu(board, description, notes)
    assert bool(heard) is not is_refused
