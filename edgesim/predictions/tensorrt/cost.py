"""The cost of kernels on a GPU: coefficients that are fitted, times facts of the accelerator.

A kernel takes a launch, and then the longer of its arithmetic and its bytes; where both are alike, somewhat more than
either. Arithmetic runs at a share of the peak of its path: tensor cores where the GPU has them for the precision, plain
cores otherwise and for depthwise convolutions. The share falls

- for channels that do not fill the kernels' tiles of 64,
- for few outputs, which do not fill all units,
- for a shallow product, since each output has a cost of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple

import numpy as np

from edgesim.errors import ProfileError
from edgesim.predictions.tensorrt.kernels import KernelTable
from edgesim.profiles import DeviceProfile
from edgesim.profiles.accelerator import Accelerator, Precision

TargetPrecision = Literal["fp16", "fp32", "int8"]
PRECISIONS: tuple[TargetPrecision, ...] = ("fp16", "fp32", "int8")
# What TensorRT computes fp32 in: it allows the tensor cores' tf32 where there are such.
_ON_TENSOR_CORES: Mapping[TargetPrecision, Precision] = {"fp32": "tf32", "fp16": "fp16", "int8": "int8"}
_BYTES: Mapping[TargetPrecision, int] = {"fp32": 4, "fp16": 2, "int8": 1}
# Each architecture deviates in the share that it reaches, and in its launches, from the common coefficients.
ARCHITECTURES = ("maxwell", "pascal", "volta", "ampere", "blackwell")
# Cache of the second level for each multiprocessor where a profile does not state it: what Nano, TX2 and Orin have.
_CACHE_OF_UNIT = 256 * 1024
# Channels that a tile of a kernel has, with and without tensor cores; of a grouped convolution, fewer.
_TILE, _PLAIN_TILE, _GROUPED_TILE = 64, 32, 8
# An input of few channels, such as an image, is packed differently: padding costs this many times the work at most.
_MOST_PADDING = 7.0

Number = Any  # a float, or an array of shape (kernels,)

# How the coefficients enter: `NAMES` is their order in the fit.
NAMES: tuple[str, ...] = (
    # shares of peaks
    "tensor share",
    "plain share",
    *(f"share {name}" for name in ARCHITECTURES),
    "tf32 share",
    "int8 share",
    "depthwise share",
    "grouped share",
    "winograd gain",
    # what lowers them
    "tensor tile",
    "plain tile",
    "tensor output",
    "plain output",
    "row padding",
    "depth padding",
    # bytes
    "memory share",
    "plain memory",
    "bytes per cycle",
    "cached",
    "depthwise bytes",
    "concatenation bytes",
    "slice bytes",
    "function bytes",
    # launches
    "launch cycles",
    "launch processor cycles",
    "concatenation launch",
    "slice launch",
    "function launch",
    "plain launch",
    *(f"launch {name}" for name in ARCHITECTURES),
    "inference seconds",
)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a kernel's time depends on, of an accelerator at a precision: numbers, or an array with one for each kernel.

    Attributes:
        units, clock_hz: streaming multiprocessors that are on, and their clock.
        processor_hz: clock of the processor, which prepares each launch.
        bytes_per_s: of the memory.
        cache_bytes: of the second-level cache that all units share.
        flops_per_s: peak of the path that products take.
        depthwise_flops_per_s: peak of the plain cores.
        element_bytes: of weights and activations.
        tensor, tf32, int8: whether products run on tensor cores, and in which of the two other precisions; 0 or 1.
        architecture: index in `ARCHITECTURES`; -1 for another.
        old: whether the GPU has no tensor cores at all; 0 or 1.
    """

    units: Number
    clock_hz: Number
    processor_hz: Number
    bytes_per_s: Number
    cache_bytes: Number
    flops_per_s: Number
    depthwise_flops_per_s: Number
    element_bytes: Number
    tensor: Number
    tf32: Number
    int8: Number
    architecture: Number
    old: Number

    @classmethod
    def of(cls, profile: DeviceProfile, accelerator: Accelerator, precision: TargetPrecision) -> "Facts":
        """Take the facts from a profile.

        Raises:
            ProfileError: a fact is missing.
        """
        on_tensor_cores = _ON_TENSOR_CORES[precision]
        tensor = accelerator.tensor_flops_per_cycle.get(on_tensor_cores)
        plain = accelerator.flops_per_cycle.get("fp32" if precision == "fp32" else "fp16")
        units, clock_hz, bytes_per_s = accelerator.units, accelerator.clock_hz, profile.memory.bandwidth_bytes_per_s
        processor_hz = profile.cpu.clock_hz
        if units is None or clock_hz is None or plain is None or bytes_per_s is None or processor_hz is None:
            facts = {
                f"accelerators.{accelerator.name}.units": units,
                f"accelerators.{accelerator.name}.clock_hz": clock_hz,
                f"accelerators.{accelerator.name}.flops_per_cycle": plain,
                "memory.bandwidth_bytes_per_s": bytes_per_s,
                "cpu.clock_hz": processor_hz,
            }
            lacking = ", ".join(name for name, value in facts.items() if value is None)
            raise ProfileError(
                f"{profile.reference}: no prediction for {accelerator.title}: the profile does not state {lacking}",
                fix="add the facts to the profile; the board's data sheet has them",
            )
        cycles = units * clock_hz
        name = accelerator.architecture or ""
        return cls(
            units=units,
            clock_hz=clock_hz,
            processor_hz=processor_hz,
            bytes_per_s=bytes_per_s,
            cache_bytes=accelerator.cache_bytes or units * _CACHE_OF_UNIT,
            flops_per_s=cycles * (tensor or plain),
            depthwise_flops_per_s=cycles * plain,
            element_bytes=_BYTES[precision],
            tensor=float(tensor is not None),
            tf32=float(tensor is not None and on_tensor_cores == "tf32"),
            int8=float(precision == "int8"),
            architecture=ARCHITECTURES.index(name) if name in ARCHITECTURES else -1,
            old=float(not accelerator.tensor_flops_per_cycle),
        )

    @classmethod
    def joined(cls, parts: list[tuple["Facts", int]]) -> "Facts":
        """Return facts with arrays: those of each part, repeated for so many kernels."""
        counts = [count for _, count in parts]
        return cls(
            **{
                field.name: np.repeat([getattr(facts, field.name) for facts, _ in parts], counts)
                for field in fields(cls)
            }
        )


class Costs(NamedTuple):
    """Seconds of each kernel, all its runs together; they add up. Arrays of shape (kernels,)."""

    arithmetic: np.ndarray
    memory: np.ndarray
    launch: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """All three."""
        return np.asarray(self.arithmetic + self.memory + self.launch)


def launch_seconds(facts: Facts, coefficients: Mapping[str, float]) -> np.ndarray:
    """Return what the launch of one kernel takes: the processor's part, and the GPU's own."""
    own = _by_architecture(facts, coefficients, "launch")
    plain = np.where(facts.old, coefficients["plain launch"], 1.0)
    seconds = (
        coefficients["launch cycles"] / facts.clock_hz + coefficients["launch processor cycles"] / facts.processor_hz
    )
    return np.asarray(seconds * own * plain)


def costs(kernels: KernelTable, facts: Facts, coefficients: Mapping[str, float]) -> Costs:
    """Return the time of each kernel.

    Args:
        coefficients: by the names in `NAMES`.
    """
    c = coefficients
    product, depthwise = kernels.is_kind("product"), kernels.is_kind("depthwise")
    arithmetic = np.where(product, _product_seconds(kernels, facts, c), 0.0)
    arithmetic += np.where(depthwise, kernels.flops / (facts.depthwise_flops_per_s * c["depthwise share"]), 0.0)
    joined, cut = kernels.is_kind("concatenation"), kernels.is_kind("slice")
    # A depthwise kernel reads what surrounds its tile once more.
    share = np.select([depthwise, joined, cut], [c["depthwise bytes"], c["concatenation bytes"], c["slice bytes"]], 1.0)
    activations = kernels.activations * facts.element_bytes * share
    weights = kernels.weights * facts.element_bytes
    # Weights are read anew in each inference; of activations, a cache keeps what fits.
    from_memory = weights + activations**2 / (activations + c["cached"] * facts.cache_bytes)
    per_byte = 1 / (facts.units * facts.clock_hz * c["bytes per cycle"])
    bytes_per_s = facts.bytes_per_s * c["memory share"] * np.where(facts.old, c["plain memory"], 1.0)
    memory = from_memory / bytes_per_s + (activations + weights) * per_byte
    # The longer of both, and somewhat more where they are alike: a kernel moves bytes while it computes, but not all.
    both = np.hypot(arithmetic, memory)
    part = np.divide(arithmetic, both, out=np.zeros_like(both), where=both > 0) ** 2
    function_bytes = kernels.function * 2 * kernels.written * facts.element_bytes * c["function bytes"]
    launches = np.select([joined, cut], [c["concatenation launch"], c["slice launch"]], 1.0)
    launches = launches + kernels.function * c["function launch"]
    return Costs(
        arithmetic=kernels.count * both * part,
        memory=kernels.count * (both * (1 - part) + function_bytes * per_byte),
        launch=kernels.count * launches * launch_seconds(facts, c),
    )


def _product_seconds(kernels: KernelTable, facts: Facts, c: Mapping[str, float]) -> np.ndarray:
    """Return the seconds of the arithmetic of products."""
    tensor = np.asarray(facts.tensor) > 0
    grouped = (kernels.groups > 1) & (kernels.channels < kernels.depth)
    share = np.where(tensor, c["tensor share"], c["plain share"]) * _by_architecture(facts, c, "share")
    share = share * np.where(facts.tf32, c["tf32 share"], 1.0) * np.where(facts.int8, c["int8 share"], 1.0)
    share = share * np.where(grouped, c["grouped share"], 1.0)
    share = share * np.where(kernels.winograd * (1 - facts.tensor), c["winograd gain"], 1.0)
    tile = np.where(grouped, _GROUPED_TILE, np.where(tensor, _TILE, _PLAIN_TILE))
    deep_tile = np.where(grouped | np.logical_not(tensor), _GROUPED_TILE, _TILE)
    rows = 1 + c["row padding"] * _padding(kernels.rows, tile)
    channels = 1 + c["depth padding"] * np.minimum(_padding(kernels.channels, deep_tile), _MOST_PADDING)
    outputs = kernels.rows * kernels.columns * kernels.groups
    filled = 1 + np.where(tensor, c["tensor tile"], c["plain tile"]) * facts.units / outputs
    deep = 1 + np.where(tensor, c["tensor output"], c["plain output"]) / kernels.depth
    return np.asarray(kernels.flops / (facts.flops_per_s * share) * rows * channels * filled * deep)


def _padding(size: np.ndarray, tile: np.ndarray) -> np.ndarray:
    """Return what fills the last tile, as a part of the size."""
    return np.asarray(np.ceil(size / tile) * tile / size - 1)


def _by_architecture(facts: Facts, c: Mapping[str, float], name: str) -> np.ndarray:
    """Return the deviation of the GPU's architecture from the common coefficient; 1 for one without figures."""
    deviations = np.array([*(c[f"{name} {architecture}"] for architecture in ARCHITECTURES), 1.0])
    return np.asarray(deviations[np.asarray(facts.architecture, int)])
