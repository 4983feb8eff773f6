"""What the load generator adds: its largest rate, its CPU time, and its figures beside those of two other clients.

The clients take turns at one server: edgesim's, perf_analyzer (in a container on this host's network) and
tritonclient. The models are one that does nothing, so that only the clients differ, and mobilenet_v2.
"""

import math
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.http
from onnx import helper

from benchmarks.servers import Server, edgesim_server, save
from edgesim.host.priority import real_time_priority
from edgesim.loadgen import client, generator
from edgesim.loadgen.peak_search import PeakSearch
from edgesim.loadgen.scenario import Scenario, StopRule
from edgesim.loadgen.transport import HttpTransport
from edgesim.measure.statistics import percentile
from edgesim.models import repository, samples
from edgesim.models.repository import Model
from edgesim.recording import Sample
from tests.conformance import perf_analyzer

ROUNDS = 5
REQUESTS = {"noop": 3000, "mobilenet_v2": 200}
SHAPES = {"noop": (1,), "mobilenet_v2": (1, 3, 224, 224)}
MOST_LAG_MS = 1.0


class Edgesim:
    """edgesim's load generator."""

    name = "edgesim"

    def __init__(self, server: Server, model: Model) -> None:
        self._url = f"http://127.0.0.1:{server.port}"
        peer = client.Client(self._url, model, timeout_s=10)
        self._request = peer.on_the_wire(peer.encode(inputs(model)))
        peer.close()

    def p50_us(self, requests: int) -> float:
        scenario = Scenario(name="single-stream", stop=StopRule(requests=requests))
        return median_us([sample.latency_ms * 1000 for sample in self.drive(scenario)[0]])

    def drive(self, scenario: Scenario) -> tuple[list[Sample], float]:
        """Return the samples, and the CPU time of this thread for one of them, in microseconds."""
        into: list[Sample] = []
        with (
            HttpTransport(self._url, connections=scenario.connections, timeout_s=10) as transport,
            real_time_priority(),
        ):
            begun = time.thread_time()
            generator.drive(scenario, transport, [self._request], into=into, still_alive=lambda: True)
            cpu_us = (time.thread_time() - begun) / len(into) * 1e6
        if not all(sample.ok for sample in into):
            raise RuntimeError(next(sample.outcome for sample in into if not sample.ok))
        return into, cpu_us


class Tritonclient:
    """NVIDIA's client library for Python."""

    name = "tritonclient"

    def __init__(self, server: Server, model: Model) -> None:
        self._model = model.name
        self._client = tritonclient.http.InferenceServerClient(f"127.0.0.1:{server.port}")
        self._inputs = []
        for name, values in inputs(model).items():
            self._inputs.append(tritonclient.http.InferInput(name, list(values.shape), "FP32"))
            self._inputs[-1].set_data_from_numpy(values)

    def p50_us(self, requests: int) -> float:
        times = []
        for _ in range(requests):
            begun = time.perf_counter()
            self._client.infer(self._model, self._inputs)
            times.append((time.perf_counter() - begun) * 1e6)
        return median_us(times)


class PerfAnalyzer:
    """NVIDIA's load generator, in C++."""

    name = "perf_analyzer"

    def __init__(self, server: Server, model: Model) -> None:
        self._server, self._model = server, model

    def p50_us(self, requests: int) -> float:
        options = ["--measurement-request-count", str(requests), "--percentile", "50"]
        ((name, values),) = inputs(self._model).items()
        if -1 in self._model.inputs[0].shape:
            options += ["--shape", f"{name}:{','.join(map(str, values.shape))}"]
        report = perf_analyzer.run(_Address(f"127.0.0.1:{self._server.port}"), self._model.name, *options)
        if not report.rows:
            raise RuntimeError(report.text)
        return float(report.rows[0]["p50 latency"])


class _Address:
    """The part of a server that `perf_analyzer.run` uses."""

    def __init__(self, address: str) -> None:
        self.address = address


def inputs(model: Model) -> dict[str, Any]:
    """Return zeros for the one input of a model."""
    return {model.inputs[0].name: np.zeros(SHAPES[model.name], np.float32)}


def median_us(times: list[float]) -> float:
    """Return the median without the first tenth, which is the warm-up."""
    return statistics.median(times[len(times) // 10 :])


def compare(server: Server, model: Model) -> None:
    """Print the median latency with each client; the ratios are medians over the rounds, with their range."""
    requests = REQUESTS[model.name]
    clients = [kind(server, model) for kind in (Edgesim, PerfAnalyzer, Tritonclient)]
    rounds = [[peer.p50_us(requests) for peer in clients] for _ in range(ROUNDS)]
    print(f"\n{model.name}, one request after the other: median of {ROUNDS} rounds of {requests}")
    for i, peer in enumerate(clients):
        ratios = [row[0] / row[i] for row in rounds]
        p50 = statistics.median(row[i] for row in rounds)
        ratio = f"edgesim : it = {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})" if i else ""
        print(f"  {peer.name:<14} p50 {p50:>8.0f} us   {ratio}")


def largest_rate(server: Server, model: Model) -> None:
    """Print the highest rate of the server scenario that is sent with a p99 lag under 1 ms, and answered."""
    peer, search, cpu = Edgesim(server, model), PeakSearch(4000), {}
    levels = []
    while (qps := search.next_qps()) is not None:
        into, cpu[qps] = peer.drive(Scenario(name="server", qps=qps, stop=StopRule(duration_s=3)))
        lags = np.sort([(sample.sent_ns - sample.scheduled_ns) / 1e6 for sample in into])
        lag = percentile(lags, 99)
        search.report(qps, kept_limit=lag < MOST_LAG_MS)
        levels.append((qps, lag))
    best = search.peak_qps or math.nan
    print(f"\nlargest rate with a p99 lag under {MOST_LAG_MS:g} ms, no-op: {best:.0f} requests/s")
    print("  tried: " + ", ".join(f"{qps:.0f}/s {lag:.2f} ms" for qps, lag in sorted(levels)))
    print(f"  CPU time of the generator for a request: {cpu.get(best, math.nan):.0f} us at that rate")
    _, single = peer.drive(Scenario(name="single-stream", stop=StopRule(requests=5000)))
    _, eight = peer.drive(Scenario(name="single-stream", clients=8, stop=StopRule(requests=20000)))
    print(f"  {single:.0f} us with one client, {eight:.0f} us with eight")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as scratch:
        models = Path(scratch) / "models"
        save(models / "noop" / "1" / "model.onnx", [helper.make_node("Identity", ["x"], ["y"])], ([1], [1]))
        shutil.copytree(samples.ensure("mobilenet_v2") / "mobilenet_v2", models / "mobilenet_v2")
        with edgesim_server(models, "noop") as server:
            for name in ("noop", "mobilenet_v2"):
                compare(server, repository.find(name, models))
            largest_rate(server, repository.find("noop", models))


if __name__ == "__main__":
    main()
