"""HTTP/1.1 connections for tensors: a body is received into the memory where it is read.

Python's HTTP servers pass on a body that was copied two to four times (uvicorn 0.54: the parser's slice, its bytearray,
`bytes()`, and the join), which for tensors is most of a server's work. Here the kernel writes the body into the memory
that ONNX Runtime reads. What a connection may hold and how long it may stall is bounded.
docs/decisions/own-http-connection.md has the reasons and the alternatives.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import traceback
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, NamedTuple

import httptools
import numpy as np

from .http_messages import (
    HEAD_LIMIT_BYTES,
    HttpError,
    Request,
    RequestHead,
    Response,
    error_response,
    read_request_head,
    response_head,
)

_SCRATCH_BYTES = 64 << 10
_SLICE_BYTES = 256 << 10  # of a response, passed to the socket at a time
_JOIN_BYTES = 32 << 10  # a response up to this is sent in one piece
_DISCARD_S = 2.0  # how long data is read and discarded after a refusal
_ALIGNMENT = 64  # of the first tensor in a body: a cache line, and what ONNX Runtime's own allocator gives

Handler = Callable[[Request], Awaitable[Response]]


class ClientLimits(NamedTuple):
    """Bounds on what clients may take.

    Attributes:
        body_bytes: the bytes of all requests and responses in flight together, and so of each one.
        connections: connections open at a time.
        idle_s: how long a connection may do nothing.
        head_s: how long a connection may take to send the head of a request.
        body_s: how long a connection may send nothing of an announced body.
        answer_s: how long a connection may take nothing of its response.
    """

    body_bytes: int = 1 << 30
    connections: int = 4096
    idle_s: float = 75.0
    head_s: float = 20.0
    body_s: float = 30.0
    answer_s: float = 60.0


class Server:
    """The connections of one listening socket, and the bytes that they have in flight together."""

    def __init__(self, handler: Handler, limits: ClientLimits) -> None:
        self.handler = handler
        self.limits = limits
        self.connections: set[Connection] = set()
        self.bytes_in_flight = 0
        # Shared by all connections: its content is used before the next read.
        self.scratch = memoryview(bytearray(_SCRATCH_BYTES))

    async def sweep(self) -> None:
        """Once a second, end the connections that have stalled; runs until cancelled."""
        while True:
            await asyncio.sleep(1.0)
            now = asyncio.get_running_loop().time()
            for connection in list(self.connections):
                connection.end_if_stalled(now)

    async def drain(self, timeout_s: float) -> None:
        """Close every connection after its request in flight; return after `timeout_s` at the latest."""
        for connection in list(self.connections):
            connection.finish_and_close()
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        while self.connections and loop.time() < until:
            await asyncio.sleep(0.02)


class Connection(asyncio.BufferedProtocol):
    """One connection: receive a head and a body, answer, and again."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # until connection_made
        self._pending = bytearray()  # received and not yet read: heads, and pipelined requests
        self._head: RequestHead | None = None  # of the request that is being received or answered
        self._body: memoryview | None = None  # the memory that the body is received into
        self._received = 0
        self._chunks: httptools.HttpRequestParser | None = None
        self._reserved_bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._keep_alive = True
        self._discarding = False
        self._writable: asyncio.Future[None] | None = None
        self._progress_at = self._loop.time()

    # --- what the transport calls -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.add(self)
        if len(self._server.connections) > self._server.limits.connections:
            self._refuse(HttpError(503, f"more than {self._server.limits.connections} connections"))

    def connection_lost(self, _: Exception | None) -> None:
        self._server.connections.discard(self)
        self._set_reserved(0)
        if self._task is not None:
            self._task.cancel()

    def get_buffer(self, _: int) -> memoryview:
        return self._server.scratch if self._body is None else self._body[self._received :]

    def buffer_updated(self, count: int) -> None:
        # The time for a head runs from its first byte, and the time for discarded data from its start: a trickle of
        # bytes must not prolong them.
        if (self._head is not None or not self._pending) and not self._discarding:
            self._progress_at = self._loop.time()
        if self._body is not None:
            self._received += count
            if self._received == len(self._body):
                self._start(self._body)
        elif self._discarding:
            pass
        elif self._chunks is not None:
            self._feed_chunks(bytes(self._server.scratch[:count]))
        else:
            self._pending += self._server.scratch[:count]
            if self._head is None:
                self._read_head()
            elif len(self._pending) > HEAD_LIMIT_BYTES:
                self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client sends nothing more, but may still read: keep the connection while a request is being answered."""
        self._keep_alive = False
        if self._body is not None:
            expected, self._body = len(self._body), None
            self._refuse(HttpError(400, f"the body ended after {self._received} of the {expected} bytes announced"))
        elif self._chunks is not None:
            self._refuse(HttpError(400, "the body ended before its last chunk"))
        elif self._pending and self._head is None:
            self._refuse(HttpError(400, "the request ended within its head"))
        return self._task is not None

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        self._progress_at = self._loop.time()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # --- a request comes in -------------------------------------------------------------------------------------------

    def _read_head(self) -> None:
        # Some clients send an empty line after a body; RFC 9112, 2.2 has servers ignore it.
        while self._pending.startswith(b"\r\n"):
            del self._pending[:2]
        end = self._pending.find(b"\r\n\r\n")
        if end < 0:
            if len(self._pending) > HEAD_LIMIT_BYTES:
                self._refuse(HttpError(431, f"the request's head is longer than {HEAD_LIMIT_BYTES} bytes"))
            return
        raw = bytes(self._pending[: end + 4])
        del self._pending[: end + 4]
        try:
            self._head = head = read_request_head(raw)
            self._keep_alive = self._keep_alive and head.keep_alive
            self._expect_body(head)
        except HttpError as refused:
            self._refuse(refused)

    def _expect_body(self, head: RequestHead) -> None:
        if head.chunked:
            self._keep_alive = False  # the parser does not give back what follows the last chunk
            self._chunks = httptools.HttpRequestParser(_Chunks(self, limit=self._server.limits.body_bytes))
            self._continue(head)
            rest, self._pending = bytes(self._pending), bytearray()
            self._chunks.feed_data(head.raw)
            self._feed_chunks(rest)
            return
        length = head.content_length
        limit = self._server.limits.body_bytes
        if length > limit:
            raise HttpError(413, f"a body of {length} bytes; this server takes up to {limit}")
        if length and self._server.bytes_in_flight + length > limit:
            raise HttpError(
                503, f"the server is busy with {self._server.bytes_in_flight} bytes of other requests; try again"
            )
        self._set_reserved(length)
        if length <= len(self._pending):
            body = memoryview(bytes(self._pending[:length]))
            del self._pending[:length]
            self._start(body)
            return
        self._body = _aligned(length, head.json_length)
        self._received = len(self._pending)
        self._body[: self._received] = self._pending
        self._pending.clear()
        self._continue(head)

    def _continue(self, head: RequestHead) -> None:
        if head.expects_continue:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _feed_chunks(self, data: bytes) -> None:
        parser = self._chunks
        if parser is None:  # the body is complete
            return
        try:
            parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, HttpError) else HttpError(400, f"malformed chunks: {error}"))
        except httptools.HttpParserError as error:
            if self._chunks is not None:  # else the error is about what follows the last chunk
                self._refuse(HttpError(400, f"malformed chunks: {error}"))

    def chunks_complete(self, body: bytearray) -> None:
        """Take the body of a chunked request; its parser calls this."""
        if self._chunks is not None:
            self._chunks = None
            self._set_reserved(len(body))
            self._start(memoryview(body))

    def reserve(self, more_bytes: int) -> bool:
        """Add to the bytes in flight; see `Request.reserve`."""
        if self._server.bytes_in_flight + more_bytes > self._server.limits.body_bytes:
            return False
        self._set_reserved(self._reserved_bytes + more_bytes)
        return True

    def _set_reserved(self, reserved_bytes: int) -> None:
        self._server.bytes_in_flight += reserved_bytes - self._reserved_bytes
        self._reserved_bytes = reserved_bytes

    # --- the request is answered --------------------------------------------------------------------------------------

    def _start(self, body: memoryview) -> None:
        self._body = None
        assert self._head is not None
        head = self._head
        request = Request(head.method, head.path, head.parts, head.headers, body, self.reserve)
        # Why the coroutine is stepped by hand: a request that is answered without waiting (a quick model, metadata,
        # health) is answered in this call, where a task would take two more turns of the event loop. The p50 of a
        # no-op over HTTP is 88 µs so, and 98 µs with a task (see docs/decisions/own-http-connection.md).
        # Python 3.12 has eager tasks for this; the image has Python 3.11.
        # Trap: until the first wait, the coroutine runs outside a task: asyncio.current_task() is None, so
        # asyncio.timeout() and task groups must not come before the first wait.
        answering = self._answer(request)
        try:
            awaited = answering.send(None)
        except StopIteration:
            return
        self._task = self._loop.create_task(_finish(answering, awaited))

    async def _answer(self, request: Request) -> None:
        try:
            response = await self._server.handler(request)
        except Exception as error:  # a fault of the server, which must not end the server
            traceback.print_exc(file=sys.stderr)
            response = error_response(f"internal error: {type(error).__name__}: {error}", 500)
        without_body = request.method == "HEAD"
        del request
        await self._write(response, without_body=without_body)
        self._set_reserved(0)
        self._task = self._head = None
        if not self._keep_alive:
            self._transport.close()
        else:
            self._progress_at = self._loop.time()
            self._transport.resume_reading()
            if self._pending:
                self._loop.call_soon(self._read_head)

    async def _write(self, response: Response, *, without_body: bool = False) -> None:
        length = sum(len(part) for part in response.parts)
        self._set_reserved(length)
        self._progress_at = self._loop.time()
        head = response_head(response, length, keep_alive=self._keep_alive)
        if without_body:
            self._transport.write(head)
        elif length <= _JOIN_BYTES:
            self._transport.write(b"".join((head, *response.parts)))
        else:
            self._transport.write(head)
            for part in response.parts:
                view = memoryview(part)
                for begin in range(0, len(view), _SLICE_BYTES):
                    if self._writable is not None:
                        await self._writable
                    self._transport.write(view[begin : begin + _SLICE_BYTES])

    def _refuse(self, refused: HttpError) -> None:
        """Answer at once, then read and discard for a while.

        Closing a socket with unread data resets the connection, and the client would not see the answer.
        """
        self._body = self._chunks = None
        self._pending.clear()
        self._keep_alive = False
        self._discarding = True
        self._progress_at = self._loop.time()
        response = error_response(str(refused), refused.status)
        self._transport.write(response_head(response, len(response.parts[0]), keep_alive=False))
        self._transport.write(response.parts[0])
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._set_reserved(0)

    # --- time ---------------------------------------------------------------------------------------------------------

    def end_if_stalled(self, now: float) -> None:
        """End the connection if its time is over; `now` is the event loop's time."""
        limits, stalled_s = self._server.limits, now - self._progress_at
        if self._discarding:
            if stalled_s > _DISCARD_S:
                self._transport.abort()
        elif self._writable is not None:
            if stalled_s > limits.answer_s:
                self._transport.abort()
        elif self._body is not None or self._chunks is not None:
            if self._task is None and stalled_s > limits.body_s:
                self._refuse(HttpError(408, f"nothing of the body came for {limits.body_s:g} s"))
        elif self._task is None and self._pending:
            if stalled_s > limits.head_s:
                self._refuse(HttpError(408, f"the request's head was not complete within {limits.head_s:g} s"))
        elif self._task is None and stalled_s > limits.idle_s:
            self._transport.close()

    def finish_and_close(self) -> None:
        """Close the connection, after the request in flight if there is one."""
        self._keep_alive = False
        if self._task is None:
            self._transport.close()


async def _finish(started: Coroutine[Any, Any, None], awaited: Any) -> None:
    """Run the rest of a coroutine that was stepped until it waits for `awaited`, a future."""
    await _rest(started, awaited)


@types.coroutine
def _rest(started: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    while True:
        try:
            yield awaited
        except BaseException as error:  # the future has failed, or the task is cancelled
            resume = functools.partial(started.throw, error)
        else:
            resume = functools.partial(started.send, None)
        try:
            awaited = resume()
        except StopIteration:
            return


class _Chunks:
    """Collects a chunked body from the parser, which calls the methods."""

    def __init__(self, connection: Connection, limit: int) -> None:
        self._connection = connection
        self._limit = limit
        self._body = bytearray()

    def on_body(self, data: bytes) -> None:
        if len(self._body) + len(data) > self._limit:
            raise HttpError(413, f"a body of more than {self._limit} bytes, which is all that this server takes")
        self._body += data

    def on_message_complete(self) -> None:
        self._connection.chunks_complete(self._body)


def _aligned(length: int, json_length: int) -> memoryview:
    """Return memory for a body, in which the first tensor, after `json_length` bytes of JSON, is aligned.

    The memory is not written to, so that the kernel's write is the first that touches it.
    """
    memory = np.empty(length + _ALIGNMENT, np.uint8)
    begin = -(memory.ctypes.data + json_length) % _ALIGNMENT
    return memory.data[begin : begin + length]
