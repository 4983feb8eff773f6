"""MLPerf LoadGen against a server.

``python -m tests.support.mlperf_loadgen URL REQUESTS [QPS]`` prints percentiles in ms, as JSON.

Without QPS it is LoadGen's SingleStream, with it its Server scenario. LoadGen's own summary has the percentiles.
"""

import json
import os
import re
import socket
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit

import mlperf_loadgen as lg

from benchmarks.servers import receive

REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
CONNECTIONS = 32


def percentiles_ms(url: str, requests: int, qps: float | None = None, request: bytes = REQUEST) -> dict[str, float]:
    """LoadGen's latency percentiles over so many requests."""
    address = urlsplit(url)
    connections: SimpleQueue[socket.socket] = SimpleQueue()
    for _ in range(CONNECTIONS if qps else 1):
        connection = socket.create_connection((address.hostname, address.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connections.put(connection)

    def answer(sample: Any) -> None:
        connection = connections.get()
        connection.sendall(request)
        receive(connection)
        connections.put(connection)
        lg.QuerySamplesComplete([lg.QuerySampleResponse(sample.id, 0, 0)])

    with ThreadPoolExecutor(CONNECTIONS) as pool, tempfile.TemporaryDirectory() as logs:

        def issue(samples: list[Any]) -> None:
            for sample in samples:
                if qps:
                    pool.submit(answer, sample)
                else:
                    answer(sample)

        sut = lg.ConstructSUT(issue, lambda: None)
        library = lg.ConstructQSL(1, 1, lambda _: None, lambda _: None)
        outputs, log = lg.LogOutputSettings(), lg.LogSettings()
        outputs.outdir = logs
        log.log_output = outputs
        lg.StartTestWithLogSettings(sut, library, _settings(requests, qps), log, "none")
        lg.DestroyQSL(library)
        lg.DestroySUT(sut)
        summary = (Path(logs) / "mlperf_log_summary.txt").read_text()
    found = re.findall(r"^([\d.]+) percentile latency \(ns\) *: *(\d+)", summary, re.MULTILINE)
    return {f"{float(percentile):g}": int(value) / 1e6 for percentile, value in found}


def _settings(requests: int, qps: float | None) -> Any:
    settings = lg.TestSettings()
    settings.scenario = lg.TestScenario.Server if qps else lg.TestScenario.SingleStream
    settings.mode = lg.TestMode.PerformanceOnly
    settings.min_duration_ms = 0
    settings.min_query_count = settings.max_query_count = requests
    if qps:
        settings.server_target_qps = qps
    return settings


if __name__ == "__main__":
    # LoadGen prints as it likes.
    output = os.dup(1)
    os.dup2(2, 1)
    result = percentiles_ms(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else None)
    os.write(output, json.dumps(result).encode() + b"\n")
