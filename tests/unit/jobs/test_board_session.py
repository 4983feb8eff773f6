"""The traffic of a session: its scenario, when it ends, which options exclude each other, and how long it took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from edgesim.errors import UsageError
from edgesim.jobs.board_session import Measurement, _BoardLoad, check_levels, scenario_of, stop_rule
from edgesim.jobs.load_session import LoadSession, Sent
from edgesim.loadgen.scenario import Scenario, StopRule
from edgesim.options import REQUEST_DEFAULTS, Execution, PeakLimit, Precision, TrafficOptions
from edgesim.progress import Stages
from edgesim.recording import Sample
from tests.support.fake_device import FakeDevice
from tests.support.heard import Heard

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


def on_a_board_of_24_per_second(
    monkeypatch: pytest.MonkeyPatch, *, sweep: tuple[float, ...] = (1.0,)
) -> tuple[_BoardLoad, Measurement, Heard]:
    """Return the loads of a board that answers one request after the other, in 41.4 ms each."""

    def send(session: LoadSession, scenario: Scenario, into: list[Sample]) -> Sent:
        gap_ns, done_ns = int(1e9 / scenario.qps) if scenario.qps is not None else 0, 0
        for i in range(scenario.stop.requests):
            done_ns = max(done_ns, i * gap_ns) + 41_400_000
            into.append(Sample(i * gap_ns, i * gap_ns, done_ns, "ok"))
        return Sent(connections=1)

    monkeypatch.setattr(LoadSession, "send", send)
    device = SimpleNamespace(state=lambda: SimpleNamespace(running=True))
    board: Any = SimpleNamespace(
        device=device, host=SimpleNamespace(context=None), scale=None, hangs=lambda readings: False
    )
    recorder: Any = SimpleNamespace(phase=lambda name: nullcontext(), readings=[])
    scenario = Scenario.of("server", stop=StopRule(requests=200), qps=sweep[0])
    plan: Any = SimpleNamespace(timeout_s=1.0, sweep=sweep, scenario=scenario)
    measurement, heard = Measurement(scenario=scenario), Heard()
    load = _BoardLoad(
        board, plan, "http://127.0.0.1:1", [b""], recorder, Stages(heard), measurement, lambda _: nullcontext()
    )
    return load, measurement, heard


@pytest.mark.parametrize(
    ("rates", "chosen"), [((10.0, 20.0, 30.0), 20.0), ((30.0, 20.0, 10.0), 20.0), ((60.0, 30.0), 30.0), ((10.0,), 10.0)]
)
def test_a_sweep_stands_for_the_highest_rate_that_the_board_keeps_up_with(
    rates: tuple[float, ...], chosen: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, measurement, heard = on_a_board_of_24_per_second(monkeypatch, sweep=rates)
    load.sweep()
    assert measurement.scenario.qps == chosen
    assert [(level.qps, level.overloaded) for level in measurement.levels] == [(rate, rate > 24) for rate in rates]
    slowest = max(sample.latency_ms for sample in measurement.samples)
    assert (slowest < 100) is (chosen < 24), "an overloaded rate stands for the run only if there is no other"
    assert any("rates, about" in text for text in heard.lines) is (sum(200 / rate for rate in rates) >= 10)


def test_a_peak_search_says_how_long_it_takes_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    load, measurement, heard = on_a_board_of_24_per_second(monkeypatch)
    load.find_peak(PeakLimit(percentile="p99", latency_ms=100.0))
    assert measurement.search is not None
    assert measurement.search.peak_qps == pytest.approx(24, rel=0.1)
    # The first guess is 70 % of 24 requests a second, and p99 needs 662 requests.
    note = "the search for the peak rate tries some 6 rates, at most 12; a rate takes up to 40 s: about 4 min in all"
    assert heard.lines.index(note) < heard.lines.index(next(line for line in heard.lines if "rate 1:" in line))


def test_the_seconds_of_a_load_leave_out_the_readings_at_its_borders(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def slow_phase(name: str) -> Iterator[None]:
        time.sleep(0.2)
        yield

    def send(session: LoadSession, scenario: Scenario, into: list[Sample]) -> Sent:
        into.append(Sample(0, 0, 1, "ok"))
        return Sent(connections=1)

    monkeypatch.setattr(LoadSession, "send", send)
    board: Any = SimpleNamespace(device=FakeDevice(), host=SimpleNamespace(context=None), scale=None)
    recorder: Any = SimpleNamespace(phase=slow_phase, readings=[])
    plan: Any = SimpleNamespace(timeout_s=1.0)
    scenario = Scenario.of(None, stop=StopRule())
    measurement = Measurement(scenario=scenario)
    load = _BoardLoad(
        board, plan, "http://127.0.0.1:1", [b""], recorder, Stages(), measurement, lambda _: nullcontext()
    )
    load.run(scenario, "a load")
    assert measurement.generator.seconds < 0.1
    assert measurement.host_loads[0].seconds > 0.2
