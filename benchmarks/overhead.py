"""What a request costs in the server, beside what the model costs, and beside another server on the same machine.

The model does nothing, the connection is kept, and one client sends prepared bytes. The servers take turns, so that
the machine's noise is in both.
"""

import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import helper

from benchmarks.servers import Server, connect, edgesim_server, mlserver, receive, receive_bytes, request, save
from edgesim.models import repository, samples

ROUNDS, REQUESTS, WARM_UP = 7, 1500, 500


def in_process_us(path: Path, array: np.ndarray, runs: int) -> float:
    """Return the median time of `session.run` with one thread, in microseconds."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name, times = session.get_inputs()[0].name, []
    for _ in range(runs):
        begun = time.perf_counter()
        session.run(None, {name: array})
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1e6


def measure(server: Server) -> tuple[float, float]:
    """Return the median time and the CPU time of the server, each for one request, in microseconds."""
    sent, times = request(server, [1]), []
    with connect(server) as connection:
        connection.sendall(sent)
        length = receive(connection)
        for i in range(WARM_UP + REQUESTS):
            if i == WARM_UP:
                cpu_before = server.cpu_seconds()
            begun = time.perf_counter()
            connection.sendall(sent)
            answer = receive_bytes(connection, length)
            times.append(time.perf_counter() - begun)
            if not answer.startswith(b"HTTP/1.1 200 "):
                raise RuntimeError(answer.decode())
        cpu_us = (server.cpu_seconds() - cpu_before) / REQUESTS * 1e6
    return statistics.median(times[WARM_UP:]) * 1e6, cpu_us


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as scratch, ExitStack() as stack:
        models = Path(scratch) / "models"
        noop = save(models / "noop" / "1" / "model.onnx", [helper.make_node("Identity", ["x"], ["y"])], ([1], [1]))
        servers = [
            stack.enter_context(edgesim_server(models, "noop")),
            stack.enter_context(mlserver(Path(scratch) / "mlserver", noop, "noop")),
        ]
        rounds = [[measure(server) for server in servers] for _ in range(ROUNDS)]
        mobilenet = repository.find("mobilenet_v2", samples.ensure("mobilenet_v2"))
        mobilenet_us = in_process_us(mobilenet.path, np.zeros((1, 3, 224, 224), np.float32), 50)
        noop_us = in_process_us(noop, np.zeros(1, np.float32), 5000)
    print(f"{'':<34}{'p50 us':>9}{'CPU us':>9}   median of {ROUNDS} rounds of {REQUESTS} requests")
    medians = [[statistics.median(column) for column in zip(*runs, strict=True)] for runs in zip(*rounds, strict=True)]
    for server, (p50, cpu) in zip(servers, medians, strict=True):
        form = "binary" if server.binary else "JSON"
        print(f"{f'{server.name}, no-op over HTTP ({form})':<34}{p50:>9.0f}{cpu:>9.0f}")
    ratios = [mlserver_p50 / edgesim_p50 for (edgesim_p50, _), (mlserver_p50, _) in rounds]
    print(f"{'MLServer : edgesim':<34}{statistics.median(ratios):>9.1f}   {min(ratios):.1f} to {max(ratios):.1f}")
    print(f"{'no-op in process':<34}{noop_us:>9.1f}")
    print(f"{'mobilenet_v2 in process, 1 thread':<34}{mobilenet_us:>9.0f}")
    print(f"{'edgesim no-op : mobilenet_v2':<34}{medians[0][0] / mobilenet_us:>9.3f}")


if __name__ == "__main__":
    main()
