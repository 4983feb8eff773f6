"""The server's connections: a stalled one is ended, with an answer that says why if the client can still read it."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from edgesim.server.http_connection import ClientLimits, Connection, Server
from edgesim.server.http_messages import Request, Response

LARGE = 64 << 20
QUICK = ClientLimits(body_bytes=1 << 20, connections=2, idle_s=0.5, head_s=0.5, body_s=0.5, answer_s=0.5)


async def answer(request: Request) -> Response:
    match request.path:
        case "/large":
            return Response((memoryview(bytes(LARGE)),), media_type="application/octet-stream")
        case "/fault":
            raise RuntimeError("unexpected")
        case "/waits":
            await asyncio.sleep(0.05)
            return Response((b"later",))
        case "/fails-later":
            try:
                await asyncio.wait_for(asyncio.get_running_loop().create_future(), 0.02)
            except TimeoutError:
                await asyncio.sleep(0.02)
            return Response((b"after all",))
    return Response((bytes(request.body),))


@contextmanager
def serving(limits: ClientLimits) -> Iterator[int]:
    ready, ports = threading.Event(), []
    loop = asyncio.new_event_loop()

    async def main() -> None:
        server = Server(answer, limits)
        accepting = await loop.create_server(lambda: Connection(server), "127.0.0.1", 0)
        ports.append(accepting.sockets[0].getsockname()[1])
        sweeping = loop.create_task(server.sweep())
        ready.set()
        try:
            await asyncio.Event().wait()
        finally:
            sweeping.cancel()
            accepting.close()

    def run() -> None:
        asyncio.set_event_loop(loop)
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(tasks[0])

    tasks = [loop.create_task(main())]
    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(10)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(tasks[0].cancel)
        thread.join(10)
        loop.close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving(QUICK) as number:
        yield number


def exchange(port: int, sent: bytes) -> bytes:
    """Send, and return everything that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(sent)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    return received


def test_head_that_is_never_complete_ends_with_its_reason(port: int) -> None:
    assert b"408" in exchange(port, b"GET / HT")
    assert b"the request's head was not complete within 0.5 s" in exchange(port, b"GET / HTTP/1.1\r\nX")


def test_body_that_stalls_ends_with_its_reason(port: int) -> None:
    stalled = exchange(port, b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc")
    assert b" 408 " in stalled
    assert b"nothing of the body came for 0.5 s" in stalled


def test_idle_connection_is_closed(port: int) -> None:
    assert exchange(port, b"") == b""


def test_response_that_the_client_does_not_read_is_aborted(port: int) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", port))
        connection.sendall(b"GET /large HTTP/1.1\r\n\r\n")
        connection.settimeout(20)
        threading.Event().wait(3)
        received = 0
        try:
            while piece := connection.recv(1 << 20):
                received += len(piece)
        except ConnectionResetError:
            pass
    assert received < LARGE


def test_connection_above_the_limit_is_refused_with_the_reason(port: int) -> None:
    with (
        socket.create_connection(("127.0.0.1", port)),
        socket.create_connection(("127.0.0.1", port)),
    ):
        threading.Event().wait(0.1)
        assert b"more than 2 connections" in exchange(port, b"")


def test_data_after_a_refusal_is_read_for_a_short_time_only(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n")
        with pytest.raises(OSError, match=r"reset|[Bb]roken pipe"):
            for _ in range(100):
                connection.sendall(b"x")
                threading.Event().wait(0.1)


def test_exception_in_the_handler_is_one_500_and_the_server_goes_on(
    port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    answered = exchange(port, b"GET /fault HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert b" 500 " in answered
    assert b"internal error: RuntimeError: unexpected" in answered
    assert "RuntimeError: unexpected" in capfd.readouterr().err
    assert exchange(port, b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi").endswith(b"hi")


@pytest.mark.parametrize(("path", "body"), [("/waits", b"later"), ("/fails-later", b"after all")])
def test_handler_that_waits_is_answered_later(port: int, path: str, body: bytes) -> None:
    answered = exchange(port, f"GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
    assert answered.endswith(body)


def test_client_that_shuts_down_its_sending_side_gets_its_answer(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"GET /waits HTTP/1.1\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    assert received.endswith(b"later")
