"""The plan of a session: its scenario, when it ends, and which options exclude each other."""

from typing import Any

import pytest

from edgesim.errors import UsageError
from edgesim.jobs.session_plan import check_levels, scenario_of, stop_rule
from edgesim.loadgen.scenario import StopRule
from edgesim.options import REQUEST_DEFAULTS, Execution, PeakLimit, Precision, TrafficOptions

PEAK = PeakLimit(percentile="p99", latency_ms=40.0)
UNTIL = Precision(percentile=99, percent=5)


@pytest.mark.parametrize(
    ("traffic", "execution", "server", "expected"),
    [
        ({}, "native", False, StopRule(requests=100, duration_s=5.0)),
        ({}, "emulated", False, StopRule(requests=5, duration_s=3.0)),
        ({}, "emulated", True, StopRule(requests=5, duration_s=3.0)),
        ({"requests": 7}, "native", False, StopRule(requests=7, duration_s=0.0)),
        ({"duration_s": 2.0}, "native", False, StopRule(requests=1, duration_s=2.0)),
        ({"until": UNTIL}, "native", False, StopRule(precision=UNTIL)),
        ({"until": UNTIL, "requests": 7}, "native", False, StopRule(requests=7, precision=UNTIL)),
    ],
)
def test_a_load_ends_as_the_options_say_or_by_the_default_of_its_execution(
    traffic: dict[str, Any], execution: Execution, server: bool, expected: StopRule
) -> None:
    assert stop_rule(TrafficOptions(**traffic), REQUEST_DEFAULTS[execution], server=server) == expected


def test_a_server_scenario_gets_enough_requests_for_its_99th_percentile() -> None:
    single = stop_rule(TrafficOptions(), REQUEST_DEFAULTS["native"], server=False)
    server = stop_rule(TrafficOptions(), REQUEST_DEFAULTS["native"], server=True)
    assert server.requests > single.requests


@pytest.mark.parametrize(
    ("traffic", "name", "qps"),
    [
        ({}, "single-stream", None),
        ({"qps": 20.0}, "server", 20.0),
        ({"samples_per_query": 4}, "multi-stream", None),
        ({"scenario": "offline"}, "offline", None),
        ({"sweep": (10.0, 20.0)}, "server", 10.0),
        ({"peak": PEAK}, "server", 1.0),
    ],
)
def test_the_scenario_follows_from_the_options(traffic: dict[str, Any], name: str, qps: float | None) -> None:
    scenario = scenario_of(TrafficOptions(**traffic), REQUEST_DEFAULTS["native"], seed=3)
    assert (scenario.name, scenario.qps, scenario.seed) == (name, qps, 3)


@pytest.mark.parametrize(
    "traffic",
    [
        {"sweep": (10.0,), "peak": PEAK},
        {"sweep": (10.0, 0.0)},
        {"sweep": (float("inf"),)},
        {"peak": PeakLimit(percentile="p42", latency_ms=40.0)},
        {"peak": PeakLimit(percentile="p99", latency_ms=0.0)},
        {"peak": PeakLimit(percentile="p99", latency_ms=-1.0)},
        {"peak": PeakLimit(percentile="p99", latency_ms=float("nan"))},
        {"sweep": (10.0,), "qps": 5.0},
        {"peak": PEAK, "clients": 2},
        {"peak": PEAK, "scenario": "offline"},
        {"sweep": (10.0,), "samples_per_query": 2},
    ],
)
def test_a_sweep_and_a_peak_search_refuse_wrong_options(traffic: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        check_levels(TrafficOptions(**traffic))


@pytest.mark.parametrize("traffic", [{}, {"qps": 5.0}, {"sweep": (1.0, 2.0)}, {"peak": PEAK, "scenario": "server"}])
def test_other_options_are_no_contradiction(traffic: dict[str, Any]) -> None:
    check_levels(TrafficOptions(**traffic))
