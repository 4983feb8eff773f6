"""The board's time: predicted or measured, how the host was slowed down to it, and the energy that it takes."""

from edgesim.options import CPU
from edgesim.results.sections.base import Section


class DeviceTimeSection(Section):
    """The device time, predicted, or measured on the board, in milliseconds.

    All figures are None, and `method` says why, if the device time is not known.

    Attributes:
        target: what runs the model on the board: ``cpu``, ``gpu:tensorrt-fp16``.
        low, high: ends of the band, which should contain the true device time in 8 of 10 cases; of a measured time,
            the minimum and the maximum.
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
    target: str = CPU
    notes: tuple[str, ...] = ()
    server: float | None = None
    request: float | None = None
    sizes: str | None = None
    on_host: float | None = None


class PublishedSection(Section):
    """A time that others have published for the model's network on a target of the board, in milliseconds.

    Attributes:
        model, board, power_mode, runtime, release: as the source names them.
        measure, stat: what was timed, and which statistic of the times `ms` is.
        source: where the figure stands.
        note: in what the network may differ from the model.
    """

    ms: float
    model: str
    board: str
    power_mode: str
    runtime: str
    release: str
    measure: str
    stat: str
    source: str
    note: str = ""


class TargetSection(Section):
    """The predicted device time on one target of the board, in milliseconds.

    All figures are None, and `method` says why, if nothing is predicted.

    Attributes:
        low_ms, high_ms: ends of the band, which should contain the true device time in 8 of 10 cases.
        notes: what makes the prediction less certain.
        published: what others have published for the same network, recognised by its graph.
    """

    p50_ms: float | None
    low_ms: float | None
    high_ms: float | None
    method: str
    notes: tuple[str, ...] = ()
    published: tuple[PublishedSection, ...] = ()


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
