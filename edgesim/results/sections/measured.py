"""What was measured: the sections with times and resources."""

from typing import Literal

from pydantic import Field

from edgesim.results.sections.base import Section


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
    intervals: dict[str, tuple[float, float | None]] = Field(default_factory=dict)
    needs_samples: dict[str, int] = Field(default_factory=dict)
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


class CountSection(Section):
    """Instructions of the same work, done `samples` times.

    Attributes:
        p50: the median number of instructions.
        low, high: an interval that holds the median with at least 92 % confidence, if there are five samples or more.
        by_class: instructions of the sample with the median, by class: vector, vector_memory, scalar_memory, branches,
            scalar.
        loaded_bytes, stored_bytes: bytes that the loads and stores of that sample name.
    """

    p50: int
    low: int
    high: int
    samples: int
    by_class: dict[str, int]
    loaded_bytes: int
    stored_bytes: int


class InstructionsSection(Section):
    """The board's own instructions, counted in an emulator. They are no time: instructions differ in what they take.

    Attributes:
        inference: the runtime's work for one inference, without the server's.
        request: a whole request: the server's work and the inference.
        load: the loading of the model.
        start: from the first instruction of the server's program until it loads the model.
        threads: of one inference.
        by_thread: instructions of the last request, by thread of the server.
        method: the emulator, and how it counts.
    """

    inference: CountSection | None
    request: CountSection | None
    load: CountSection | None = None
    start: CountSection | None = None
    threads: int
    by_thread: dict[str, int] = Field(default_factory=dict)
    method: str


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
    """The place of a result in a paired run: of two models, or of one model in two releases of ONNX Runtime.

    Attributes:
        release: of this side, such as ``1.16.3``; None in a paired run of two models.
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
    release: str | None = None


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
