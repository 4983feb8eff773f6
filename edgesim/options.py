"""Options of a run: every name, type and default, in one place.

The command line, Python, stacks, paired runs and the pytest plugin all take these objects. They are frozen, and
`model_dump(mode="json")` with `model_validate` carries them to another process or machine.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypedDict

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from edgesim.errors import UsageError, did_you_mean, field_problem

# What a run is the truth about follows from its execution: see docs/architecture.md.
Execution = Literal["emulated", "scaled", "native", "same-architecture", "host"]
# The target that every board has: its processor.
CPU = "cpu"
# What runs the server: a container of the Docker Engine, or a plain process of this host.
EngineName = Literal["docker", "local"]
# How models get into the container.
MountMethod = Literal["bind", "volume", "image"]
# How requests go to the server: by the Open Inference Protocol over HTTP, or over gRPC.
ProtocolName = Literal["http", "grpc"]
# Traffic as MLPerf LoadGen defines it.
ScenarioName = Literal["single-stream", "multi-stream", "server", "offline"]

# Seconds in which a server must become ready.
READY_TIMEOUT_S = 180.0


@dataclass(frozen=True, kw_only=True)
class Precision:
    """A run continues until the 95 % confidence interval of a percentile is within `percent` of the percentile.

    Attributes:
        percentile: such as 99.
        percent: half width of the interval, in percent of the percentile's value.
        limit_s: the run ends after this many seconds, whatever its precision.
    """

    percentile: float
    percent: float
    limit_s: float = 600.0

    def __str__(self) -> str:
        return f"p{self.percentile:g} within {self.percent:g} %"


@dataclass(frozen=True, kw_only=True)
class PeakLimit:
    """The limit of a peak search: `percentile` (such as ``p99``) must stay below `latency_ms`."""

    percentile: str
    latency_ms: float


@dataclass(frozen=True, kw_only=True)
class RequestDefaults:
    """What a run of one execution does when the traffic options do not say.

    Attributes:
        requests, duration_s: the run ends when both are reached.
        warm_up: requests before the measured ones; None means until latencies are steady.
        timeout_s: a request without an answer after this many seconds has failed.
        tail: send enough requests in the server scenario to know its 99th percentile.
    """

    requests: int
    duration_s: float
    warm_up: int | None
    timeout_s: float
    tail: bool = True


# An emulated request takes seconds, a native one milliseconds. An emulated run has no warm-up and needs no tail, since
# its times are no board's times; a scaled server is warm after its calibration.
REQUEST_DEFAULTS: Mapping[Execution, RequestDefaults] = {
    "emulated": RequestDefaults(requests=5, duration_s=3.0, warm_up=0, timeout_s=300.0, tail=False),
    "scaled": RequestDefaults(requests=5, duration_s=6.0, warm_up=0, timeout_s=300.0),
    "native": RequestDefaults(requests=100, duration_s=5.0, warm_up=None, timeout_s=30.0),
    # Where this host is slowed down to the board's time, the defaults of a scaled board hold.
    "same-architecture": RequestDefaults(requests=100, duration_s=5.0, warm_up=None, timeout_s=30.0),
    "host": RequestDefaults(requests=100, duration_s=5.0, warm_up=None, timeout_s=30.0),
}


class _Options(BaseModel):
    """Options that name the wrong field, and the nearest right one, in a UsageError."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _usage_error(error, type(self)) from error


class TrafficOptions(_Options):
    """The requests of a run: which, how many, and how fast.

    Attributes:
        scenario: None means what `qps` or `samples_per_query` imply, else ``single-stream``.
        qps: requests per second in the server scenario.
        clients: concurrent closed loops, or concurrent requests in the offline scenario.
        samples_per_query: requests in one query of the multi-stream scenario.
        sweep: rates, in requests per second, at which the server scenario runs one after the other.
        peak: search for the highest rate that keeps this limit.
        requests, duration_s, until: the run ends when all of these that are set are reached.
        warmup: requests before the measured ones, in addition to the first inference.
        client_cores: cores of this host that only the load generator uses; the board gets the others.
    """

    scenario: ScenarioName | None = None
    qps: float | None = None
    clients: int | None = None
    samples_per_query: int | None = None
    sweep: tuple[float, ...] = ()
    peak: PeakLimit | None = None
    requests: int | None = Field(default=None, ge=1)
    duration_s: float | None = Field(default=None, ge=0)
    until: Precision | None = None
    warmup: int | None = Field(default=None, ge=0)
    client_cores: tuple[int, ...] | None = None


class Generate(BaseModel):
    """How much text a decoder generates: `tokens`, one by each request, after a prompt of `prompt` tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: int = Field(ge=1)
    tokens: int = Field(ge=1)


class InputOptions(_Options):
    """The inputs that requests carry.

    Attributes:
        seed: of random inputs and of arrivals.
        input: real inputs: an ``.npz`` file with one array for each input and samples along the first axis, or a
            directory of ``.npz`` files with one request each (``.npy`` files for a model with one input).
        inputs_file: a file that says which values the inputs have (`edgesim.inputs.inputs_file`); None means
            ``inputs.yaml`` beside the model, if there is one.
        shapes: sizes of inputs whose dimensions the model leaves open, by input name.
        auto_dims: guess the sizes that neither the model nor the options give; the result says which.
        dims: such sizes by the name that the model has for them, for all inputs that use the name.
        ranges: smallest and largest random value, by input name.
        state: outputs that are fed into an input of the next request, each with the input's name; ``auto`` feeds those
            that look like such a state by their names and sizes, and the result says which.
        generate: measure the generation of text by a decoder with a cache; None means single requests.
    """

    seed: int = 0
    input: Path | None = None
    inputs_file: Path | None = None
    shapes: Mapping[str, tuple[Annotated[int, Field(ge=0)], ...]] = {}
    dims: Mapping[str, Annotated[int, Field(ge=0)]] = {}
    auto_dims: bool = False
    ranges: Mapping[str, tuple[float, float]] = {}
    state: Mapping[str, str] | Literal["auto"] = {}
    generate: Generate | None = None


class DetectionMatch(_Options):
    """How a detector's rows are matched with those of the reference: by class and overlap, not by their order.

    Attributes:
        boxes, scores, classes: the outputs with these, each with a row for each detection; None means to find them.
        rows: the output that is a table of detections; None means to find it.
        columns: of that table, a letter each: x, y, w, h of the box, s its score, c its class, i its image, - another,
            such as ``xyxysc`` or ``icxywhs``; None means to tell them by their values.
        iou: the least overlap of a pair, as intersection over union.
        threshold: the score from which on the model gives a row; None means the graph's NonMaxSuppression.
    """

    boxes: str | None = None
    scores: str | None = None
    classes: str | None = None
    rows: str | None = None
    columns: str | None = Field(default=None, pattern=r"^[sci-]*(x[sci-]*y[sci-]*){2}$|^[sci-]*xywh[sci-]*$")
    iou: float = Field(default=0.5, gt=0, le=1)
    threshold: float | None = Field(default=None, ge=0)


class BoardOptions(_Options):
    """How a board is started.

    Attributes:
        execution: None means the executions that suit the board and the host.
        target: what runs the model on the board, and whose predicted time a scaled server takes: ``cpu``, or an
            accelerator with its runtime and a precision, such as ``gpu:tensorrt-fp16``; None means ``cpu``.
        engine: ``docker``, or ``local`` for a plain process of this host.
        context: docker context or URL of the engine; None means the current context.
        base_image: the image that the serving image is built on; None means Debian's.
        runtime: the release of ONNX Runtime in the serving image, such as ``1.16.3``, or ``1.16`` for its newest patch,
            or ``board`` for the one that the board usually has outside of a container; None means the one that the
            board's system comes with, else edgesim's default.
        packed: a packed image in a registry, ``REGISTRY/NAME@sha256:…``, to run with the model inside, in place of a
            model of this host.
        gpus: ``all`` gives the container the GPUs of the engine's machine, ``none`` does not; None means what the
            profile says (`image.gpus`).
        mount: how models get into the container; None means ``bind``, or ``volume`` where files cannot be mounted.
        volume: name of the volume; None means a name derived from its contents.
        results: a directory of this host that the container may write to, at ``/results``.
        port: of 127.0.0.1, where the server answers; 0 means any free port.
        protocol: how requests go to the server: ``http`` or ``grpc``.
        grpc_port: of 127.0.0.1, where the server answers gRPC, too; 0 means any free port, None no gRPC.
        watch: reload models when the repository changes.
        host_libraries: libraries of custom operations that edgesim may load on this host, for the comparison and for
            ``engine=local``: files, or ``onnxruntime-extensions``. They are code, and run as this user.
        ready_timeout_s: seconds until the server must be ready.
        count: emulate the board with an emulator that counts instructions.
        count_threads: threads of an inference that is counted. Several threads wait for each other by spinning, which
            makes the counts waver.
    """

    execution: Execution | None = None
    target: str | None = None
    engine: EngineName = "docker"
    context: str | None = None
    base_image: str | None = None
    runtime: str | None = None
    packed: str | None = None
    gpus: Literal["all", "none"] | None = None
    mount: MountMethod | None = None
    volume: str | None = None
    results: Path | None = None
    port: int = Field(default=0, ge=0, le=65535)
    protocol: ProtocolName = "http"
    grpc_port: int | None = Field(default=None, ge=0, le=65535)
    watch: bool = False
    host_libraries: tuple[str, ...] = ()
    ready_timeout_s: float = Field(default=READY_TIMEOUT_S, gt=0)
    count: bool = False
    count_threads: int = Field(default=1, ge=1)


class RunOptions(_Options):
    """All options of a run.

    Attributes:
        models: the model repository; None means ``models/``, then the sample models.
        match: how rows of outputs are matched before they are compared, `DetectionMatch` or ``detections``; None means
            by their order.
        repeat: number of fresh containers, one after the other.
        output: file that the result is written to.
    """

    traffic: TrafficOptions = TrafficOptions()
    inputs: InputOptions = InputOptions()
    board: BoardOptions = BoardOptions()
    models: Path | None = None
    match: DetectionMatch | None = None
    repeat: int = Field(default=1, ge=1)
    output: Path | None = None

    @field_validator("match", mode="before")
    @classmethod
    def _match_by_name(cls, value: object) -> object:
        return DetectionMatch() if value == "detections" else value

    def changed(self) -> frozenset[str]:
        """Return the names of the fields, those of the sections included, that differ from their defaults."""
        default = RunOptions()
        return frozenset(name for name in (*_OWN, *_SECTION_OF) if _value(self, name) != _value(default, name))

    def require_only(
        self, names: Collection[str], reason: str, *, fix: str | None = None, error: type[UsageError] = UsageError
    ) -> None:
        """Refuse options that differ from their defaults and have no meaning for what takes these options.

        Args:
            names: the fields that have a meaning.
            reason: why no other field has one, for the message.
            fix: None means to leave the option out.

        Raises:
            UsageError, or `error`: another field differs from its default; the error names the field.
        """
        if refused := sorted(self.changed() - set(names)):
            raise error(f"`{refused[0]}`: {reason}", fix=fix if fix is not None else f"leave `{refused[0]}` out")

    def without(self, names: Collection[str]) -> Self:
        """Return the options with these fields at their defaults."""
        default = RunOptions()
        return self.of(self, **{name: _value(default, name) for name in names})

    @classmethod
    def of(cls, options: "RunOptions | None" = None, **keywords: Any) -> Self:
        """Return `options` with single fields replaced, each named without its section: ``of(qps=20)``.

        Raises:
            UsageError: there is no such field, or its value is wrong.
        """
        if options is not None and not isinstance(options, RunOptions):
            raise UsageError(f"{options!r} is no `RunOptions`", fix="name each option: requests=20")
        base = options if options is not None else cls()
        sections: dict[str, dict[str, Any]] = {name: {} for name in _SECTIONS}
        own: dict[str, Any] = {}
        for name, value in keywords.items():
            if name in _OWN:
                own[name] = value
            elif name in _SECTION_OF:
                sections[_SECTION_OF[name]][name] = value
            else:
                raise UsageError(f"`{name}`: no such option{did_you_mean(name, [*_OWN, *_SECTION_OF])}")
        for name, changes in sections.items():
            if changes:
                section = getattr(base, name)
                own[name] = type(section)(**(dict(section) | changes))
        return cls(**(dict(base) | own))


_SECTIONS: Mapping[str, type[_Options]] = {"traffic": TrafficOptions, "inputs": InputOptions, "board": BoardOptions}
_OWN = ("models", "match", "repeat", "output")
_SECTION_OF = {field: name for name, section in _SECTIONS.items() for field in section.model_fields}
# The names of all fields, those of the sections included.
ALL_OPTIONS = frozenset({*_OWN, *_SECTION_OF})


def _value(options: RunOptions, name: str) -> Any:
    """Return the value of a field, whichever section has it."""
    return getattr(getattr(options, _SECTION_OF[name]) if name in _SECTION_OF else options, name)


class RunKeywords(TypedDict, total=False):
    """Every field of `RunOptions` and its sections as a keyword argument; paths may be strings."""

    scenario: ScenarioName | None
    qps: float | None
    clients: int | None
    samples_per_query: int | None
    sweep: Sequence[float]
    peak: PeakLimit | None
    requests: int | None
    duration_s: float | None
    until: Precision | None
    warmup: int | None
    client_cores: Sequence[int] | None
    seed: int
    input: Path | str | None
    inputs_file: Path | str | None
    shapes: Mapping[str, tuple[int, ...]]
    dims: Mapping[str, int]
    auto_dims: bool
    ranges: Mapping[str, tuple[float, float]]
    state: Mapping[str, str] | Literal["auto"]
    generate: Generate | Mapping[str, int] | None
    execution: Execution | None
    target: str | None
    engine: EngineName
    context: str | None
    base_image: str | None
    runtime: str | None
    packed: str | None
    gpus: Literal["all", "none"] | None
    mount: MountMethod | None
    volume: str | None
    results: Path | str | None
    port: int
    protocol: ProtocolName
    grpc_port: int | None
    watch: bool
    host_libraries: Sequence[str]
    ready_timeout_s: float
    count: bool
    count_threads: int
    models: Path | str | None
    match: DetectionMatch | Literal["detections"] | None
    repeat: int
    output: Path | str | None


def _usage_error(error: ValidationError, options: type[BaseModel]) -> UsageError:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "literal_error":
        allowed = re.findall(r"'([^']+)'", str(first["ctx"]["expected"]))
        nearest = did_you_mean(str(first["input"]), allowed)
        return UsageError(f"`{name}={first['input']}`: not one of {', '.join(allowed)}{nearest}")
    if first["type"] == "extra_forbidden":
        return UsageError(f"`{name}`: no such option{did_you_mean(name, list(options.model_fields))}")
    problem = field_problem(first)
    return UsageError(f"`{name}={first['input']}`: {problem[0].lower()}{problem[1:]}")
