"""A run's result: every section of the result file, in its order, and JSON in and out.

The names are a contract with scripts and CI: added freely, renamed never. Each number carries its unit in its name.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

import edgesim
from edgesim.errors import ResultError
from edgesim.options import Execution, MountMethod
from edgesim.recording import Phase, Reading, Sample
from edgesim.units import format_ms

_OF_A_STACK = "of_a_stack"
Kind = TypeVar("Kind", bound=BaseModel)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


def section(kind: type[Kind], value: object) -> Kind:
    """Return a section of the result file with the fields of `value`, an object of the same attributes.

    Measuring code has values of its own, and knows nothing of the file; builders of results convert them here.
    """
    return kind.model_validate(value, from_attributes=True)


def optional_section(kind: type[Kind], value: object | None) -> Kind | None:
    """Return a section as `section` does; None for a value that the run does not have."""
    return section(kind, value) if value is not None else None


class ProfileSection(_Section):
    name: str
    sha256: str
    title: str
    mode: str | None = None


class ModelSection(_Section):
    """`signature` is what the model takes and gives: names, types and shapes."""

    name: str
    sha256: str
    version: str
    size_bytes: int
    parameters: int
    opset: int
    signature: str | None = None


class ImageSection(_Section):
    """`base` says what the image was made on; all None in a run without a container.

    `server_id` is of the image with the server alone, where the models were packed into this one.
    """

    reference: str | None = None
    id: str | None = None
    server_id: str | None = None
    base: str | None = None
    cached: bool | None = None


class HostSection(_Section):
    """The machine that the device ran on.

    `context` is how its engine was reached, and its name, where that is another machine than the one that measured.
    """

    cpu: str
    cores: int
    memory_bytes: int
    kernel: str
    engine: str | None = None
    emulator: str | None = None
    context: str | None = None


class LimitSection(_Section):
    """One limit: what was asked for, and what the kernel holds as read back; None where it is not limited.

    `proven` is whether a probe on this host has shown it to hold (``edgesim doctor --probe``); None where none has run.
    """

    name: str
    requested: float | None
    applied: float | None
    proven: bool | None = None


class DeviceSection(_Section):
    """Read back from inside the running container (or, without one, from the server's process).

    `features_missing` are those that the board's core has and this one has not, `features_extra` the other way round;
    what the kernel adds by itself is in neither. `shortfalls` says in sentences what the board has and this host could
    not give. `mount` is how the model came into the container, None without one; `volume` the volume's name.
    """

    architecture: str
    cpu_model: str | None
    cores: int
    memory_limit_bytes: int | None
    cpu_limit: float | None
    cpu_features: tuple[str, ...] = ()
    features_missing: tuple[str, ...] = ()
    features_extra: tuple[str, ...] = ()
    qemu_cpu: str | None = None
    swap_limit_bytes: int | None = None
    user_id: int | None = None
    capabilities: str | None = None
    no_new_privileges: bool | None = None
    read_only_root: bool | None = None
    runtime: str | None = None
    intra_op_threads: int | None = None
    limits: tuple[LimitSection, ...] = ()
    shortfalls: tuple[str, ...] = ()
    mount: MountMethod | None = None
    volume: str | None = None


class WarmUpSection(_Section):
    """Requests before the measured ones, and the rule that ended them; `found` is False where that rule gave up."""

    requests: int
    rule: str
    found: bool = True


class ScenarioSection(_Section):
    """What was asked for. The run ends when `requests`, `duration_s` and `precision` are all reached.

    `qps` is the rate of the server scenario, `samples` a multi-stream query's, `clients` the closed loops or, offline,
    the requests under way at a time. `precision` reads ``p99 within 5 %``.
    """

    name: Literal["single-stream", "multi-stream", "server", "offline"]
    requests: int
    duration_s: float
    warmup: int
    seed: int
    inputs: str
    qps: float | None = None
    samples: int = 1
    clients: int = 1
    precision: str | None = None
    warm_up: WarmUpSection | None = None


class LifecycleSection(_Section):
    """Seconds: `ready` from the container's start, `model_load` as the server itself measured it.

    `steady` is from the container's start to the end of the warm-up.
    """

    image: float | None
    create: float
    ready: float
    model_load: float | None
    first_inference: float | None
    start: float | None = None
    steady: float | None = None


class RequestsSection(_Section):
    sent: int
    ok: int
    failed: int
    error_rate: float | None = None


class Distribution(_Section):
    """Milliseconds of all requests; one that failed took infinitely long.

    None where the sample is too small to say (`needs_samples` has the number that it would take) or where the figure is
    infinite (`infinite` has its name). `intervals` are 95 % confidence intervals; an upper end of None is infinite.
    `histogram` is HdrHistogram's V2 form in base64, of whole microseconds, without the infinite.
    """

    samples: int = 0
    min: float | None = None
    mean: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    p99_9: float | None = None
    max: float | None = None
    intervals: dict[str, tuple[float, float | None]] = {}
    needs_samples: dict[str, int] = {}
    infinite: tuple[str, ...] = ()
    histogram: str | None = None


class GeneratorSection(_Section):
    """What the load generator itself took of this host, the reading of resources included.

    `cpu_percent` is of one core, over the load. `cores` are those it was held to; None for any. `real_time` is whether
    it went before all other programs.
    """

    cpu_seconds: float
    cpu_percent: float
    cpu_us_per_request: float | None
    connections: int
    real_time: bool = False
    cores: tuple[int, ...] | None = None


class ResourcesSection(_Section):
    """The device's use, as `source` tells it. None where this host does not tell.

    CPU, throttling, bytes and packets are of the load alone, memory and counts the largest since the device started.
    `cpu_percent_mean` is of one core of this host, `cpu_percent_of_board` of all that the board may use. `emulator_*`
    tells the emulator's own share of the memory: see `EmulatorSection`.
    """

    source: str | None = None
    cpu_seconds: float | None = None
    cpu_percent_mean: float | None = None
    cpu_percent_of_board: float | None = None
    memory_peak_bytes: int | None = None
    memory_peak_source: str | None = None
    memory_limit_bytes: int | None = None
    memory_anon_bytes: int | None = None
    memory_cache_bytes: int | None = None
    throttled_s: float | None = None
    throttled_periods: int | None = None
    periods: int | None = None
    oom_kills: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    received_bytes: int | None = None
    sent_bytes: int | None = None
    processes: int | None = None
    threads: int | None = None


class EmulatorSection(_Section):
    """The emulator's share of the device's memory, estimated: what a server with a model that does nothing takes.

    `floor_bytes` emulated, in the same image; `native_bytes` as a process of this host. What is between them is the
    emulator's: at least, since what it translates grows with the model's code.
    """

    floor_bytes: int
    native_bytes: int
    share_bytes: int


class HostLoadSection(_Section):
    """What else this host did during the load. None where it does not tell.

    `others_percent` is of the whole host, without the device and edgesim; `frequency_percent` is the clock at the end
    of the load against that at its beginning.
    """

    seconds: float
    busy_percent: float
    others_percent: float | None
    steal_percent: float | None
    thermal_throttles: int | None
    frequency_percent: float | None


class Level(_Section):
    """One rate of a sweep or of the search for the peak. `held` is whether it held the limit; None without one."""

    qps: float
    achieved_qps: float | None
    requests: int
    failed: int
    latency_ms: Distribution
    service_time_ms: Distribution
    lag_ms: Distribution
    valid: bool
    reasons: tuple[str, ...] = ()
    held: bool | None = None


class SearchSection(_Section):
    """The highest rate that held `percentile` under `limit_ms`: None where not even the lowest did."""

    percentile: str
    limit_ms: float
    peak_qps: float | None


class Restart(_Section):
    """One container of several. Its samples are those from `first_sample` on, `samples` of them.

    `cpu_seconds` and `throughput_qps` are of its load, `memory_peak_bytes` the largest seen, and `memory_anon_bytes` of
    that what is the processes' own, without files of the page cache; None where nobody tells.
    """

    lifecycle_s: LifecycleSection
    first_sample: int
    samples: int
    latency_ms: Distribution
    service_time_ms: Distribution
    cpu_seconds: float | None = None
    memory_peak_bytes: int | None = None
    memory_anon_bytes: int | None = None
    throughput_qps: float | None = None


class InterleavedSection(_Section):
    """Of a result whose containers took turns with another side's, in one job: `job` is the same in both results.

    `looks` are the numbers of rounds after which the rules were to be looked at; `requests` are those of one side in
    one round.
    """

    job: str
    side: Literal["base", "candidate"]
    looks: tuple[int, ...]
    requests: int


class Spread(_Section):
    """Where a figure's variance comes from: standard deviations within one container's run, and between containers.

    `between` is free of what the scatter within the runs puts into their means (one-way analysis of variance).
    """

    mean: float
    within: float | None
    between: float


class DeviceTimeSection(_Section):
    """The time on the board, predicted or measured on it. All None, and `method` says why, where there is neither.

    `low` to `high` is where 80 % of boards lie, of a prediction; `notes` say what makes it less sure.
    """

    p50: float | None
    low: float | None
    high: float | None
    method: str
    notes: tuple[str, ...] = ()


class ShareTry(_Section):
    """One step of the calibration: what the model was given, and what `requests` of them took at the client."""

    share: float
    pace_ms: float | None
    requests: int
    p50_ms: float
    high_ms: float


class ScaledModelSection(_Section):
    """How one model was brought to the board's time.

    `target_ms` is that time. `host_ms` is what a request takes here with nothing held back, `host_cpu_ms` the CPU time
    in it. `pace_ms` is what the server holds an inference to at least; None where the share alone makes the time.
    `check_ms` is the median of requests sent when all was done, `error_percent` how far it is from the target.
    """

    name: str
    target_ms: float
    host_ms: float
    host_cpu_ms: float
    pace_ms: float | None
    calibrated_ms: float
    tries: tuple[ShareTry, ...] = ()
    check_ms: float | None = None
    error_percent: float | None = None


class ThrottleSection(_Section):
    """The board's clock after `after_s` of load, as its profile has it, and the medians before and after that."""

    after_s: float
    clock_hz: int
    target_ms: float
    before_ms: float | None = None
    after_ms: float | None = None


class ScalingSection(_Section):
    """What made the host as slow as the board: `share` of one core, in periods of `period_us`, for all models.

    `method` says in a sentence what of it is the share's work. `busy_percent` is for how much of the load the board
    was at work, at its time for each request that was answered.
    """

    share: float
    quota_us: int
    period_us: int
    threads: int
    method: str
    models: tuple[ScaledModelSection, ...]
    busy_percent: float | None = None
    throttle: ThrottleSection | None = None


class EnergySection(_Section):
    """Joules of the whole board for one inference, estimated; `above_idle` is without what it takes idle.

    None, and `method` says why, where the profile has no watts.
    """

    per_inference: float | None
    above_idle: float | None = None
    method: str


class AgreementSection(_Section):
    """The device's answers beside those of ONNX Runtime on this host, for the same inputs.

    `max_abs_difference` is over all outputs, and None where there is no such number, as when a side answers NaN.
    `accuracy_device` and `accuracy_host` are shares of `compared` labelled inputs; None without labels.
    """

    compared: int
    max_abs_difference: float | None
    same_class: float | None = None
    accuracy_device: float | None = None
    accuracy_host: float | None = None


class Rule(_Section):
    """One rule of validity: what it found, with its figures. ``unknown``: this host does not tell."""

    name: str
    verdict: Literal["ok", "suspect", "invalid", "unknown"]
    finding: str


class ValiditySection(_Section):
    """Whether the run is good as a measurement: VALID or INVALID, and why not; suspect where doubt is left."""

    valid: bool
    reasons: tuple[str, ...] = ()
    suspect: bool = False
    suspicions: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def words(self) -> str:
        """``VALID``, ``VALID, but suspect`` or ``INVALID``."""
        if not self.valid:
            return "INVALID"
        return "VALID, but suspect" if self.suspect else "VALID"


class RunResult(_Section):
    """Everything that one run gave.

    A run that was scaled and emulated is the scaled one, with the emulated one whole in `emulated`; where it could not
    be scaled, `not_scaled` says why.
    """

    schema_version: Literal[1] = 1
    created: str
    edgesim_version: str
    execution: Execution
    profile: ProfileSection
    model: ModelSection
    image: ImageSection
    host: HostSection
    device: DeviceSection
    scenario: ScenarioSection
    lifecycle_s: LifecycleSection
    stages_s: dict[str, float]
    requests: RequestsSection
    latency_ms: Distribution
    service_time_ms: Distribution
    lag_ms: Distribution = Distribution()
    query_latency_ms: Distribution | None = None
    throughput_qps: float | None
    generator: GeneratorSection | None = None
    resources: ResourcesSection
    emulator_memory: EmulatorSection | None = None
    emulator_failures: int = 0
    host_load: HostLoadSection | None = None
    device_time_ms: DeviceTimeSection
    energy_j: EnergySection | None = None
    scaling: ScalingSection | None = None
    not_scaled: str | None = None
    agreement: AgreementSection | None
    search: SearchSection | None = None
    levels: tuple[Level, ...] = ()
    restarts: tuple[Restart, ...] = ()
    spread: dict[str, Spread] = {}
    interleaved: InterleavedSection | None = None
    validity: ValiditySection
    complete: bool = True
    emulated: "RunResult | None" = None
    phases: tuple[Phase, ...] = ()
    timeline: tuple[Reading, ...]
    samples: tuple[Sample, ...]

    @model_validator(mode="before")
    @classmethod
    def _of_one_model(cls, facts: Any) -> Any:
        if isinstance(facts, dict) and facts.get("kind") == "stack":
            raise PydanticCustomError(_OF_A_STACK, "it is a stack's")
        return facts

    def write(self, path: Path) -> None:
        """Write the result file: whole, or not at all.

        Raises:
            ResultError: it cannot be written.
        """
        write_text(path, self.as_json())

    def as_json(self, *, indented: bool = True) -> str:
        """The result file's text; samples and readings are objects with named fields."""
        return orjson.dumps(self._document(), option=orjson.OPT_INDENT_2 if indented else 0).decode() + "\n"

    def __repr__(self) -> str:
        """Return one line: what ran, the device time with its band, and whether the run can be trusted."""
        mode = f" ({self.profile.mode})" if self.profile.mode else ""
        time = self.device_time_ms
        device_time = "not known"
        if time.p50 is not None and time.low is not None and time.high is not None:
            device_time = f"{format_ms(time.p50)} ms ({format_ms(time.low)} to {format_ms(time.high)} ms)"
        ran = f"{self.model.name} on {self.profile.title}{mode}, {self.execution}"
        return f"<RunResult: {ran}; device time {device_time}; {self.validity.words}>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """Return what a notebook shows: tables and a plot."""
        return edgesim.notebook_html(self)

    def _document(self) -> dict[str, Any]:
        document = self.model_dump(mode="json")
        if self.emulated is not None:
            document["emulated"] = self.emulated._document()
        for name in ("phases", "timeline", "samples"):
            document[name] = [row._asdict() for row in getattr(self, name)]
        return document

    @classmethod
    def read(cls, path: Path) -> "RunResult":
        """Read a result file.

        Raises:
            ResultError: there is none, or it is not one.
        """
        return read_as(cls, path)


class StacksResult(ResultError):
    """The file is whole, and of several services where one model's was asked for."""


def read_as(kind: type[Kind], path: Path) -> Kind:
    """A result file of one kind.

    Raises:
        ResultError: there is none, or it is not one; StacksResult: it is one of a stack.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ResultError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == _OF_A_STACK:
            raise StacksResult(f"{path}: is a stack's result, and this is for one model's") from error
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ResultError(
            f"{path}: not a result file: {where}: {first['msg']}", fix="edgesim run P M -o FILE.json makes one"
        ) from error


_FIX = "give -o a file in a directory that exists and has space"


def write_text(path: Path, text: str, *, what: str = "the result", fix: str = _FIX) -> None:
    """Write a result file, or another one of such: whole, or not at all.

    Raises:
        ResultError: it cannot be written.
    """
    # A link stays one, and what is no file, such as /dev/stdout, stays what it is.
    whole = path.is_file() or not path.exists()
    target = path.resolve() if whole else path
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        (scratch if whole else target).write_text(text, encoding="utf-8", errors="replace")
        if whole:
            scratch.replace(target)
    except OSError as error:
        with suppress(OSError):
            scratch.unlink()
        raise ResultError(f"{path}: cannot write {what}: {error.strerror}", fix=fix) from error
