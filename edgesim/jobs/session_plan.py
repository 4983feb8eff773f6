"""What is measured on one board: the scenario, the warm-up and the limits that traffic options ask for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgesim.errors import UsageError
from edgesim.inputs import Inputs
from edgesim.inputs.sequences import RequestSequence
from edgesim.loadgen.scenario import Scenario, StopRule
from edgesim.measure import statistics, validity
from edgesim.measure.detections import Matcher
from edgesim.measure.release_reference import AnyReference
from edgesim.models.repository import Model
from edgesim.options import PeakLimit, RequestDefaults, TrafficOptions

# Beside a scaled run, which tells the times, an emulated board needs few requests: does it load, answer right and fit?
FEW_REQUESTS = 3


@dataclass(frozen=True, kw_only=True)
class SessionPlan:
    """What is measured on one board.

    Attributes:
        reference: the model on this host, for comparison; None where this host does not run it.
        warm_up: requests before the measured ones; None means until latencies are steady.
        timeout_s: a request without an answer after this many seconds has failed.
        sweep: rates, in requests per second, of the server scenario, in place of `scenario`.
        peak: the limit of a search for the highest rate, in place of `scenario`.
        client_cores: the cores of this host that the load generator uses; None means any.
        matcher: matches the rows of detections before they are compared; None leaves them in their order.
        whole_sequences: whether the load ends with a whole sequence, where the inputs are one.
    """

    model: Model
    inputs: Inputs
    reference: AnyReference | None
    scenario: Scenario
    warm_up: int | None
    timeout_s: float
    sweep: Sequence[float] = ()
    peak: PeakLimit | None = None
    client_cores: Sequence[int] | None = None
    matcher: Matcher | None = None
    whole_sequences: bool = True

    @classmethod
    def of(
        cls,
        traffic: TrafficOptions,
        defaults: RequestDefaults,
        *,
        model: Model,
        inputs: Inputs,
        reference: AnyReference | None,
        seed: int,
        matcher: Matcher | None = None,
    ) -> "SessionPlan":
        """Resolve traffic options with the defaults of a board.

        Raises:
            UsageError: the options contradict each other, or one is missing.
        """
        return cls(
            model=model,
            inputs=inputs,
            reference=reference,
            scenario=scenario_of(traffic, defaults, seed=seed),
            warm_up=traffic.warmup if traffic.warmup is not None else defaults.warm_up,
            timeout_s=defaults.timeout_s,
            sweep=traffic.sweep,
            peak=traffic.peak,
            client_cores=traffic.client_cores,
            matcher=matcher,
        )

    def with_few_requests(self, defaults: RequestDefaults) -> "SessionPlan":
        """Return the plan of the emulated half of a combined run: a few requests, whatever traffic the user wants."""
        stop = StopRule(requests=FEW_REQUESTS, duration_s=validity.SHORTEST_LOAD_S)
        return replace(
            self,
            scenario=Scenario.of(None, stop=stop, seed=self.scenario.seed),
            sweep=(),
            peak=None,
            warm_up=defaults.warm_up,
            whole_sequences=False,
        )


def scenario_of(traffic: TrafficOptions, defaults: RequestDefaults, *, seed: int) -> Scenario:
    """Return the scenario that traffic options ask for, ended by their stop rule or the default one.

    Raises:
        UsageError: the options contradict each other, or one is missing.
    """
    levels = bool(traffic.sweep) or traffic.peak is not None
    name = "server" if levels else traffic.scenario
    # A sweep replaces the rate for each level, and a peak search finds its own.
    qps = traffic.sweep[0] if traffic.sweep else 1.0 if traffic.peak is not None else traffic.qps
    return Scenario.of(
        name,
        stop=stop_rule(traffic, defaults, server=name == "server" or traffic.qps is not None),
        qps=qps,
        seed=seed,
        samples_per_query=traffic.samples_per_query,
        clients=traffic.clients,
    )


def stop_rule(traffic: TrafficOptions, defaults: RequestDefaults, *, server: bool) -> StopRule:
    """Return when a load ends: as the options say, or by default if none of them says."""
    if traffic.requests is not None or traffic.duration_s is not None:
        return StopRule(
            requests=traffic.requests if traffic.requests is not None else 1,
            duration_s=traffic.duration_s or 0.0,
            precision=traffic.until,
        )
    if traffic.until is not None:
        return StopRule(precision=traffic.until)
    # A server is asked for its tail.
    requests = statistics.smallest_sample(99) if server and defaults.tail else defaults.requests
    return StopRule(requests=requests, duration_s=defaults.duration_s)


def check_levels(traffic: TrafficOptions) -> None:
    """Check the options of a sweep or a peak search before any work.

    Raises:
        UsageError: they contradict each other, or a rate or a limit is none.
    """
    if not traffic.sweep and traffic.peak is None:
        return
    if traffic.sweep and traffic.peak is not None:
        raise UsageError("`sweep` and `peak` exclude each other", fix="give only one of them")
    if any(not 0 < rate < math.inf for rate in traffic.sweep):
        raise UsageError("`sweep`: a rate is above 0, in requests per second", fix="for example `sweep=10,20,40`")
    if traffic.peak is not None:
        _check_peak(traffic.peak)
    option = "sweep" if traffic.sweep else "peak"
    others = traffic.qps is not None or traffic.clients is not None or traffic.samples_per_query is not None
    if traffic.scenario not in (None, "server") or others:
        raise UsageError(
            f"`{option}` sets the rate itself, in the server scenario", fix=f"only `{option}`, without the other"
        )


def check_sequence(sequence: RequestSequence | None, traffic: TrafficOptions) -> None:
    """Check that the traffic suits inputs of which each takes something of the answer before.

    Only a closed loop waits for that answer. Several clients have a state each; a generation has one client, since a
    scaled board is paced step by step.

    Raises:
        UsageError: the scenario sends requests before earlier ones are answered, or a generation has several clients.
    """
    if sequence is None:
        return
    of = "generate" if sequence.is_whole else "state"
    levels = "sweep" if traffic.sweep else "peak" if traffic.peak is not None else ""
    implied = "server" if traffic.qps is not None else "multi-stream" if traffic.samples_per_query else "single-stream"
    name = traffic.scenario if traffic.scenario is not None else implied
    if levels or name != "single-stream":
        what = f"`{levels}`" if levels else f"scenario {name}"
        raise UsageError(
            f"`{of}`: a request needs the previous answer, and {what} sends it without waiting",
            fix="`scenario=single-stream`; `clients=N` runs N sequences side by side"
            if of == "state"
            else "`scenario=single-stream`",
        )
    if of == "generate" and (traffic.clients or 1) > 1:
        raise UsageError(
            "`generate`: one text at a time, since several texts would share the board's cores",
            fix="omit `clients`",
        )


def _check_peak(limit: PeakLimit) -> None:
    if limit.percentile not in statistics.PERCENTILES:
        raise UsageError(
            f"`peak`: no percentile {limit.percentile!r}", fix=f"one of {', '.join(statistics.PERCENTILES)}"
        )
    if not 0 < limit.latency_ms < math.inf:
        raise UsageError(
            f"`peak`: a latency of {limit.latency_ms:g} ms is not a limit", fix="a time above 0, in milliseconds"
        )
