"""Whether a run is good as a measurement: named rules, each with its figures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgesim.measure import statistics
from edgesim.measure.steady_state import Drift
from edgesim.recording import Sample
from edgesim.results.run_result import (
    HostLoadSection,
    ResourcesSection,
    Rule,
    ScaledModelSection,
    ScenarioSection,
    ValiditySection,
)

# Fewer than this say nothing, not even that the device answers again and again.
SMALLEST_RUN = 3
# A load shorter than this has not met the host's noise yet.
SHORTEST_LOAD_S = 1.0
# Lag beyond this share of latency, both at p99, is in the figures and not the device's.
MOST_LAG_PERCENT = 1.0
# Of the host's CPU time.
MOST_STEAL_PERCENT = 1.0
MOST_OTHERS_PERCENT = 10.0
LEAST_FREQUENCY_PERCENT = 90.0
# A scaled board's time against the one that it was to take; less than so many milliseconds are the connection's.
CLOSE_PERCENT, CLOSE_MS = 3.0, 0.2
MOST_ERROR_PERCENT, MOST_ERROR_MS = 20.0, 1.0


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the rules look at.

    `load_s` is how long requests were under way; `precise` is whether the precision asked for was reached, None where
    none was; `drift` and `host_load` are None where there is nothing to be said. `scale` is the model
    of a scaled board that was farthest from its time when all was done.
    """

    scenario: ScenarioSection
    samples: Sequence[Sample]
    load_s: float
    resources: ResourcesSection
    alive: bool
    interrupted: bool = False
    precise: bool | None = None
    drift: Drift | None = None
    host_load: HostLoadSection | None = None
    scale: ScaledModelSection | None = None


def judge(evidence: Evidence) -> ValiditySection:
    """VALID, INVALID with the reasons, or VALID and suspect with them."""
    rules = tuple(_rules(evidence))
    reasons = tuple(f"{rule.name}: {rule.finding}" for rule in rules if rule.verdict == "invalid")
    suspicions = tuple(f"{rule.name}: {rule.finding}" for rule in rules if rule.verdict == "suspect")
    return ValiditySection(
        valid=not reasons, reasons=reasons, suspect=bool(suspicions), suspicions=suspicions, rules=rules
    )


def _rules(e: Evidence) -> Iterator[Rule]:
    count, failed = len(e.samples), [sample for sample in e.samples if not sample.ok]
    if e.interrupted:
        yield _invalid("not interrupted", f"ended after {count} requests")
    yield (
        _ok("device alive", "to the end") if e.alive else _invalid("device alive", f"it died after {count} requests")
    )
    if failed:
        yield _invalid("no failures", f"{len(failed)} of {count} requests failed, the first with '{failed[0].outcome}'")
    else:
        yield _ok("no failures", f"of {count} requests")
    answered = count - len(failed)
    enough = f"{answered} answered, {SMALLEST_RUN} needed"
    yield (_ok if answered >= SMALLEST_RUN else _invalid)("enough requests", enough)
    long_enough = f"{e.load_s:.2g} s, {SHORTEST_LOAD_S:g} s needed to meet this host's noise"
    yield (_ok if e.load_s >= SHORTEST_LOAD_S else _suspect)("enough time", long_enough)
    yield from _precision(e)
    if e.samples:
        yield (
            _ok("generator on time", "everything is due at once")
            if e.scenario.name == "offline"
            else generator_on_time(e.samples)
        )
        yield from _steady(e)
    kills = e.resources.oom_kills
    if kills is None:
        yield _unknown("no out-of-memory kill", "this host does not count them")
    else:
        yield (_invalid if kills else _ok)("no out-of-memory kill", f"{kills} seen")
    if e.scale is not None:
        yield _scale(e.scale)
    if e.host_load is not None:
        yield from _host(e.host_load)


def generator_on_time(samples: Sequence[Sample]) -> Rule:
    """Whether requests were sent when they were due: lag against latency, both at p99."""
    lags = np.sort([sample.sent_ns - sample.scheduled_ns for sample in samples]) / 1e6
    latencies = np.sort([sample.done_ns - sample.scheduled_ns for sample in samples]) / 1e6
    lag, latency = statistics.percentile(lags, 99), statistics.percentile(latencies, 99)
    percent = 100 * lag / latency if latency else 100.0
    finding = f"{lag:.3g} ms late at p99, {percent:.2g} % of the latency there; {MOST_LAG_PERCENT:g} % at most"
    return (_ok if percent <= MOST_LAG_PERCENT else _invalid)("generator on time", finding)


def _precision(e: Evidence) -> Iterator[Rule]:
    if e.precise is not None:
        finding = f"{e.scenario.precision} {'reached' if e.precise else 'not reached'} with {len(e.samples)} requests"
        yield (_ok if e.precise else _invalid)("precise enough", finding)


def _steady(e: Evidence) -> Iterator[Rule]:
    warm_up = e.scenario.warm_up
    if warm_up is not None:
        yield (_ok if warm_up.found else _suspect)("warmed up", warm_up.rule)
    if e.drift is None:
        yield _unknown("steady", f"{len(e.samples)} requests are too few to tell")
        return
    finding = (
        f"median {e.drift.first:.3g} ms in the first half, {e.drift.second:.3g} ms in the second"
        f" ({e.drift.percent:+.1f} %, p = {e.drift.p_value:.2g})"
    )
    yield (_suspect if e.drift.notable else _ok)("steady", finding)


def _scale(model: ScaledModelSection) -> Rule:
    if model.check_ms is None or model.error_percent is None:
        return _unknown("scale held", "the model was not asked again at the end")
    percent = abs(model.error_percent)
    off_ms = model.check_ms * percent / (100 + model.error_percent)
    finding = (
        f"{model.check_ms:.4g} ms when asked again at the end, {model.error_percent:+.1f} % from the board's time; "
        f"{CLOSE_PERCENT:g} % or {CLOSE_MS:g} ms at most"
    )
    if percent <= CLOSE_PERCENT or off_ms <= CLOSE_MS:
        return _ok("scale held", finding)
    invalid = percent > MOST_ERROR_PERCENT and off_ms > MOST_ERROR_MS
    return (_invalid if invalid else _suspect)("scale held", finding)


def _host(load: HostLoadSection) -> Iterator[Rule]:
    if load.steal_percent is None:
        yield _unknown("no time stolen", "this host does not tell")
    else:
        finding = (
            f"{load.steal_percent:.1f} % of this host's time went to other machines, {MOST_STEAL_PERCENT:g} % at most"
        )
        yield (_ok if load.steal_percent <= MOST_STEAL_PERCENT else _suspect)("no time stolen", finding)
    if load.others_percent is None:
        yield _unknown("host quiet", "the device's own CPU time is not known here")
    else:
        finding = f"other programs took {load.others_percent:.1f} % of this host, {MOST_OTHERS_PERCENT:g} % at most"
        yield (_ok if load.others_percent <= MOST_OTHERS_PERCENT else _suspect)("host quiet", finding)
    throttled, clock = load.thermal_throttles, load.frequency_percent
    if throttled is None and clock is None:
        yield _unknown("clock steady", "this host tells neither its clock nor its throttling")
        return
    findings = [f"{throttled} times slowed down by temperature"] if throttled is not None else []
    findings += [f"clock at {clock:.0f} % of that at the beginning"] if clock is not None else []
    slow = bool(throttled) or (clock is not None and clock < LEAST_FREQUENCY_PERCENT)
    yield (_suspect if slow else _ok)("clock steady", ", ".join(findings))


def _ok(name: str, finding: str) -> Rule:
    return Rule(name=name, verdict="ok", finding=finding)


def _invalid(name: str, finding: str) -> Rule:
    return Rule(name=name, verdict="invalid", finding=finding)


def _suspect(name: str, finding: str) -> Rule:
    return Rule(name=name, verdict="suspect", finding=finding)


def _unknown(name: str, finding: str) -> Rule:
    return Rule(name=name, verdict="unknown", finding=finding)
