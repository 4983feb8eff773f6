"""The load of a board: sweeps, peak searches, and how long a load took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from edgesim.jobs.board_load import BoardLoad
from edgesim.jobs.load_session import LoadSession, Sent
from edgesim.jobs.measurement import Measurement
from edgesim.loadgen.endpoint import Endpoint
from edgesim.loadgen.scenario import Scenario, StopRule
from edgesim.options import PeakLimit
from edgesim.progress import Stages
from edgesim.recording import Sample
from tests.support.fake_device import FakeDevice
from tests.support.heard import Heard

ENDPOINT = Endpoint(url="http://127.0.0.1:1")


def on_a_board_of_24_per_second(
    monkeypatch: pytest.MonkeyPatch, *, sweep: tuple[float, ...] = (1.0,)
) -> tuple[BoardLoad, Measurement, Heard]:
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
        device=device, endpoint=ENDPOINT, host=SimpleNamespace(context=None), scale=None, hangs=lambda readings: False
    )
    recorder: Any = SimpleNamespace(phase=lambda name: nullcontext(), readings=[])
    scenario = Scenario.of("server", stop=StopRule(requests=200), qps=sweep[0])
    plan: Any = SimpleNamespace(timeout_s=1.0, sweep=sweep, scenario=scenario)
    measurement, heard = Measurement(scenario=scenario), Heard()
    load = BoardLoad(board, plan, [b""], recorder, Stages(heard), measurement, lambda _: nullcontext())
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
    board: Any = SimpleNamespace(device=FakeDevice(), endpoint=ENDPOINT, host=SimpleNamespace(context=None), scale=None)
    recorder: Any = SimpleNamespace(phase=slow_phase, readings=[])
    plan: Any = SimpleNamespace(timeout_s=1.0)
    scenario = Scenario.of(None, stop=StopRule())
    measurement = Measurement(scenario=scenario)
    load = BoardLoad(board, plan, [b""], recorder, Stages(), measurement, lambda _: nullcontext())
    load.run(scenario, "a load")
    assert measurement.generator.seconds < 0.1
    assert measurement.host_loads[0].seconds > 0.2
