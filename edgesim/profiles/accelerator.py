"""Accelerators of a board: what runs models beside the processor, and what a prediction needs to know of it."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from edgesim.options import CPU
from edgesim.profiles.part import Part, Size

Kind = Literal["gpu", "npu", "dla"]
Precision = Literal["fp32", "tf32", "fp16", "bf16", "fp8", "int8", "fp4", "int4"]

# What TensorRT is asked for (trtexec's --fp16 and --int8; fp32 without an option), the most used first.
_TENSORRT_PRECISIONS: tuple[Precision, ...] = ("fp16", "fp32", "int8")

Hertz = Annotated[int, Field(ge=1_000_000, le=10_000_000_000)]
Units = Annotated[int, Field(ge=1, le=1024)]
# A unit is that wide at most: today's widest tensor cores do 32,768 operations per cycle, in fp4.
FlopsPerCycle = Annotated[int, Field(ge=1, le=2**20)]


class Runtime(Part):
    """The program that runs models on an accelerator, and the release that the board's system comes with."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*$")]
    version: Annotated[str, Field(pattern=r"^\d+\.\d+(\.\d+)*$")] | None = None


class Accelerator(Part):
    """What runs models on a board beside its processor. A fact that is None is not known.

    Attributes:
        name: how targets and power modes call it: ``gpu``.
        title: for people: ``Maxwell GPU, 128 cores``.
        architecture: of a GPU: ``maxwell``, ``pascal``, ``volta``, ``ampere``, ``blackwell``.
        compute_capability: of a GPU, as CUDA counts: ``5.3``.
        units: the number of streaming multiprocessors of a GPU that are on.
        clock_hz: the highest clock.
        flops_per_cycle: operations of the plain cores of one unit per cycle by precision; a multiply-add counts as two.
        tensor_flops_per_cycle: the same of the tensor cores of one unit, for dense matrices.
        cache_bytes: the second-level cache of a GPU, which all its units share.
        precisions: those that the hardware has a fast path for.
        context_bytes: memory that the runtime takes before it has loaded a model.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*$")]
    kind: Kind
    title: Annotated[str, Field(min_length=1)]
    architecture: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")] | None = None
    compute_capability: Annotated[str, Field(pattern=r"^\d+\.\d$")] | None = None
    units: Units | None = None
    clock_hz: Hertz | None = None
    flops_per_cycle: dict[Precision, FlopsPerCycle] = Field(default_factory=dict)
    tensor_flops_per_cycle: dict[Precision, FlopsPerCycle] = Field(default_factory=dict)
    cache_bytes: Size | None = None
    precisions: tuple[Precision, ...] = ()
    runtime: Runtime | None = None
    context_bytes: Size | None = None

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets that this accelerator is: ``gpu:tensorrt-fp16``; just its name where no runtime is known."""
        if self.runtime is None:
            return (self.name,)
        if self.runtime.name != "tensorrt":
            return (f"{self.name}:{self.runtime.name}",)
        return tuple(f"{self.name}:{self.runtime.name}-{precision}" for precision in _TENSORRT_PRECISIONS)

    def peak_flops_per_s(self, precision: Precision) -> float | None:
        """Return the most operations per second of all units at a precision; None where facts are missing."""
        per_cycle = max(self.flops_per_cycle.get(precision, 0), self.tensor_flops_per_cycle.get(precision, 0))
        return float(per_cycle * self.units * self.clock_hz) if per_cycle and self.units and self.clock_hz else None

    def in_mode(self, settings: "AcceleratorMode") -> "Accelerator":
        """Return the accelerator with the units and the clock of a power mode."""
        return self.model_copy(update=settings.model_dump(exclude_none=True))

    def contradictions(self, key: str) -> Iterator[str]:
        """Yield what is wrong, in the form ``KEY: …``; `key` is the accelerator's own."""
        rates = {**self.flops_per_cycle, **self.tensor_flops_per_cycle}
        for precision in self.precisions if rates else ():
            if precision not in rates:
                yield f"{key}.precisions: {precision} has no flops_per_cycle and no tensor_flops_per_cycle"
        if self.kind != "gpu" and self.compute_capability is not None:
            yield f"{key}.compute_capability: is for a GPU, and kind is {self.kind}"


class AcceleratorMode(Part):
    """An accelerator in a power mode: its clock, and the units that are on. None is the accelerator's own."""

    clock_hz: Hertz | None = None
    units: Units | None = None


def contradictions(accelerators: tuple[Accelerator, ...]) -> Iterator[str]:
    """Yield what is wrong with a board's accelerators, in the form ``KEY: …``."""
    before: set[str] = set()
    for index, accelerator in enumerate(accelerators):
        key = f"accelerators.{index}"
        if accelerator.name == CPU:
            yield f"{key}.name: {CPU} is the processor's own name among targets"
        if accelerator.name in before:
            yield f"{key}.name: {accelerator.name!r} is another accelerator's; one name is for one accelerator"
        before.add(accelerator.name)
        yield from accelerator.contradictions(key)


def from_text(text: Any) -> Any:
    """Return the accelerators that a text names, as older profiles have it: ``accelerator: Maxwell GPU, 128 cores``.

    What is no text is returned as it is, for the schema to refuse.
    """
    if not isinstance(text, str):
        return text
    upper = text.upper()
    kind = next((kind for kind in get_args(Kind) if kind.upper() in upper), "npu")
    return [{"name": kind, "kind": kind, "title": text}]
