"""What a large request body costs in edgesim's server, beside uvicorn: see docs/decisions/own-http-connection.md.

edgesim does a whole inference: it parses the request, runs a model that reads the shape of its input alone, and encodes
the answer. uvicorn's application only joins the body and answers with four bytes: the least that any server on uvicorn
does. The servers take turns, so that the machine's noise is in all of them.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from onnx import helper

from benchmarks.servers import (
    UVICORN,
    Server,
    connect,
    edgesim_server,
    free_ports,
    receive,
    receive_bytes,
    request,
    run_process,
    save,
    virtual_environment,
)

ROUNDS, REQUESTS, WARM_UP = 7, 400, 100
SHAPES = ([1], [1, 3, 224, 224], [1, 3, 640, 640])
APPLICATION = """
async def app(scope, receive, send):
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    b"".join(parts)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"done"})
"""


@contextmanager
def uvicorn(directory: Path, loop: str) -> Iterator[Server]:
    """Start uvicorn with httptools on an event loop: ``asyncio`` or ``uvloop``."""
    (port,) = free_ports(1)
    directory.mkdir()
    (directory / "application.py").write_text(APPLICATION)
    command: list[str | Path] = [virtual_environment(*UVICORN) / "bin" / "python", "-m", "uvicorn"]
    command += ["application:app", "--app-dir", directory, "--port", str(port), "--http", "httptools", "--loop", loop]
    command += ["--log-level", "warning", "--lifespan", "off"]
    with run_process(command, log=directory / "log", environment={}) as process:
        server = Server(f"uvicorn, {loop}", port, "noop", process, binary=True)
        for _ in range(600):
            try:
                connect(server).close()
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise RuntimeError((directory / "log").read_text())
        yield server


def measure(server: Server, sent: bytes) -> tuple[float, float]:
    """Return the median time and the CPU time of the server, each for one request, in microseconds."""
    times = []
    with connect(server) as connection:
        connection.sendall(sent)
        length = receive(connection)
        for i in range(WARM_UP + REQUESTS):
            if i == WARM_UP:
                cpu_before = server.cpu_seconds()
            begun = time.perf_counter()
            connection.sendall(sent)
            receive_bytes(connection, length)
            times.append(time.perf_counter() - begun)
        cpu_us = (server.cpu_seconds() - cpu_before) / REQUESTS * 1e6
    return statistics.median(times[WARM_UP:]) * 1e6, cpu_us


def compare(shape: list[int]) -> None:
    """Print a row for each server; the ratios to edgesim are medians over the rounds, with their range."""
    with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as scratch, ExitStack() as stack:
        nodes = [helper.make_node("Shape", ["x"], ["shape"]), helper.make_node("Cast", ["shape"], ["y"], to=1)]
        save(Path(scratch) / "models" / "noop" / "1" / "model.onnx", nodes, (list(shape), [len(shape)]))
        compared = [stack.enter_context(edgesim_server(Path(scratch) / "models", "noop"))]
        compared += [stack.enter_context(uvicorn(Path(scratch) / loop, loop)) for loop in ("asyncio", "uvloop")]
        sent = request(compared[0], shape)
        rounds = [[measure(server, sent) for server in compared] for _ in range(ROUNDS)]
    for i, server in enumerate(compared):
        p50, cpu = (statistics.median(figures[i][kind] for figures in rounds) for kind in (0, 1))
        ratios = sorted(figures[i][0] / figures[0][0] for figures in rounds)
        ratio = f"{statistics.median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})" if i else "1"
        print(f"| {len(sent) / 1e3:,.1f} kB | {server.name} | {p50:,.0f} | {cpu:,.0f} | {ratio} |")


def main() -> None:
    print(f"| request | server | p50, us | CPU, us | p50 : edgesim's, {ROUNDS} rounds |")
    print("|---:|---|---:|---:|---|")
    for shape in SHAPES:
        compare(list(shape))


if __name__ == "__main__":
    main()
