"""The ruler, held against servers whose latencies are known, over real connections.

Timing on a busy machine is never exact: what is asserted is what no noise can bring about, or bounds far wider than it.
"""

import json
import subprocess
import sys

import numpy as np
import pytest

from edgesim.host.priority import real_time_priority
from edgesim.loadgen import generator
from edgesim.loadgen.scenario import Scenario, StopRule
from edgesim.loadgen.transport import HttpTransport
from edgesim.measure import statistics
from edgesim.recording import Sample
from tests.support.scripted_server import Script, scripted

pytestmark = pytest.mark.timing

REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


def measure(script: Script, scenario: Scenario, *, connections: int | None = None) -> list[Sample]:
    samples: list[Sample] = []
    most = connections if connections is not None else scenario.connections
    with scripted(script) as url, HttpTransport(url, connections=most, timeout_s=10) as transport, real_time_priority():
        generator.drive(scenario, transport, [REQUEST], into=samples, still_alive=lambda: True)
    assert all(sample.ok for sample in samples)
    return samples


def single_stream(requests: int) -> Scenario:
    return Scenario(name="single-stream", stop=StopRule(requests=requests))


def percentiles(samples: list[Sample], *wanted: float) -> list[float]:
    return [float(p) for p in np.percentile([sample.latency_ms for sample in samples], wanted)]


def test_a_fixed_delay_is_measured() -> None:
    low, middle, high = percentiles(measure(Script(delays_ms=(20,)), single_stream(100)), 0, 50, 90)
    assert low >= 20
    assert middle < 22
    assert high < 25


def test_two_modes_are_measured_with_their_shares() -> None:
    samples = measure(Script(delays_ms=(50, 10, 10, 10, 10)), single_stream(100))
    slow = [sample.latency_ms for sample in samples if sample.latency_ms > 40]
    assert len(slow) == pytest.approx(20, abs=2)
    assert np.median(slow) == pytest.approx(51, abs=2)
    assert percentiles(samples, 50)[0] == pytest.approx(11, abs=2)


def test_a_stall_is_in_p99_and_a_clock_from_the_time_of_sending_would_have_hidden_it() -> None:
    """Of 5 s at 100 a second, half a second's stall meets 10 %. With one connection the others wait in the client."""
    scenario = Scenario(name="server", qps=100, stop=StopRule(duration_s=5))
    samples = measure(Script(stall=(250, 500)), scenario, connections=1)
    by_schedule = percentiles(samples, 99)[0]
    by_sending = float(np.percentile([sample.service_time_ms for sample in samples], 99))
    assert by_schedule > 300
    assert by_sending < 100
    assert max(sample.service_time_ms for sample in samples) >= 500


def test_with_connections_enough_the_stall_is_in_the_service_time_too() -> None:
    scenario = Scenario(name="server", qps=100, stop=StopRule(duration_s=2))
    samples = measure(Script(stall=(100, 500)), scenario)
    assert sum(sample.service_time_ms > 100 for sample in samples) > 20
    assert percentiles(samples, 99)[0] > 300


def test_of_a_saturated_server_latency_grows_and_service_time_does_not() -> None:
    scenario = Scenario(name="server", qps=100, stop=StopRule(duration_s=1.5))
    samples = sorted(measure(Script(delays_ms=(20,), one_at_a_time=True), scenario, connections=1), key=lambda s: s[0])
    first, last = samples[:30], samples[-30:]
    assert np.median([s.latency_ms for s in last]) > 5 * np.median([s.latency_ms for s in first])
    assert np.median([s.service_time_ms for s in last]) < 1.5 * np.median([s.service_time_ms for s in first])


@pytest.mark.parametrize("qps", [None, 40.0], ids=["single-stream", "server"])
def test_loadgen_measures_the_same(qps: float | None) -> None:
    """MLPerf LoadGen and edgesim on the same server, one after the other: the same percentiles within 5 %."""
    words = [str(qps)] if qps else []
    scenario = Scenario(name="server" if qps else "single-stream", qps=qps, stop=StopRule(requests=136))
    with scripted(Script(delays_ms=(20, 20, 20, 60, 20, 20, 40, 20))) as url:
        command = [sys.executable, "-m", "tests.support.mlperf_loadgen", url, "136", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        theirs = json.loads(done.stdout)
        samples: list[Sample] = []
        with HttpTransport(url, connections=scenario.connections, timeout_s=10) as transport, real_time_priority():
            generator.drive(scenario, transport, [REQUEST], into=samples, still_alive=lambda: True)
        ours = statistics.summarise([sample.latency_ms for sample in samples])
    for name, percentile in (("p50", "50"), ("p90", "90"), ("p95", "95")):
        assert getattr(ours, name) == pytest.approx(theirs[percentile], rel=0.05), name
