"""The item of a check on low precision: which kernels quantized and half-precision operations take on a core."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from edgesim.errors import ModelError
from edgesim.host.identity import KERNEL_FEATURES
from edgesim.models.repository import Model
from edgesim.options import Execution
from edgesim.predictions.model_reader import ModelReader
from edgesim.predictions.node import Node
from edgesim.profiles import DeviceProfile
from edgesim.results.verdict import Item
from edgesim.units import counted

# Operations between a quantized part of a graph and the rest of it, which compute nothing in low precision.
_BETWEEN = frozenset(("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"))
# The kernels for products of int8 that ONNX Runtime takes on a core, by the feature that they need, the best first
# (onnxruntime/core/mlas/lib/platform.cpp).
_INT8_KERNELS: Mapping[str, str] = {
    "i8mm": "i8mm",
    "asimddp": "dot product",
    "avx512_vnni": "VNNI",
    "avx_vnni": "VNNI",
    "avx512bw": "AVX-512",
    "avx2": "AVX2",
}


def items(
    model: Model,
    request: Mapping[str, np.ndarray],
    profile: DeviceProfile,
    description: Mapping[str, Any],
    execution: Execution,
) -> Iterator[Item]:
    """Say which kernels quantized and half-precision operations take; their cost shows in answers and accuracy.

    On a host of the board's architecture that is not the board, these kernels can be others than the board's: their
    answers then decide nothing.
    """
    features = set(description.get("cpu_features", ())) or set(profile.cpu.features)
    findings = []
    nodes = _nodes(model, request)
    if quantized := sum(node.precision in ("int8", "int4") and node.operation not in _BETWEEN for node in nodes):
        kernels = next((name for feature, name in _INT8_KERNELS.items() if feature in features), "plain")
        findings.append(f"{counted(quantized, 'quantized operation')} on {kernels} kernels")
    if conversions := sum(node.precision == "fp8" for node in nodes):
        findings.append(f"{counted(conversions, 'conversion')} from or to FP8, which the runtime computes in FP32")
    if conversions := sum(node.precision == "bf16" for node in nodes):
        findings.append(f"{counted(conversions, 'operation')} on BF16, which the runtime computes in FP32")
    if halves := sum(node.precision == "fp16" for node in nodes):
        # ONNX Runtime's optimized graphs under the emulator show this: casts around all of them, or half kernels.
        kernels = "on FP16 kernels as far as the runtime has them" if "asimdhp" in features else "computed in FP32"
        # On x86 the runtime has no FP16 kernels, whatever the core has.
        core = f" (the core {_has('asimdhp', features)})" if profile.architecture == "arm64" else ""
        findings.append(f"{counted(halves, 'operation')} in FP16, {kernels}{core}")
    if not findings:
        return
    words = f"{'; '.join(findings)}; answers and accuracy include the loss"
    different = sorted((features ^ set(profile.cpu.features)) & KERNEL_FEATURES)
    if execution == "same-architecture" and different:
        words += f"; this host and the board's core differ in {', '.join(different)}, so the board takes other kernels"
        yield Item(name="low precision", verdict="INCONCLUSIVE", finding=words)
    else:
        yield Item(name="low precision", verdict="PASS", finding=words)


def _has(feature: str, features: Collection[str]) -> str:
    return f"has {feature}" if feature in features else f"lacks {feature}"


def _nodes(model: Model, request: Mapping[str, np.ndarray]) -> Sequence[Node]:
    """Return the nodes as the runtime fuses them; none if this host cannot tell their sizes."""
    try:
        return ModelReader(model, arrays=request).graph().nodes
    except ModelError:
        return ()
