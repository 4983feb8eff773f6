"""Rules of validity on the load of the host: what other programs and machines took, and the clock."""

from edgesim.host.host_load import HostLoad
from edgesim.measure.rule_outcome import RuleOutcome, ok, suspect, unknown

# Percent of the host's CPU time.
MOST_STEAL_PERCENT = 1.0
MOST_OTHERS_PERCENT = 10.0
LEAST_FREQUENCY_PERCENT = 90.0
# Percent of the load in which the CPU quota of edgesim's own container stopped edgesim.
MOST_THROTTLED_PERCENT = 1.0


def no_time_stolen(load: HostLoad) -> RuleOutcome:
    steal = load.steal_percent
    if steal is None:
        return unknown("no time stolen", "this host does not report steal time")
    finding = f"{steal:.1f} % of this host's time went to other machines, {MOST_STEAL_PERCENT:g} % at most"
    return (ok if steal <= MOST_STEAL_PERCENT else suspect)("no time stolen", finding)


def host_quiet(load: HostLoad) -> RuleOutcome:
    others = load.others_percent
    if others is None:
        return unknown("host quiet", "the device's own CPU time on this host is not known")
    finding = f"other programs took {others:.1f} % of this host, {MOST_OTHERS_PERCENT:g} % at most"
    return (ok if others <= MOST_OTHERS_PERCENT else suspect)("host quiet", finding)


def not_throttled(load: HostLoad) -> RuleOutcome | None:
    if load.throttled_s is None:
        return None
    percent = 100 * load.throttled_s / max(load.seconds, 1e-9)
    finding = (
        f"edgesim's own CPU quota stopped it for {percent:.1f} % of the load, {MOST_THROTTLED_PERCENT:g} % at most"
    )
    return (ok if percent <= MOST_THROTTLED_PERCENT else suspect)("edgesim not throttled", finding)


def clock_steady(load: HostLoad) -> RuleOutcome:
    throttles, clock = load.thermal_throttles, load.frequency_percent
    if throttles is None and clock is None:
        return unknown("clock steady", "this host reports neither its clock nor its thermal throttling")
    findings = [f"throttled {throttles} times by temperature"] if throttles is not None else []
    findings += [f"clock at {clock:.0f} % of the clock at the beginning"] if clock is not None else []
    slow = bool(throttles) or (clock is not None and clock < LEAST_FREQUENCY_PERCENT)
    return (suspect if slow else ok)("clock steady", ", ".join(findings))
