"""A run's result: every section of the result file, in its order, and JSON in and out.

The names are a contract with scripts and CI: added freely, renamed never. Each number carries its unit in its name.
"""

import os
from pathlib import Path
from typing import Literal, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from edgesim.errors import ResultError

Execution = Literal["emulated", "native", "host"]


class Sample(NamedTuple):
    """One request, in nanoseconds of the monotonic clock; in a result, since the first request was scheduled.

    `outcome` is ``ok``, or in a few words why not.
    """

    scheduled_ns: int
    sent_ns: int
    done_ns: int
    outcome: str

    @property
    def ok(self) -> bool:
        return self.outcome == "ok"

    def since(self, origin_ns: int) -> "Sample":
        """The same sample on a clock that is 0 at `origin_ns`."""
        return Sample(self.scheduled_ns - origin_ns, self.sent_ns - origin_ns, self.done_ns - origin_ns, self.outcome)

    @property
    def latency_ms(self) -> float:
        """From when the request was due: what a client waits."""
        return (self.done_ns - self.scheduled_ns) / 1e6

    @property
    def service_time_ms(self) -> float:
        """From when it was sent: what the server takes."""
        return (self.done_ns - self.sent_ns) / 1e6


class Reading(NamedTuple):
    """The device's resources at one moment. None where this host does not tell.

    `at_ns` is on the samples' clock; `memory_peak_source` names the file or the method.
    """

    at_ns: int
    cpu_seconds: float | None
    memory_bytes: int | None
    memory_peak_bytes: int | None = None
    memory_peak_source: str | None = None
    throttled_s: float | None = None
    oom_kills: int | None = None

    def since(self, origin_ns: int) -> "Reading":
        """The same reading on a clock that is 0 at `origin_ns`."""
        return self._replace(at_ns=self.at_ns - origin_ns)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ProfileSection(_Section):
    name: str
    sha256: str
    title: str
    mode: str | None = None


class ModelSection(_Section):
    name: str
    sha256: str
    version: str
    size_bytes: int
    parameters: int
    opset: int


class ImageSection(_Section):
    """`base` says what the image was made on; all None in a run without a container."""

    reference: str | None = None
    id: str | None = None
    base: str | None = None
    cached: bool | None = None


class HostSection(_Section):
    cpu: str
    cores: int
    memory_bytes: int
    kernel: str
    engine: str | None = None
    emulator: str | None = None


class DeviceSection(_Section):
    """Read back from inside the running container (or, without one, from the server's process).

    `shortfalls` says in sentences what the board has and this host could not give.
    """

    architecture: str
    cpu_model: str | None
    cores: int
    memory_limit_bytes: int | None
    cpu_limit: float | None
    cpu_features: tuple[str, ...] = ()
    swap_limit_bytes: int | None = None
    user_id: int | None = None
    capabilities: str | None = None
    no_new_privileges: bool | None = None
    read_only_root: bool | None = None
    runtime: str | None = None
    intra_op_threads: int | None = None
    shortfalls: tuple[str, ...] = ()


class ScenarioSection(_Section):
    """`requests` and `duration_s` are the stop rule as asked for: the run ends when both are reached."""

    name: Literal["single-stream"]
    requests: int
    duration_s: float
    warmup: int
    seed: int
    inputs: str


class LifecycleSection(_Section):
    """Seconds: `ready` from the container's start, `model_load` as the server itself measured it."""

    image: float | None
    create: float
    ready: float
    model_load: float | None
    first_inference: float | None


class RequestsSection(_Section):
    sent: int
    ok: int
    failed: int


class Distribution(_Section):
    """Milliseconds of the requests that succeeded. None where the sample is too small to say."""

    min: float | None = None
    mean: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    p99_9: float | None = None
    max: float | None = None


class ResourcesSection(_Section):
    """The device's use from the first request to the last. None where this host does not tell."""

    cpu_seconds: float | None = None
    cpu_percent_mean: float | None = None
    memory_peak_bytes: int | None = None
    memory_peak_source: str | None = None
    memory_limit_bytes: int | None = None
    throttled_s: float | None = None
    oom_kills: int | None = None


class DeviceTimeSection(_Section):
    """The time on the board, predicted or measured on it. All None, and `method` says why, where there is neither."""

    p50: float | None
    low: float | None
    high: float | None
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


class ValiditySection(_Section):
    """Whether the run is good as a measurement: VALID or INVALID, and why not."""

    valid: bool
    reasons: tuple[str, ...] = ()


class RunResult(_Section):
    """Everything that one run gave."""

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
    throughput_qps: float | None
    resources: ResourcesSection
    device_time_ms: DeviceTimeSection
    agreement: AgreementSection | None
    validity: ValiditySection
    samples: tuple[Sample, ...]
    timeline: tuple[Reading, ...]

    def write(self, path: Path) -> None:
        """Write the result file: whole, or not at all.

        Raises:
            ResultError: it cannot be written.
        """
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            scratch.write_text(self.as_json(), encoding="utf-8")
            scratch.replace(path)
        except OSError as error:
            scratch.unlink(missing_ok=True)
            raise ResultError(
                f"{path}: cannot write the result: {error.strerror}",
                fix="give -o a file in a directory that exists and has space",
            ) from error

    def as_json(self) -> str:
        """The result file's text; samples and readings are objects with named fields."""
        document = self.model_dump(mode="json")
        document["samples"] = [sample._asdict() for sample in self.samples]
        document["timeline"] = [reading._asdict() for reading in self.timeline]
        return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"

    @classmethod
    def read(cls, path: Path) -> "RunResult":
        """Read a result file.

        Raises:
            ResultError: there is none, or it is not one.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise ResultError(f"{path}: {error.strerror}") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise ResultError(
                f"{path}: not a result file: {where}: {first['msg']}", fix="edgesim run P M -o FILE.json makes one"
            ) from error
