"""What a measurement does when it is not told."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgesim.loadgen.scenario import StopRule
from edgesim.measure import statistics
from edgesim.options import Execution, Precision


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What a run does when not told: an emulated request takes seconds, a native one milliseconds.

    `warm_up` None is by rule. Emulated, only the first inference is apart: its time is no board's anyway, and the
    `tail` of a server not worth the requests that it takes; a scaled board is warm from being calibrated.
    """

    requests: int
    duration_s: float
    warm_up: int | None
    timeout_s: float
    tail: bool = True


DEFAULTS: Mapping[Execution, Defaults] = {
    "emulated": Defaults(requests=5, duration_s=3.0, warm_up=0, timeout_s=300.0, tail=False),
    "scaled": Defaults(requests=5, duration_s=6.0, warm_up=0, timeout_s=300.0),
    "native": Defaults(requests=100, duration_s=5.0, warm_up=None, timeout_s=30.0),
    "host": Defaults(requests=100, duration_s=5.0, warm_up=None, timeout_s=30.0),
}


def stop_rule(
    requests: int | None, duration_s: float | None, until: Precision | None, defaults: Defaults, *, server: bool
) -> StopRule:
    """What is given is the rule; the defaults are for when nothing is."""
    if requests is not None or duration_s is not None:
        return StopRule(requests=requests if requests is not None else 1, duration_s=duration_s or 0.0, precision=until)
    if until is not None:
        return StopRule(precision=until)
    # The tail is what a server is asked for.
    enough = statistics.smallest_sample(99) if server and defaults.tail else defaults.requests
    return StopRule(requests=enough, duration_s=defaults.duration_s)
