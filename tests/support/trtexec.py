"""Logs and exported files as trtexec of TensorRT 8.2 and 10.3 writes them."""

from collections.abc import Mapping

_STAMP = "[11/07/2025-14:36:36] [I] "
# What a release prints otherwise: the banner's version, how bindings are told, and the name of the streams.
_RELEASES = {
    "8.2": (
        "[TensorRT v8201]",
        "Created {kind} binding for {name} with dimensions {shape}",
        "Streams",
        "percentile(99%) = 34.9 ms",
    ),
    "10.3": (
        "[TensorRT v100300]",
        "{kind} binding for {name} with dimensions {shape} is created.",
        "Inference Streams",
        "percentile(90%) = 34.5 ms, percentile(95%) = 34.7 ms, percentile(99%) = 34.9 ms",
    ),
}


def log(
    *,
    release: str = "8.2",
    model: str = "/home/me/resnet18.onnx",
    engine: str = "",
    precision: str = "FP32+FP16",
    median_ms: float = 11.4,
    inputs: Mapping[str, str] = {"input": "1x3x224x224"},
    outputs: Mapping[str, str] = {"probabilities": "1x1000"},
    capability: str = "5.3",
    streams: int = 1,
    dla: str = "",
    batch: str = "Explicit",
    clock: str = "Application Compute Clock Rate",
    profile: str = "Disabled",
    stamped: bool = True,
    ending: str = "PASSED",
) -> str:
    """Return what trtexec prints in a run; without time stamps, what people are left with after cleaning up."""
    banner, binding, streams_name, percentiles = _RELEASES[release]
    source = f"--loadEngine={engine}" if engine else f"--onnx={model} --fp16"
    command = f"{banner} # /usr/src/tensorrt/bin/trtexec {source} --iterations=100"
    times = f"min = {median_ms - 0.2:.6g} ms, max = {median_ms + 1.3:.6g} ms, mean = {median_ms + 0.05:.6g} ms"
    summary = f"{times}, median = {median_ms:.6g} ms, {percentiles}"
    lines = [
        "=== Model Options ===",
        "Format: ONNX" if not engine else "Format: *",
        f"Model: {'' if engine else model}",
        "Output:",
        "=== Build Options ===",
        "Max batch: explicit batch",
        f"Precision: {precision}",
        "Calibration: ",
        f"Load engine: {engine}",
        "=== System Options ===",
        "Device: 0",
        f"DLACore: {dla}",
        "=== Inference Options ===",
        f"Batch: {batch}",
        "Iterations: 100",
        "Duration: 3s (+ 200ms warm up)",
        f"{streams_name}: {streams}",
        "CUDA Graph: Disabled",
        "=== Reporting Options ===",
        f"Profile: {profile}",
        "=== Device Information ===",
        "Selected Device: NVIDIA Tegra X1",
        f"Compute Capability: {capability}",
        "SMs: 1",
        f"{clock}: 0.9216 GHz",
        *(binding.format(kind="Input", name=name, shape=shape) for name, shape in inputs.items()),
        *(binding.format(kind="Output", name=name, shape=shape) for name, shape in outputs.items()),
        "Starting inference",
        "=== Performance summary ===",
        f"Throughput: {1000 / median_ms:.6g} qps",
        f"Latency: min = {median_ms:.6g} ms, max = {median_ms + 2:.6g} ms, mean = {median_ms + 1:.6g} ms, "
        f"median = {median_ms + 0.9:.6g} ms, {percentiles}",
        f"Enqueue Time: {summary}",
        f"GPU Compute Time: {summary}",
        "Total Host Walltime: 3.07153 s",
        "Total GPU Compute Time: 2.9961 s",
    ]
    if ending == "FAILED":
        error = "[11/07/2025-14:36:36] [E] Error[4]: [network.cpp::validate::2891] Error Code 4: Internal Error"
        lines = lines[:9]
    text = "".join(f"{_STAMP if stamped else ''}{line}\n" for line in lines)
    text = f"&&&& RUNNING TensorRT.trtexec {command}\n{text}"
    if ending == "FAILED":
        text += f"{error} (int8 is not configured in the builder)\n[11/07/2025-14:36:36] [E] Engine set up failed\n"
    return text + (f"&&&& {ending} TensorRT.trtexec {command}\n" if ending else "")


def log_of_release_7(median_ms: float = 11.4) -> str:
    """Return what trtexec of TensorRT 7.1 prints, which has a heading and a line for each figure."""

    def block(heading: str, ms: float, rest: str = "") -> list[str]:
        figures = (("min", ms - 0.2), ("max", ms + 1.3), ("mean", ms + 0.05), ("median", ms))
        return [
            heading,
            *(f"{name}: {each:.6g} ms{rest}" for name, each in figures),
            f"percentile: {ms + 1:.6g} ms at 99%",
        ]

    lines = [
        "=== Model Options ===",
        "Model: /home/me/resnet18.onnx",
        "=== Build Options ===",
        "Max batch: explicit",
        "Precision: FP32+FP16",
        "Average on 10 runs - GPU latency: 11.5 ms - Host latency: 11.9 ms (end to end 23 ms, enqueue 3.1 ms)",
        *block("Host Latency", median_ms + 0.9, " (end to end 23.1 ms)"),
        "throughput: 0 qps",
        "walltime: 3.00461 s",
        *block("Enqueue Time", 3.1),
        *block("GPU Compute", median_ms),
        "total compute time: 2.98 s",
    ]
    command = "TensorRT.trtexec # trtexec --onnx=/home/me/resnet18.onnx --fp16"
    return f"&&&& RUNNING {command}\n{''.join(f'{_STAMP}{line}' + chr(10) for line in lines)}&&&& PASSED {command}\n"


def export_times(median_ms: float = 11.4, *, start_and_end: bool = False) -> str:
    """Return a file of --exportTimes with three inferences, of TensorRT 8 or of newer releases."""
    entries = []
    for i, ms in enumerate((median_ms - 0.2, median_ms, median_ms + 3)):
        start = 20.0 * i
        compute = f'"startComputeMs" : {start:.6g}, "endComputeMs" : {start + ms:.6g}'
        rest = "" if start_and_end else f', "computeMs" : {ms:.6g}'
        entries.append(f'{{ "startInMs" : {start:.6g}, {compute}{rest}, "latencyMs" : {ms + 1:.6g} }}')
    return "[\n  " + "\n, ".join(entries) + "\n]\n"


def export_profile(layers: Mapping[str, float]) -> str:
    """Return a file of --exportProfile with the median milliseconds of layers."""
    rows = [
        f'{{ "name" : "{name}", "timeMs" : {100 * ms:.6g}, "averageMs" : {1.01 * ms:.6g}, "medianMs" : {ms:.6g}, '
        f'"percentage" : 1 }}'
        for name, ms in layers.items()
    ]
    return "[\n  " + "\n, ".join(('{ "count" : 100 }', *rows)) + "\n]\n"
