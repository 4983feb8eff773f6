"""How long a load takes, before it begins and while it lasts."""

import time
from collections.abc import Callable, Sequence

from edgesim.loadgen.scenario import Scenario
from edgesim.progress import LONG_S, Progress
from edgesim.recording import Sample
from edgesim.units import format_estimate


def expected_s(scenario: Scenario, request_s: float | None) -> float | None:
    """Return about how many seconds a scenario takes; None if its precision decides, or nothing is known.

    Args:
        request_s: time of one request; a board answers one after the other. None if it is not known.
    """
    stop = scenario.stop
    if stop.precision is not None:
        return None
    sending_s = stop.requests / scenario.qps if scenario.qps is not None else 0.0
    if request_s is None and scenario.qps is None:
        return None
    return max(sending_s, stop.requests * (request_s or 0.0), stop.duration_s)


def announcement(scenarios: Sequence[Scenario], request_s: float | None, *, of_first: bool = False) -> str:
    """Return how long scenarios take one after the other, such as ``, about 6 min``; empty if that is not long.

    Args:
        request_s: as in `expected_s`.
        of_first: whether `request_s` is that of the first request, which loads and translates what the others find:
            under emulation it takes twenty times as long as they do.
    """
    expected = [expected_s(scenario, request_s) for scenario in scenarios]
    total_s = sum(seconds for seconds in expected if seconds is not None)
    if total_s < LONG_S or None in expected:
        return ""
    decides = of_first and expected != [expected_s(scenario, 0.0) for scenario in scenarios]
    most = decides or any(scenario.stop.misses is not None for scenario in scenarios)
    return f", {'at most' if most else 'about'} {format_estimate(total_s)}"


def watch(
    scenario: Scenario, samples: Sequence[Sample], clock: Callable[[], float] = time.monotonic
) -> Callable[[], Progress]:
    """Return a function that says how far a load is that begins now; `samples` grows while the load lasts."""
    begun_s, before = clock(), len(samples)

    def progress() -> Progress:
        return progress_of(scenario, len(samples) - before, clock() - begun_s)

    return progress


def progress_of(scenario: Scenario, done: int, elapsed_s: float) -> Progress:
    """Return how far a load is that has had `done` answers in `elapsed_s` seconds."""
    stop = scenario.stop
    at_most = stop.misses is not None
    if stop.precision is not None:
        left_s = max(stop.precision.limit_s - elapsed_s, 0.0)
        return Progress(f"{done:,} requests, until {stop.precision}", left_s=left_s, at_most=True)
    words = f"{done:,} of {stop.requests:,} requests" if done < stop.requests else f"{done:,} requests"
    if not done or not elapsed_s:
        return Progress(words, at_most=at_most)
    rate = done / elapsed_s
    if scenario.qps is not None:
        rate = min(rate, scenario.qps)
    left_s = max((stop.requests - done) / rate, stop.duration_s - elapsed_s, 0.0)
    return Progress(words, share=elapsed_s / (elapsed_s + left_s), left_s=left_s, at_most=at_most)
