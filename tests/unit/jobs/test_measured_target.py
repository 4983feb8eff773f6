"""What a native run measured: the CPU, or a GPU as the server reports it."""

from typing import Any

import pytest

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
