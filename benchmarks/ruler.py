"""How exact edgesim's measurements are: servers of known latency, containers of known consumption, MLPerf LoadGen.

Each row prints the true figure beside the measured one.
"""

import json
import subprocess
import sys
import time

import numpy as np

from edgesim.engine.docker_engine import Engine
from edgesim.host.priority import real_time_priority
from edgesim.loadgen import generator
from edgesim.loadgen.scenario import Scenario, StopRule
from edgesim.loadgen.transport import HttpTransport
from edgesim.measure import statistics
from edgesim.recording import Sample
from tests.integration.ruler_image import FRAME, container, wait_for, work
from tests.support.mlperf_loadgen import REQUEST
from tests.support.scripted_server import Script, scripted

MIB = 1 << 20
LOADGEN_REQUESTS = 700


def measure(script: Script, scenario: Scenario, connections: int | None = None) -> list[Sample]:
    """Return the samples of a scenario at a server that answers as scripted."""
    with scripted(script) as url:
        return drive(url, scenario, connections)


def drive(url: str, scenario: Scenario, connections: int | None = None) -> list[Sample]:
    """Return the samples of a scenario at the server of a URL."""
    into: list[Sample] = []
    most = connections if connections is not None else scenario.connections
    with HttpTransport(url, connections=most, timeout_s=30) as transport, real_time_priority():
        generator.drive(scenario, transport, [REQUEST], into=into, still_alive=lambda: True)
    return into


def single_stream(requests: int) -> Scenario:
    return Scenario(name="single-stream", stop=StopRule(requests=requests))


def server(qps: float, seconds: float) -> Scenario:
    return Scenario(name="server", qps=qps, stop=StopRule(duration_s=seconds))


def latency(samples: list[Sample]) -> statistics.Summary:
    return statistics.summarise([sample.latency_ms for sample in samples])


def service(samples: list[Sample]) -> statistics.Summary:
    return statistics.summarise([sample.service_time_ms for sample in samples])


def row(quantity: str, truth: str, measured: str) -> None:
    print(f"{quantity:<52}{truth:<26}{measured}")


def delays() -> None:
    """Print latencies at servers that delay their answers, stall, or are overloaded."""
    fixed = latency(measure(Script(delays_ms=(20,)), single_stream(700)))
    row("every answer after 20 ms: p50, p99", "20, 20 ms", f"{fixed.p50:.2f}, {fixed.p99:.2f} ms")
    modes = measure(Script(delays_ms=(50, 10, 10, 10, 10)), single_stream(700))
    slow = sum(sample.latency_ms > 30 for sample in modes) / len(modes)
    two = latency(modes)
    row(
        "a fifth after 50 ms, else 10 ms: p50, p90, share",
        "10, 50 ms, 20 %",
        f"{two.p50:.2f}, {two.p90:.2f} ms, {slow:.0%}",
    )
    stalled = measure(Script(stall=(500, 500)), server(100, 10), connections=1)
    row("half a second's stall at 100/s for 10 s: p99", "400 ms, 10th of 50", f"{latency(stalled).p99:.0f} ms")
    row("  the same from the time of sending", "hidden", f"{service(stalled).p99:.1f} ms")
    full = sorted(measure(Script(delays_ms=(20,), one_at_a_time=True), server(100, 10), connections=1))
    begin, end = full[:100], full[-100:]
    row(
        "100/s at a server of 50/s: latency, first and last",
        "grows",
        f"{latency(begin).p50:.0f}, {latency(end).p50:.0f} ms",
    )
    row("  service time, first and last", "20, 20 ms", f"{service(begin).p50:.1f}, {service(end).p50:.1f} ms")


def resources() -> None:
    """Print the error of the CPU time and the memory of containers that use a known amount."""
    burn = "begun = time.process_time()\nwhile time.process_time() - begun < 5: pass"
    for quantity, script, name, truth in (
        ("a container burns 5 s of CPU time", burn, "cpu_seconds", 5.0),
        ("a container takes 200 MiB", f"taken = b'x' * {200 * MIB}", "memory_anon_bytes", 200.0 * MIB),
    ):
        started = container(FRAME.format(work=script))
        with Engine().start(started) as device:
            wait_for(device, "waiting")
            time.sleep(0.2)
            before = getattr(device.read(), name)
            work(started, device)
            used = getattr(device.read(), name) - before
        row(quantity, "error under 2 %", f"{100 * (used / truth - 1):+.2f} %")


def loadgen() -> None:
    """Print the percentiles of MLPerf LoadGen and of edgesim at the same server."""
    pattern = (20, 20, 20, 60, 20, 20, 40, 20)
    for qps in (None, 40.0):
        scenario = Scenario(
            name="server" if qps else "single-stream", qps=qps, stop=StopRule(requests=LOADGEN_REQUESTS)
        )
        with scripted(Script(delays_ms=pattern)) as url:
            command = [
                sys.executable,
                "-m",
                "tests.support.mlperf_loadgen",
                url,
                str(LOADGEN_REQUESTS),
                *([str(qps)] if qps else []),
            ]
            of_loadgen = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            of_edgesim = latency(drive(url, scenario))
        for name, percentile in (("p50", "50"), ("p90", "90"), ("p99", "99")):
            ms, loadgen_ms = getattr(of_edgesim, name), of_loadgen[percentile]
            measured = f"{loadgen_ms:.2f} and {ms:.2f} ms, {100 * (ms / loadgen_ms - 1):+.1f} %"
            row(f"LoadGen and edgesim, {scenario.name}: {name}", "within 5 %", measured)


def intervals() -> None:
    """Print how often the 95 % intervals contain the true percentile of a lognormal distribution."""
    random, covered = np.random.default_rng(0), dict.fromkeys((50, 90, 99), 0)
    for _ in range(2000):
        ordered = np.sort(random.lognormal(size=700))
        for percentile in covered:
            low, high = statistics.interval(ordered, percentile) or (np.inf, -np.inf)
            truth = {50: 1.0, 90: 3.6022, 99: 10.2405}[percentile]
            covered[percentile] += low <= truth <= high
    shares = ", ".join(f"{count / 2000:.1%}" for count in covered.values())
    row("intervals that cover the true p50, p90, p99", "95 % or more", shares)


def main() -> None:
    row("what is measured", "truth", "measured")
    delays()
    resources()
    loadgen()
    intervals()


if __name__ == "__main__":
    main()
