"""The sections of result files, of a run and of a stack.

Field names are a contract with scripts and CI: fields are added freely and never renamed. The name of each number ends
in its unit, or its section's name does. A figure that this host does not report is None.
"""

from collections.abc import Mapping
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from edgesim.options import MountMethod, ScenarioName


class Section(BaseModel):
    """A part of a result file; unknown fields, of a newer version of edgesim, are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


Kind = TypeVar("Kind", bound=Section)


def section(kind: type[Kind], value: object) -> Kind:
    """Return a section with the fields of `value`, an object that has attributes of the same names.

    The packages that measure return values of their own, and do not know the result file; the builders of results
    convert these values here.
    """
    return kind.model_validate(value, from_attributes=True)


def optional_section(kind: type[Kind], value: object | None) -> Kind | None:
    """Return a section as `section` does; None for a value that the run does not have."""
    return section(kind, value) if value is not None else None


# `edgesim.profiles.cores.HOST`, which results do not import.
HOST_CORE = "host"


# --- what ran ---------------------------------------------------------------------------------------------------------


class ProfileSection(Section):
    """The profile of the board, with the power mode that the run used.

    Attributes:
        core: the core that models run on; ``host`` for a profile that is as fast as whatever host runs it.
        architecture: of the board's instructions, as images name it: ``arm64`` or ``amd64``.
        accelerator: what the board has beside its CPU, and what is not simulated; None if it has nothing.
    """

    name: str
    sha256: str
    title: str
    mode: str | None = None
    core: str | None = None
    architecture: str | None = None
    accelerator: str | None = None

    @property
    def has_core_of_host(self) -> bool:
        """Whether the profile claims no speed of its own, so that the host's time is its time."""
        return self.core == HOST_CORE


class ConfigurationSection(Section):
    """The configuration beside the model, by which the server loaded and ran it.

    Attributes:
        files: names in the model's directory.
        sha256: digest of these files, hex.
        settings: the fields that differ from the defaults.
    """

    files: tuple[str, ...]
    sha256: str
    settings: Mapping[str, bool | int | str]


class ModelSection(Section):
    """The model.

    Attributes:
        signature: names, types and shapes of inputs and outputs.
        configuration: None if there is none, or if another image's server ran the model.
        origin: where a side of a paired run is from: a git revision with its commit, a file, a directory or a name.
    """

    name: str
    sha256: str
    version: str
    size_bytes: int
    parameters: int
    opset: int
    signature: str | None = None
    configuration: ConfigurationSection | None = None
    origin: str | None = None

    @property
    def identity(self) -> str:
        """The model in words that tell it from another of the same name: ``net of main (8882064a1b2c), sha256 1a2b…``.

        The digest has twelve digits.
        """
        origin = f" of {self.origin}" if self.origin not in (None, self.name) else ""
        return f"{self.name}{origin}, sha256 {self.sha256[:12]}"


class ImageSection(Section):
    """The serving image; all None in a run without a container.

    Attributes:
        server_id: id of the image with the server alone, if the models are packed into this image.
        base: the base image.
        cached: whether the image existed before the run.
    """

    reference: str | None = None
    id: str | None = None
    server_id: str | None = None
    base: str | None = None
    cached: bool | None = None


class ComparedSection(Section):
    """One property of the host beside that of the board, each in words; None where one is not known.

    Attributes:
        name: ``core``, ``cores``, ``clock``, ``board`` (its name in the device tree), ``processor`` (x86: its name in
            CPUID) or ``other cores``.
        agrees: None if one of both is not known.
    """

    name: str
    host: str | None
    profile: str | None
    agrees: bool | None

    @property
    def stands_against(self) -> bool:
        """Whether this keeps the host from being the board, as `edgesim.host.identity` decides."""
        return self.agrees is False or (self.agrees is None and self.name in ("core", "cores", "board", "processor"))


class HostSection(Section):
    """The machine that ran the board.

    Attributes:
        context: docker context and machine name, if the machine is another one than the one that measured.
        same_architecture: whether the machine runs the board's programs itself; None in files of an edgesim that did
            not compare.
        is_the_board: whether the machine has proven to be the board: only then its times are the board's.
        compared: what the proof rests on, or what it lacks; empty if the architectures differ.
    """

    cpu: str
    cores: int
    memory_bytes: int
    kernel: str
    engine: str | None = None
    emulator: str | None = None
    context: str | None = None
    same_architecture: bool | None = None
    is_the_board: bool | None = None
    compared: tuple[ComparedSection, ...] = ()


class LimitSection(Section):
    """One limit of the board.

    Attributes:
        requested: what the profile asks for.
        applied: the limit as read back from the kernel; None if the kernel does not limit it.
        proven: whether a probe on this host has shown that the limit holds (``edgesim doctor --probe``); None if no
            probe has run.
    """

    name: str
    requested: float | None
    applied: float | None
    proven: bool | None = None


class DeviceSection(Section):
    """The device as seen from inside the running container, or from the server's process without a container.

    Attributes:
        cpu_limit: in cores.
        features_missing: CPU features that the board's core has and this one does not; without the features that the
            kernel adds by itself.
        features_extra: CPU features that this core has and the board's does not; without the kernel's own. Without an
            emulator, only those by which ONNX Runtime chooses its kernels.
        runtime: name and version of the library that ran the model, as the server reports it.
        runtime_reason: why it is this release; None where edgesim did not choose it.
        shortfalls: what the board has and this host cannot give, in sentences.
        mount: how the model came into the container; None without a container.
        volume: name of the volume with the model.
        proxies: the proxies in the container's environment by variable, from its image or the user, without passwords.
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
    runtime_reason: str | None = None
    intra_op_threads: int | None = None
    limits: tuple[LimitSection, ...] = ()
    shortfalls: tuple[str, ...] = ()
    mount: MountMethod | None = None
    volume: str | None = None
    proxies: dict[str, str] = {}


class WarmUpSection(Section):
    """The requests before the measured ones, and the rule that ended them.

    Attributes:
        found: False if the rule gave up before the level was steady.
    """

    requests: int
    rule: str
    found: bool = True


class ScenarioSection(Section):
    """The traffic that was asked for. The run ends when `requests`, `duration_s` and `precision` are all reached.

    Attributes:
        inputs: where the inputs come from.
        qps: requests per second of the server scenario.
        samples: requests in one query of the multi-stream scenario.
        clients: closed loops, or concurrent requests in the offline scenario.
        precision: such as ``p99 within 5 %``.
    """

    name: ScenarioName
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


# --- what was measured ------------------------------------------------------------------------------------------------


class LifecycleSection(Section):
    """The start of a board, in seconds.

    Attributes:
        ready: from the container's start until the server was ready.
        model_load: as measured by the server.
        steady: from the container's start to the end of the warm-up.
    """

    image: float | None
    create: float
    ready: float
    model_load: float | None
    first_inference: float | None
    start: float | None = None
    steady: float | None = None


class RequestsSection(Section):
    """Counts of the measured requests."""

    sent: int
    ok: int
    failed: int
    error_rate: float | None = None


class Distribution(Section):
    """The distribution of a time over all requests, in milliseconds; a failed request took infinitely long.

    A figure is None if the sample is too small for it, or if it is infinite.

    Attributes:
        intervals: 95 % confidence intervals by percentile; an upper end of None is infinite.
        needs_samples: for each percentile that the sample is too small for, the number of samples that it needs.
        infinite: names of the figures that are infinite.
        histogram: the finite times as an HdrHistogram in its V2 form (base64), in whole microseconds.
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


class GeneratorSection(Section):
    """What the load generator took of this host, the reading of resources included.

    Attributes:
        cpu_percent: percent of one core, over the load.
        connections: the most connections that were open at a time.
        real_time: whether the load generator ran with real-time priority.
        cores: the cores that only the load generator used; None means any core.
    """

    cpu_seconds: float
    cpu_percent: float
    cpu_us_per_request: float | None
    connections: int
    real_time: bool = False
    cores: tuple[int, ...] | None = None


class ResourcesSection(Section):
    """The resources that the device used.

    CPU, throttling, periods, bytes read, written, received and sent count in the load alone; memory, kills, processes
    and threads are the largest values since the device started. The emulator's share of the memory is in
    `EmulatorSection`.

    Attributes:
        source: where the readings come from.
        cpu_percent_mean: percent of one core of this host.
        cpu_percent_of_board: percent of all that the board may use.
        memory_peak_source: the file or the method that gave the peak.
        memory_unreclaimable_bytes: memory that the kernel cannot give back without swap; unlike the peak, it has no
            page cache.
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
    memory_unreclaimable_bytes: int | None = None
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


class EmulatorSection(Section):
    """The emulator's share of the device's memory, estimated from a server with a model that does nothing.

    The share is a lower bound: the code that the emulator translates grows with the model's code.

    Attributes:
        floor_bytes: memory of that server emulated, in the same image.
        native_bytes: memory of that server as a process of this host.
        share_bytes: the difference.
    """

    floor_bytes: int
    native_bytes: int
    share_bytes: int


class HostLoadSection(Section):
    """What this host did during the load, besides the load.

    Attributes:
        others_percent: CPU time of programs other than the device and edgesim, in percent of the whole host.
        frequency_percent: the clock at the end of the load, in percent of the clock at its beginning.
        throttled_s: how long edgesim's own CPU quota stopped edgesim; None without a quota.
    """

    seconds: float
    busy_percent: float
    others_percent: float | None
    steal_percent: float | None
    thermal_throttles: int | None
    frequency_percent: float | None
    throttled_s: float | None = None


class Level(Section):
    """One request rate of a sweep or of a peak search.

    Attributes:
        held: whether the level kept the limit of the peak search; None in a sweep.
        overloaded: whether requests arrived faster than the board answered; None if there are too few to tell.
    """

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
    overloaded: bool | None = None


class SearchSection(Section):
    """A peak search: the highest rate that kept `percentile` below `limit_ms`; None if no level kept it."""

    percentile: str
    limit_ms: float
    peak_qps: float | None


class Restart(Section):
    """One container of several.

    Attributes:
        first_sample: index of the container's first sample in the result's samples.
        samples: number of its samples, which follow each other.
        cpu_seconds, throughput_qps: of the container's load.
        memory_peak_bytes: the largest value seen.
        memory_anon_bytes: the largest anonymous memory, which has no pages of the page cache.
        memory_unreclaimable_bytes: the largest memory that the kernel cannot give back.
    """

    lifecycle_s: LifecycleSection
    first_sample: int
    samples: int
    latency_ms: Distribution
    service_time_ms: Distribution
    cpu_seconds: float | None = None
    memory_peak_bytes: int | None = None
    memory_anon_bytes: int | None = None
    memory_unreclaimable_bytes: int | None = None
    throughput_qps: float | None = None


class PredictedRatio(Section):
    """The ratio of the device times that are predicted for the two models of a paired run: candidate over base.

    Attributes:
        low, high: its 80 % band, in which errors that both predictions share cancel.
        reasons: what the two predictions do not share.
    """

    ratio: float
    low: float
    high: float
    reasons: tuple[str, ...] = ()


class InterleavedSection(Section):
    """The place of a result in a paired run.

    Attributes:
        predicted: the ratio of the predicted device times; None if one is not predicted, or both are measured.
        job: id of the paired run; the same in the results of both sides.
        looks: numbers of rounds after which the rules were to be evaluated.
        requests: requests to one side in one round.
    """

    job: str
    side: Literal["base", "candidate"]
    looks: tuple[int, ...]
    requests: int
    predicted: PredictedRatio | None = None


class Spread(Section):
    """Where the variance of a figure comes from.

    Attributes:
        within: standard deviation within one container's run; None for a figure with one value a container.
        between: standard deviation between containers, without the part that the scatter within the runs puts into
            their means (one-way analysis of variance).
    """

    mean: float
    within: float | None
    between: float


# --- the board's time -------------------------------------------------------------------------------------------------


class DeviceTimeSection(Section):
    """The device time, predicted, or measured on the board, in milliseconds.

    All figures are None, and `method` says why, if the device time is not known.

    Attributes:
        low, high: ends of the band, which contains the device time of 80 % of boards; of a measured time, the minimum
            and the maximum.
        notes: what makes the prediction less certain.
        server: predicted time that the server and its connection add to an inference, for one request; None where the
            time was measured, which has that in it, and in results of before.
        request: both together, the time of one request; the time that a scaled server is slowed down to.
        sizes: where the sizes of tensors are from: ``inference``, or a run on this host, with its inputs in words.
        on_host: this host's own time for the same inference, without a server; a slower board that is predicted quicker
            makes the run suspect.
    """

    p50: float | None
    low: float | None
    high: float | None
    method: str
    notes: tuple[str, ...] = ()
    server: float | None = None
    request: float | None = None
    sizes: str | None = None
    on_host: float | None = None


class ShareTry(Section):
    """One step of the search for the CPU share: the settings, and the times of `requests` requests at the client."""

    share: float
    pace_ms: float | None
    requests: int
    p50_ms: float
    high_ms: float


class ScaledModelSection(Section):
    """How one model was slowed down to the board's device time.

    Attributes:
        target_ms: the time of a request: the device time and the server's time.
        host_ms: time of a request on this host without any limit.
        host_cpu_ms: CPU time in `host_ms`.
        pace_ms: the shortest time in which the server answers; None if the CPU share alone gives the device time.
        check_ms: median of requests that were sent after the load.
        error_percent: difference of `check_ms` from `target_ms`.
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


class ThrottleSection(Section):
    """The throttling of a hot board, as its profile describes it.

    Attributes:
        after_s: seconds of load until the board throttles.
        clock_hz: the clock of the throttled board.
        target_ms: time of a request on the throttled board.
        before_ms, after_ms: medians before and after the throttling.
    """

    after_s: float
    clock_hz: int
    target_ms: float
    before_ms: float | None = None
    after_ms: float | None = None


class ScalingSection(Section):
    """How the host was slowed down to the board.

    Attributes:
        share: CPU share of all models together, in cores of this host.
        quota_us: CPU time in each period of `period_us`.
        method: in a sentence, how much of the time the CPU share makes.
        busy_percent: share of the load in which the board was busy, at its device time for each answered request.
    """

    share: float
    quota_us: int
    period_us: int
    threads: int
    method: str
    models: tuple[ScaledModelSection, ...]
    busy_percent: float | None = None
    throttle: ThrottleSection | None = None


class EnergySection(Section):
    """The estimated energy of the whole board for one inference, in joules.

    All figures are None, and `method` says why, if the profile has no watts.

    Attributes:
        above_idle: without the energy that the idle board takes.
    """

    per_inference: float | None
    above_idle: float | None = None
    method: str


# --- what is judged ---------------------------------------------------------------------------------------------------


class OutputSection(Section):
    """One output of the board compared with the reference.

    Attributes:
        max_abs_difference: None if no number says it.
        same_class: share of rows with the same largest score; None for an output without class scores.
        notes: what the figures do not say: another shape, nothing on both sides, NaN on both sides, a random output.
    """

    name: str
    max_abs_difference: float | None
    same_class: float | None = None
    notes: tuple[str, ...] = ()


class AgreementSection(Section):
    """The board's outputs compared with the reference: ONNX Runtime on this host, with the same inputs.

    Attributes:
        compared: number of samples in the request.
        max_abs_difference: over all outputs that are not random; None if no number says it, as when one side alone
            answers NaN, or an output has another shape.
        same_class: share of rows with the same largest score; None if no output has class scores.
        accuracy_device, accuracy_host: shares of labelled inputs that are classified correctly; None without labels.
        outputs: each output by itself.
    """

    compared: int
    max_abs_difference: float | None
    same_class: float | None = None
    accuracy_device: float | None = None
    accuracy_host: float | None = None
    outputs: tuple[OutputSection, ...] = ()


class ScaledSection(Section):
    """What the scaled half alone shows in a run that was scaled and emulated.

    The scaled server runs this host's instructions: its memory and answers are not the board's.
    """

    resources: ResourcesSection
    agreement: AgreementSection | None = None


class RuleSection(Section):
    """What one rule of validity found, with its figures; ``unknown``: this host does not report the figures."""

    name: str
    verdict: Literal["ok", "suspect", "invalid", "unknown"]
    finding: str


class ValiditySection(Section):
    """Whether the run can be trusted as a measurement: VALID, INVALID with `reasons`, or suspect with `suspicions`."""

    valid: bool
    reasons: tuple[str, ...] = ()
    suspect: bool = False
    suspicions: tuple[str, ...] = ()
    rules: tuple[RuleSection, ...] = ()

    @property
    def words(self) -> str:
        """``VALID``, ``VALID, but suspect`` or ``INVALID``."""
        if not self.valid:
            return "INVALID"
        return "VALID, but suspect" if self.suspect else "VALID"
