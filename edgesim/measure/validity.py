"""Whether a run can be trusted as a measurement: named rules, each with its figures."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgesim.host.host_load import HostLoad
from edgesim.host.limit_values import LimitReading
from edgesim.measure import host_rules, statistics
from edgesim.measure.backlog import backlog
from edgesim.measure.rule_outcome import RuleOutcome, invalid, ok, suspect, unknown
from edgesim.measure.steady_state import Drift, WarmUp
from edgesim.options import Precision, ScenarioName
from edgesim.recording import Sample
from edgesim.units import counted

# Fewer answered requests say nothing, not even that the board answers repeatedly.
SMALLEST_RUN = 3
# A shorter load has not met the host's noise yet.
SHORTEST_LOAD_S = 1.0
# A larger lag, in percent of latency (both at p99), is in the figures and is not the board's.
MOST_LAG_PERCENT = 1.0
# What a call of ONNX Runtime out of Python takes of this host's time, at most: 22 to 28 µs on an EPYC.
_CALL_MS = 0.03
# Fewer counts have no interval of their median with a confidence worth the name.
FEWEST_COUNTS = 5
# How far a scaled board may be from a request's time; a difference of CLOSE_MS may be the connection's.
CLOSE_PERCENT, CLOSE_MS = 3.0, 0.2
MOST_ERROR_PERCENT, MOST_ERROR_MS = 20.0, 1.0


@dataclass(frozen=True)
class Validity:
    """The outcomes of all rules: VALID, INVALID with the reasons, or VALID and suspect with the suspicions."""

    rules: tuple[RuleOutcome, ...]

    @property
    def valid(self) -> bool:
        """Whether no rule found the run invalid."""
        return not self.reasons

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the run is INVALID."""
        return self._of("invalid")

    @property
    def suspect(self) -> bool:
        """Whether a rule found a doubt."""
        return bool(self.suspicions)

    @property
    def suspicions(self) -> tuple[str, ...]:
        """Why the run is suspect."""
        return self._of("suspect")

    def _of(self, verdict: str) -> tuple[str, ...]:
        return tuple(f"{rule.name}: {rule.finding}" for rule in self.rules if rule.verdict == verdict)


@dataclass(frozen=True, kw_only=True)
class ScaleCheck:
    """The time of a scaled model, measured once more after the load.

    Attributes:
        check_ms: median of the requests after the load; None if they were not answered.
        error_percent: difference from the board's time for a request.
    """

    check_ms: float | None
    error_percent: float | None


@dataclass(frozen=True, kw_only=True)
class HostComparison:
    """The predicted device time beside this host's own time for the same model.

    Attributes:
        predicted_ms: for as many threads as this host used, at most the board's.
        host_ms: the shortest time in ONNX Runtime on this host, without a server.
        times_as_slow: how many times as long as this host's core the board's takes for operations of known cost.
    """

    predicted_ms: float
    host_ms: float
    threads: int
    times_as_slow: float


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the rules look at.

    Attributes:
        load_s: seconds in which requests were under way.
        oom_kills: processes that the kernel killed for lack of memory; None if this host does not count them.
        alive: whether the board survived the load.
        paused_s: seconds in which another program paused the board's container, or a signal stopped its server, from
            its start to the load's end.
        stopped_s: how much longer requests took because a signal stopped edgesim meanwhile.
        precision: the precision that the run was to reach; None if it was to reach none.
        warm_up: None if the run did not come to it.
        drift: None if there are too few requests to tell.
        scale: of the scaled model that was farthest from its target; None if the board is not scaled.
        host: the predicted time beside this host's; None if no time is predicted, or this host's was not measured.
        counts: how many requests had their instructions counted; None if times are measured, and no instructions.
        limits: the board's limits of memory, CPU and processes, as set and as read back; empty without limits.
        times_need_cpu: whether the measured times are a board's only within its CPU limit.
    """

    scenario: ScenarioName
    samples: Sequence[Sample]
    load_s: float
    oom_kills: int | None
    alive: bool
    interrupted: bool = False
    paused_s: float = 0.0
    stopped_s: float = 0.0
    precision: Precision | None = None
    warm_up: WarmUp | None = None
    drift: Drift | None = None
    host_load: HostLoad | None = None
    scale: ScaleCheck | None = None
    host: HostComparison | None = None
    counts: int | None = None
    limits: Sequence[LimitReading] = ()
    times_need_cpu: bool = False


def assess(evidence: Evidence) -> Validity:
    """Apply every rule that has something to look at."""
    rules = _RULES if evidence.counts is None else _RULES_OF_COUNTS
    outcomes = [rule(evidence) for rule in rules]
    if evidence.host_load is not None and evidence.counts is None:
        outcomes += [rule(evidence.host_load) for rule in _RULES_OF_THE_HOST]
    return Validity(tuple(outcome for outcome in outcomes if outcome is not None))


def generator_on_time(samples: Sequence[Sample]) -> RuleOutcome:
    """Judge whether requests were sent when they were due: lag compared with latency, both at p99."""
    lags = np.sort([sample.sent_ns - sample.scheduled_ns for sample in samples]) / 1e6
    latencies = np.sort([sample.done_ns - sample.scheduled_ns for sample in samples]) / 1e6
    lag, latency = statistics.percentile(lags, 99), statistics.percentile(latencies, 99)
    percent = 100 * lag / latency if latency else 100.0
    finding = f"p99 of the lag is {lag:.3g} ms, {percent:.2g} % of the latency's; {MOST_LAG_PERCENT:g} % at most"
    return (ok if percent <= MOST_LAG_PERCENT else invalid)("generator on time", finding)


# --- the requests -----------------------------------------------------------------------------------------------------


def _not_interrupted(e: Evidence) -> RuleOutcome | None:
    return invalid("not interrupted", f"ended after {counted(len(e.samples), 'request')}") if e.interrupted else None


def _device_alive(e: Evidence) -> RuleOutcome:
    if e.alive:
        return ok("device alive", "until the end of the load")
    answered = max((i + 1 for i, sample in enumerate(e.samples) if sample.ok), default=0)
    return invalid("device alive", f"died after {counted(answered, 'request')}")


def _not_paused(e: Evidence) -> RuleOutcome | None:
    if not e.paused_s:
        return None
    return invalid(
        "not paused",
        f"another program paused the board's container, or stopped its server by a signal, for {e.paused_s:.2g} s: "
        "docker events shows a pause",
    )


def _edgesim_not_stopped(e: Evidence) -> RuleOutcome | None:
    if not e.stopped_s:
        return None
    return invalid(
        "edgesim not stopped",
        f"a signal stopped edgesim (kill -STOP, Ctrl-Z) while requests were under way: {e.stopped_s:.2g} s longer",
    )


def _no_failures(e: Evidence) -> RuleOutcome:
    failed = [sample for sample in e.samples if not sample.ok]
    if not failed:
        return ok("no failures", f"none in {counted(len(e.samples), 'request')}")
    return invalid(
        "no failures",
        f"{len(failed)} of {counted(len(e.samples), 'request')} failed, the first with '{failed[0].outcome}'",
    )


def _enough_requests(e: Evidence) -> RuleOutcome:
    answered = sum(sample.ok for sample in e.samples)
    finding = f"{answered} answered, {SMALLEST_RUN} needed"
    return (ok if answered >= SMALLEST_RUN else invalid)("enough requests", finding)


def _enough_time(e: Evidence) -> RuleOutcome:
    finding = f"{e.load_s:.2g} s, {SHORTEST_LOAD_S:g} s needed to meet this host's noise"
    return (ok if e.load_s >= SHORTEST_LOAD_S else suspect)("enough time", finding)


def _precise_enough(e: Evidence) -> RuleOutcome | None:
    if e.precision is None:
        return None
    latencies = np.array([sample.latency_ms if sample.ok else math.inf for sample in e.samples])
    precise = statistics.is_precise(latencies, e.precision.percentile, e.precision.percent)
    finding = f"{e.precision} {'reached' if precise else 'not reached'} with {counted(len(e.samples), 'request')}"
    return (ok if precise else invalid)("precise enough", finding)


def _generator_on_time(e: Evidence) -> RuleOutcome | None:
    if not e.samples:
        return None
    if e.scenario == "offline":
        return ok("generator on time", "all requests are due at once")
    return generator_on_time(e.samples)


def _keeps_up(e: Evidence) -> RuleOutcome | None:
    if e.scenario != "server" or not e.samples:
        return None
    queue = backlog(e.samples)
    if queue is None:
        return unknown("keeps up", "too few requests were answered to tell")
    finding = f"{queue.answered_qps:.4g} answered of {queue.arrived_qps:.4g} requests/s"
    if not queue.overloaded:
        return ok("keeps up", finding)
    return suspect(
        "keeps up",
        f"overload: {finding}; the median latency of the last third of the requests is {queue.last_ms:.4g} ms, of the"
        f" first third {queue.first_ms:.4g} ms: the latencies depend on the length of the load",
    )


def _warmed_up(e: Evidence) -> RuleOutcome | None:
    if not e.samples or e.warm_up is None:
        return None
    return (ok if e.warm_up.found else suspect)("warmed up", e.warm_up.rule)


def _steady(e: Evidence) -> RuleOutcome | None:
    if not e.samples:
        return None
    if e.drift is None:
        return unknown("steady", f"{len(e.samples)} requests are too few for a comparison")
    finding = (
        f"median {e.drift.first:.3g} ms in the first half, {e.drift.second:.3g} ms in the second"
        f" ({e.drift.percent:+.1f} %, p = {e.drift.p_value:.2g})"
    )
    return (suspect if e.drift.notable else ok)("steady", finding)


# --- the board --------------------------------------------------------------------------------------------------------


def _no_oom_kill(e: Evidence) -> RuleOutcome:
    if e.oom_kills is None:
        return unknown("no out-of-memory kill", "this host does not count them")
    return (invalid if e.oom_kills else ok)("no out-of-memory kill", f"{e.oom_kills} seen")


def _limits_hold(e: Evidence) -> RuleOutcome | None:
    """Judge what was read back: without its memory limit a board does not run out of memory where it would."""
    if not e.limits:
        return None
    lost = [limit for limit in e.limits if limit.is_lost]
    if any(limit.name == "memory_bytes" or (limit.name == "cpus" and e.times_need_cpu) for limit in lost):
        return invalid("limits hold", _findings(lost))
    doubtful = [*lost, *(limit for limit in e.limits if not limit.read)]
    if doubtful:
        return suspect("limits hold", _findings(doubtful))
    return ok("limits hold", f"{', '.join(limit.title for limit in e.limits)}: read back as set")


def _findings(limits: Sequence[LimitReading]) -> str:
    return ", ".join(f"{limit.title}: {limit.finding}" for limit in limits)


def _device_time_plausible(e: Evidence) -> RuleOutcome | None:
    if e.host is None:
        return None
    threads = "1 thread" if e.host.threads == 1 else f"{e.host.threads} threads"
    finding = f"{e.host.predicted_ms:.3g} ms predicted for {threads}, this host takes {e.host.host_ms:.3g} ms"
    if e.host.predicted_ms >= e.host.host_ms - _CALL_MS:
        return ok("device time plausible", finding)
    if e.host.times_as_slow <= 1:
        return ok("device time plausible", f"{finding}; the board's core is faster")
    doubt = (
        f"and the board's core is {e.host.times_as_slow:.2g} times as slow for operations of known cost: the "
        "prediction counts too little of this model"
    )
    return suspect("device time plausible", f"{finding}, {doubt}")


def _scale_held(e: Evidence) -> RuleOutcome | None:
    if e.scale is None:
        return None
    check_ms, error = e.scale.check_ms, e.scale.error_percent
    if check_ms is None or error is None:
        return unknown("scale held", "the model's time was not measured again after the load")
    error_ms = check_ms * abs(error) / (100 + error)
    finding = (
        f"{check_ms:.4g} ms when measured again after the load, {error:+.1f} % from the board's time; "
        f"{CLOSE_PERCENT:g} % or {CLOSE_MS:g} ms at most"
    )
    if abs(error) <= CLOSE_PERCENT or error_ms <= CLOSE_MS:
        return ok("scale held", finding)
    far = abs(error) > MOST_ERROR_PERCENT and error_ms > MOST_ERROR_MS
    return (invalid if far else suspect)("scale held", finding)


# --- counts -----------------------------------------------------------------------------------------------------------


def _enough_counts(e: Evidence) -> RuleOutcome:
    counts = e.counts or 0
    text = f"{counts} requests counted, {FEWEST_COUNTS} needed"
    return ok("enough counts", text) if counts >= FEWEST_COUNTS else invalid("enough counts", text)


# In the order in which results list them.
_RULES: Sequence[Callable[[Evidence], RuleOutcome | None]] = (
    _not_interrupted,
    _device_alive,
    _not_paused,
    _edgesim_not_stopped,
    _no_failures,
    _enough_requests,
    _enough_time,
    _precise_enough,
    _generator_on_time,
    _keeps_up,
    _warmed_up,
    _steady,
    _no_oom_kill,
    _limits_hold,
    _device_time_plausible,
    _scale_held,
)

_RULES_OF_THE_HOST: Sequence[Callable[[HostLoad], RuleOutcome | None]] = (
    host_rules.no_time_stolen,
    host_rules.host_quiet,
    host_rules.not_throttled,
    host_rules.clock_steady,
)

# The host's load, and the time that it leaves, change no count.
_RULES_OF_COUNTS: Sequence[Callable[[Evidence], RuleOutcome | None]] = (
    _not_interrupted,
    _device_alive,
    _no_failures,
    _enough_requests,
    _enough_counts,
    _no_oom_kill,
    _limits_hold,
)
