"""What a request costs over gRPC, beside HTTP, in one server that answers both; what gRPC adds to the server's start,
and what it costs edgesim's load generator.

The model does nothing. Each client keeps its connection and sends prepared bytes, one request at a time: for HTTP a
bare socket, for gRPC grpcio's channel without messages, which is the leanest client that most programs of gRPC have. So
the p50 of gRPC has its client, too; the CPU time is the server's alone. The transports take turns.
"""

import argparse
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import grpc
import numpy as np
import psutil
from onnx import helper

from benchmarks.servers import Server, connect, receive, receive_bytes, request, run_process, save
from edgesim.loadgen import generator
from edgesim.loadgen.endpoint import Endpoint
from edgesim.loadgen.scenario import closed_loop
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.recording import Sample
from edgesim.server.rpc.messages import SERVICE, TYPES

ROUNDS, REQUESTS, WARM_UP, STARTS = 7, 1500, 300, 5
SHAPES = ([1], [1, 3, 224, 224])


def measure(ask: Callable[[], object], process: psutil.Process, requests: int) -> tuple[float, float]:
    """Return the median time, and the CPU time of the server, each for one request, in microseconds."""
    times = []
    for i in range(WARM_UP + requests):
        if i == WARM_UP:
            cpu_before = sum(process.cpu_times()[:2])
        begun = time.perf_counter()
        ask()
        times.append(time.perf_counter() - begun)
    cpu_us = (sum(process.cpu_times()[:2]) - cpu_before) / requests * 1e6
    return statistics.median(times[WARM_UP:]) * 1e6, cpu_us


def over_grpc(channel: grpc.Channel, shape: list[int]) -> Callable[[], object]:
    """Return a function that sends a request of zeros of a shape."""
    message = TYPES["ModelInferRequest"](model_name="noop", raw_input_contents=[np.zeros(shape, np.float32).tobytes()])
    message.inputs.add(name="x", datatype="FP32", shape=shape)
    call, data = channel.unary_unary(f"/{SERVICE}/ModelInfer"), message.SerializeToString()
    return lambda: call(data)


def start(models: Path, *options: str) -> float:
    """Return the seconds from a process's start until its server listens."""
    log, begun = models.parent / "start.log", time.perf_counter()
    command: list[str | Path] = [sys.executable, "-m", "edgesim.server", "--models", models, "--port", "0", *options]
    with run_process(command, log=log, environment={"OPENBLAS_NUM_THREADS": "1"}):
        while "listening on port" not in log.read_text():
            time.sleep(0.005)
        return time.perf_counter() - begun


def compare(shape: list[int], requests: int) -> str:
    """Print a row for each transport; the ratio to HTTP is the median over the rounds, with its range.

    Returns what the transports cost the load generator, in words.
    """
    with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as scratch, ExitStack() as stack:
        models, log = Path(scratch) / "models", Path(scratch) / "log"
        nodes = [helper.make_node("Shape", ["x"], ["shape"]), helper.make_node("Cast", ["shape"], ["y"], to=1)]
        save(models / "noop" / "1" / "model.onnx", nodes, (list(shape), [len(shape)]))
        command: list[str | Path] = [sys.executable, "-m", "edgesim.server", "--models", models, "--port", "0"]
        command += ["--grpc-port", "0"]
        process = stack.enter_context(run_process(command, log=log, environment={"OPENBLAS_NUM_THREADS": "1"}))
        while (port := re.search(r"listening on port (\d+)", log.read_text())) is None:
            time.sleep(0.05)
        calls = re.search(r"answering gRPC on port (\d+)", log.read_text())
        assert calls is not None, log.read_text()
        server = Server("edgesim", int(port[1]), "noop", process, binary=True)
        sent, connection = request(server, shape), stack.enter_context(connect(server))
        connection.sendall(sent)
        length = receive(connection)

        def over_http() -> None:
            connection.sendall(sent)
            receive_bytes(connection, length)

        endpoint = Endpoint(url=f"http://127.0.0.1:{port[1]}", grpc_address=f"127.0.0.1:{calls[1]}")
        generators = compare_generators(endpoint, repository.find("noop", models), shape, requests)
        channel = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{calls[1]}"))
        asks = {"HTTP": over_http, "gRPC": over_grpc(channel, shape)}
        rounds = [[measure(ask, process, requests) for ask in asks.values()] for _ in range(ROUNDS)]
    for i, name in enumerate(asks):
        p50, cpu = (statistics.median(figures[i][kind] for figures in rounds) for kind in (0, 1))
        ratios = [sorted(figures[i][kind] / figures[0][kind] for figures in rounds) for kind in (0, 1)]
        words = [in_words(r) if i else "1" for r in ratios]
        print(f"| {len(sent) / 1e3:,.1f} kB | {name} | {p50:,.0f} | {cpu:,.0f} | {words[0]} | {words[1]} |")
    return f"{len(sent) / 1e3:,.1f} kB: {generators}"


def compare_generators(endpoint: Endpoint, model: Model, shape: list[int], requests: int) -> str:
    """Return the CPU time of the load generator for a request over gRPC beside HTTP's, in words: a closed loop each."""
    rounds = []
    for _ in range(ROUNDS):
        costs = []
        for place in (Endpoint(url=endpoint.url), endpoint):
            with closing(place.peer(model, timeout_s=30)) as peer:
                request = peer.on_the_wire(peer.encode({"x": np.zeros(shape, np.float32)}))
            with place.transport(connections=1, timeout_s=30, keeps_answers=False) as transport:
                samples = list[Sample]()
                before_s = time.process_time()
                generator.drive(closed_loop(requests), transport, [request], into=samples, still_alive=lambda: True)
                costs.append((time.process_time() - before_s) / len(samples) * 1e6)
        rounds.append(costs)
    http, over_grpc = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratios = sorted(second / first for first, second in rounds)
    return f"{http:,.0f} us over HTTP, {over_grpc:,.0f} us over gRPC, {in_words(ratios)} times"


def in_words(ratios: Sequence[float]) -> str:
    """Return the median of sorted ratios, with their range."""
    return f"{statistics.median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS, metavar="N", help="of a transport in a round")
    requests = parser.parse_args().requests
    print(f"| request | transport | p50, us | CPU, us | p50 : HTTP's, {ROUNDS} rounds | CPU : HTTP's |")
    print("|---:|---|---:|---:|---|---|")
    generators = [compare(list(shape), requests) for shape in SHAPES]
    print()
    print(f"CPU time of edgesim's load generator for a request, median of {ROUNDS} rounds: {'; '.join(generators)}.")
    with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as scratch:
        models = Path(scratch) / "models"
        save(models / "noop" / "1" / "model.onnx", [helper.make_node("Identity", ["x"], ["y"])], ([1], [1]))
        pairs = [(start(models), start(models, "--grpc-port", "0")) for _ in range(STARTS)]
    without, beside = (statistics.median(column) for column in zip(*pairs, strict=True))
    added = sorted(both - alone for alone, both in pairs)
    print()
    print(
        f"Start to ready as a plain process, median of {STARTS} in turns: {without:.2f} s over HTTP alone, "
        f"{beside:.2f} s with gRPC; gRPC adds {statistics.median(added):.2f} s ({added[0]:.2f} to {added[-1]:.2f})."
    )


if __name__ == "__main__":
    main()
