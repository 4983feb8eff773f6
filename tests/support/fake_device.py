"""A device without a server, for tests of code that waits for devices and reads them."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from edgesim.engine.container import OutsideFacts, State
from edgesim.recording import Reading


class FakeDevice:
    """A device that runs until `die` is called; its resources grow with every reading."""

    def __init__(self, url: str = "http://127.0.0.1:1", log: str = "model 'fake' loaded") -> None:
        self.start_s: float | None = None
        self._url = url
        self._log = log
        self._state = State(running=True)
        self._readings = itertools.count(1)

    @property
    def url(self) -> str:
        return self._url

    @property
    def grpc_address(self) -> str | None:
        return None

    @property
    def direct_grpc_address(self) -> str | None:
        return None

    @property
    def direct_url(self) -> str:
        return self._url

    @property
    def source(self) -> str:
        return "fake"

    @property
    def reading_interval_s(self) -> float:
        return 0.1

    def state(self) -> State:
        return self._state

    def paused_s(self) -> float:
        return 0.0

    def from_outside(self) -> OutsideFacts:
        return OutsideFacts()

    def log(self, lines: int = 20) -> str:
        return "\n".join(self._log.splitlines()[-lines:])

    def read(self) -> Reading:
        n = next(self._readings)
        return Reading(n * 10**8, cpu_seconds=n / 10, memory_bytes=n, memory_peak_bytes=n, memory_peak_source="fake")

    def is_busy(self) -> bool | None:
        return False

    def die(self, exit_code: int = 1, *, log: str = "", out_of_memory: bool = False) -> None:
        self._state = State(running=False, exit_code=exit_code, out_of_memory=out_of_memory)
        self._log = log or self._log


class _Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running_fake() -> Iterator[FakeDevice]:
    """Yield a fake device whose URL answers that the server is ready."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Ready) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield FakeDevice(f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
