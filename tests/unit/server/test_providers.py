"""What edgesim's server runs models on: the CPU, and GPUs as far as the installed ONNX Runtime has providers."""

import onnxruntime
import pytest

from edgesim.server.runtimes.onnx_runtime import OnnxRuntime

JETSON = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]


@pytest.mark.parametrize(
    ("available", "gpus", "providers"),
    [
        (JETSON, None, ("CPUExecutionProvider",)),
        (JETSON, "fp16", tuple(JETSON)),
        (JETSON[1:], "fp16", tuple(JETSON[1:])),
        (JETSON[2:], "fp16", ("CPUExecutionProvider",)),
    ],
)
def test_gpus_are_used_where_they_are_asked_for_and_onnx_runtime_has_them(
    monkeypatch: pytest.MonkeyPatch, available: list[str], gpus: str | None, providers: tuple[str, ...]
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    assert OnnxRuntime(gpus).providers == providers


@pytest.mark.parametrize(
    ("gpus", "options"),
    [
        ("fp32", {}),
        ("fp16", {"trt_fp16_enable": True}),
        ("int8", {"trt_fp16_enable": True, "trt_int8_enable": True}),
    ],
)
def test_tensorrt_builds_engines_of_the_chosen_precision(
    monkeypatch: pytest.MonkeyPatch, gpus: str, options: dict[str, bool]
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: JETSON)
    assert dict(OnnxRuntime(gpus)._providers)["TensorrtExecutionProvider"] == options
