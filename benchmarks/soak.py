"""A server that goes on for hours: ``python -m benchmarks.soak [MINUTES]``, two hours by default.

Four clients at once: one infers, one loads and unloads models, one sends what is no request, one is slow and goes away
in the middle. Memory, open files and threads of the server are read every two seconds, and have to stay as they are.
"""

import contextlib
import http.client
import json
import random
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil
from scipy import stats

from edgesim.boards.serving import board
from edgesim.models import samples

PLOT = Path(__file__).parents[1] / "docs" / "evidence" / "soak.svg"
_MINUTES = 120.0
_EVERY_S = 2.0
# The first quarter fills caches: of the allocator, of connections, of compiled code.
_SETTLED = 0.25
_BODY = json.dumps({"inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 8, 8], "data": [0.0] * 64}]}).encode()


@dataclass
class Readings:
    """What the server had at each moment: seconds since the start, bytes, and counts."""

    seconds: list[float] = field(default_factory=list)
    memory_bytes: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def take(self, process: psutil.Process, since_s: float) -> None:
        """Read the process once; its memory is what would be freed if it ended (USS)."""
        self.seconds.append(time.monotonic() - since_s)
        self.memory_bytes.append(process.memory_full_info().uss)
        self.files.append(process.num_fds())
        self.threads.append(process.num_threads())


def infer(address: tuple[str, int], moments: random.Random) -> str:
    """Send requests on one connection; return how they were answered."""
    connection = http.client.HTTPConnection(*address, timeout=60)
    with contextlib.closing(connection):
        for _ in range(moments.randint(1, 50)):
            connection.request("POST", "/v2/models/digits/infer", _BODY)
            answer = connection.getresponse()
            answer.read()
    return f"inference: HTTP {answer.status}"


def reload(address: tuple[str, int], moments: random.Random) -> str:
    """Unload and load the second model."""
    what = moments.choice(("load", "unload", "load", "index"))
    path = "/v2/repository/index" if what == "index" else f"/v2/repository/models/second/{what}"
    connection = http.client.HTTPConnection(*address, timeout=60)
    with contextlib.closing(connection):
        connection.request("POST", path, b"{}")
        answer = connection.getresponse()
        answer.read()
    time.sleep(moments.uniform(0, 0.5))
    return f"{what}: HTTP {answer.status}"


def send_nonsense(address: tuple[str, int], moments: random.Random) -> str:
    """Send what is no request: bytes at random, no JSON, a wrong shape, a model that does not exist."""
    raw = moments.randbytes(moments.randint(1, 4000))
    wrong = _BODY.replace(b"[1, 8, 8]", b"[1, 8, 9]")
    body = moments.choice((raw, wrong, b"{", b"[]", b'{"inputs": []}'))
    path = moments.choice(("/v2/models/digits/infer", "/v2/models/none/infer", "/" + "x" * moments.randint(1, 9000)))
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(moments.choice((head + body, raw)))
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(12)
        while connection.recv(65536):
            pass
    time.sleep(moments.uniform(0, 0.05))
    return f"nonsense: HTTP {answer[9:12].decode(errors='replace') or 'closed'}"


def dawdle(address: tuple[str, int], moments: random.Random) -> str:
    """Send a request byte by byte, and go away at a moment, or read the answer slowly."""
    head = f"POST /v2/models/digits/infer HTTP/1.1\r\nHost: x\r\nContent-Length: {len(_BODY)}\r\n\r\n".encode() + _BODY
    with socket.create_connection(address, timeout=60) as connection:
        for i in range(0, moments.randint(1, len(head)), 40):
            connection.sendall(head[i : i + 40])
            time.sleep(moments.uniform(0, 0.1))
    return "slow: went away"


CLIENTS: tuple[Callable[[tuple[str, int], random.Random], str], ...] = (infer, reload, send_nonsense, dawdle)


def run(minutes: float) -> tuple[Readings, Counter[str]]:
    """Serve for `minutes` under the clients; return the readings, and what was answered how often."""
    readings, answers, over = Readings(), Counter[str](), threading.Event()
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        models = Path(scratch) / "models"
        for name in ("digits", "second"):
            shutil.copytree(samples.ensure("digits") / "digits", models / name)
        with board("jetson-nano", models=models, engine="local") as started:
            url = urlsplit(started.url)
            address = (str(url.hostname), int(url.port or 80))
            process = _process_of(address[1])
            threads = [
                threading.Thread(target=_repeat, args=(client, address, number, answers, over), daemon=True)
                for number, client in enumerate(CLIENTS)
            ]
            for thread in threads:
                thread.start()
            begin_s = time.monotonic()
            while time.monotonic() - begin_s < 60 * minutes:
                readings.take(process, begin_s)
                time.sleep(_EVERY_S)
            over.set()
            for thread in threads:
                thread.join(timeout=120)
    return readings, answers


def _repeat(
    client: Callable[[tuple[str, int], random.Random], str],
    address: tuple[str, int],
    seed: int,
    answers: "Counter[str]",
    over: threading.Event,
) -> None:
    moments = random.Random(seed)  # noqa: S311 (moments, and no secrets)
    while not over.is_set():
        try:
            answers[client(address, moments)] += 1
        except OSError as error:
            answers[f"{client.__name__}: {type(error).__name__}"] += 1


def _process_of(port: int) -> psutil.Process:
    """Return this program's child that listens on `port`."""
    for child in psutil.Process().children(recursive=True):
        if any(each.laddr.port == port for each in child.net_connections() if each.status == psutil.CONN_LISTEN):
            return child
    raise RuntimeError(f"no child process listens on port {port}")


def table(readings: Readings, answers: "Counter[str]", minutes: float) -> Iterator[str]:
    """Yield the report, line by line."""
    begin = int(len(readings.seconds) * _SETTLED)
    hours = np.array(readings.seconds[begin:]) / 3600
    yield f"### {minutes:g} minutes, {len(CLIENTS)} clients, {sum(answers.values())} exchanges"
    yield ""
    yield "| of the server | at the beginning | at the end | slope an hour, 95 % confidence |"
    yield "|---|---|---|---|"
    for name, values, unit, digits in (
        ("memory of its own, MiB", readings.memory_bytes, 1 << 20, 1),
        ("open files", readings.files, 1, 0),
        ("threads", readings.threads, 1, 0),
    ):
        scaled = np.array(values[begin:]) / unit
        slope, _, low, high = stats.theilslopes(scaled, hours)
        tenth = max(1, len(scaled) // 10)
        first, last = np.median(scaled[:tenth]), np.median(scaled[-tenth:])
        yield f"| {name} | {first:.{digits}f} | {last:.{digits}f} | {slope:+.2f} ({low:+.2f} to {high:+.2f}) |"
    yield ""
    yield f"The first {_SETTLED:.0%} of the time is left out: it fills caches. Answers:"
    yield ""
    yield "| exchange | times |"
    yield "|---|---|"
    for answer, times in sorted(answers.items()):
        yield f"| {answer} | {times} |"


def draw(readings: Readings) -> None:
    """Draw memory, open files and threads over time."""
    import matplotlib as mpl
    from matplotlib import pyplot

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "edgesim"
    minutes = np.array(readings.seconds) / 60
    figure, axes = pyplot.subplots(3, 1, sharex=True, figsize=(8, 6), layout="constrained")
    for axis, values, name in zip(
        axes,
        (np.array(readings.memory_bytes) / (1 << 20), readings.files, readings.threads),
        ("memory, MiB", "open files", "threads"),
        strict=True,
    ):
        axis.plot(minutes, values, linewidth=0.8)
        axis.set_ylabel(name)
        axis.set_ylim(bottom=0)
    axes[-1].set_xlabel("minutes")
    figure.savefig(PLOT, metadata={"Date": None})


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else _MINUTES
    readings, answers = run(minutes)
    draw(readings)
    print("\n".join(table(readings, answers, minutes)))


if __name__ == "__main__":
    main()
