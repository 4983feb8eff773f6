"""HTTP/1.1 for tensors: a body is received where it will be read.

Python's HTTP servers hand a body over after two to four copies (the parser's, their buffer's, the join), which
for tensors is most of a server's work. Here the kernel writes it straight into the memory that ONNX Runtime reads.
Heads are parsed by httptools (llhttp, Node's parser). What a connection may hold and how long it may stall is bounded.
"""

import asyncio
import functools
import sys
import traceback
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import httptools
import numpy as np
import orjson

HEAD_LIMIT_BYTES = 64 << 10
_SCRATCH_BYTES = 64 << 10
_SLICE_BYTES = 256 << 10  # of an answer, handed to the socket at a time
_REMEMBERED_BYTES = 1024  # heads up to this are parsed once
_JOIN_BYTES = 32 << 10  # an answer up to this goes out in one piece
_ALIGNMENT = 64  # of the first tensor in a body: a cache line, and what ONNX Runtime's own allocator gives

Part = bytes | memoryview


@dataclass(slots=True)
class Request:
    """One request. Header names are in lower case; `body` is the bytes as they came.

    `parts` are the path's between its slashes, with their escapes resolved.
    `hold` accounts for so many more bytes that the request takes, and says whether the server has room for them.
    """

    method: str
    path: str
    parts: Sequence[str]
    headers: Mapping[bytes, bytes]
    body: memoryview
    hold: Callable[[int], bool]


@dataclass(slots=True)
class Response:
    """One answer: `parts` are written one after the other, uncopied."""

    parts: Sequence[Part] = ()
    status: int = 200
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def json_response(document: Any, status: int = 200) -> Response:
    return Response((orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY),), status)


def error_response(message: str, status: int) -> Response:
    """An error in the protocol's form."""
    return json_response({"error": message}, status)


Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What clients may take.

    Attributes:
        body_bytes: of all requests and answers in flight together, and so of one.
        connections: open at a time.
        idle_s, head_s, body_s, answer_s: how long a connection may do nothing, take for its request's head, send
            nothing of an announced body, take nothing of its answer.
    """

    body_bytes: int = 1 << 30
    connections: int = 4096
    idle_s: float = 75.0
    head_s: float = 20.0
    body_s: float = 30.0
    answer_s: float = 60.0


class Server:
    """The connections of one listening socket, and what they hold together."""

    def __init__(self, handler: Handler, limits: Limits) -> None:
        self.handler = handler
        self.limits = limits
        self.connections: set[Connection] = set()
        self.held_bytes = 0
        self.scratch = memoryview(bytearray(_SCRATCH_BYTES))  # shared: what is in it is used up before the next read

    async def sweep(self) -> None:
        """End, once a second, what has stalled; runs until cancelled."""
        while True:
            await asyncio.sleep(1.0)
            now = asyncio.get_running_loop().time()
            for connection in list(self.connections):
                connection.end_if_stalled(now)

    async def drain(self, patience_s: float) -> None:
        """Let the requests in flight finish, and close every connection."""
        for connection in list(self.connections):
            connection.finish_and_close()
        loop = asyncio.get_running_loop()
        until = loop.time() + patience_s
        while self.connections and loop.time() < until:
            await asyncio.sleep(0.02)


class _Refused(Exception):
    """A request that is answered before its body is read."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Connection(asyncio.BufferedProtocol):
    """One connection: head, body, answer, and again."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # until connection_made
        self._pending = bytearray()  # received and not yet read: heads, and requests sent ahead of their turn
        self._head: _Head | None = None  # of the request that is being received or answered
        self._body: memoryview | None = None  # where the body goes while it comes in
        self._received = 0
        self._chunks: httptools.HttpRequestParser | None = None
        self._held = 0
        self._task: asyncio.Task[None] | None = None
        self._keep_alive = True
        self._discarding = False
        self._writable: asyncio.Future[None] | None = None
        self._since = self._loop.time()  # the last progress

    # --- what the transport calls -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.add(self)
        if len(self._server.connections) > self._server.limits.connections:
            self._refuse(_Refused(503, f"more than {self._server.limits.connections} connections"))

    def connection_lost(self, _: Exception | None) -> None:
        self._server.connections.discard(self)
        self._hold(0)
        if self._task is not None:
            self._task.cancel()

    def get_buffer(self, _: int) -> memoryview:
        return self._server.scratch if self._body is None else self._body[self._received :]

    def buffer_updated(self, count: int) -> None:
        # A head has its time from its first byte on, and so has what is discarded: a trickle does not prolong it.
        if (self._head is not None or not self._pending) and not self._discarding:
            self._since = self._loop.time()
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
        """The client has nothing more to say, but may still listen."""
        self._keep_alive = False
        if self._body is not None:
            expected, self._body = len(self._body), None
            self._refuse(_Refused(400, f"the body ended after {self._received} of the {expected} bytes announced"))
        elif self._chunks is not None:
            self._refuse(_Refused(400, "the body ended before its last chunk"))
        elif self._pending and self._head is None:
            self._refuse(_Refused(400, "the request ended within its head"))
        return self._task is not None

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        self._since = self._loop.time()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # --- a request comes in -------------------------------------------------------------------------------------------

    def _read_head(self) -> None:
        while self._pending.startswith(b"\r\n"):  # an old habit of clients, which the standard asks servers to bear
            del self._pending[:2]
        end = self._pending.find(b"\r\n\r\n")
        if end < 0:
            if len(self._pending) > HEAD_LIMIT_BYTES:
                self._refuse(_Refused(431, f"the request's head is longer than {HEAD_LIMIT_BYTES} bytes"))
            return
        raw = bytes(self._pending[: end + 4])
        del self._pending[: end + 4]
        try:
            self._head = head = _Head(raw) if len(raw) > _REMEMBERED_BYTES else _remembered_head(raw)
            self._keep_alive = self._keep_alive and head.keep_alive
            self._expect_body(head)
        except _Refused as refused:
            self._refuse(refused)

    def _expect_body(self, head: "_Head") -> None:
        if head.chunked:
            self._keep_alive = False  # what comes after the last chunk would have to be handed back by the parser
            self._chunks = httptools.HttpRequestParser(_Chunks(self, limit=self._server.limits.body_bytes))
            self._continue(head)
            rest, self._pending = bytes(self._pending), bytearray()
            self._chunks.feed_data(head.raw)
            self._feed_chunks(rest)
            return
        length = head.content_length
        limit = self._server.limits.body_bytes
        if length > limit:
            raise _Refused(413, f"a body of {length} bytes; this server takes up to {limit}")
        if length and self._server.held_bytes + length > limit:
            raise _Refused(503, f"the server is busy with {self._server.held_bytes} bytes of other requests; try again")
        self._hold(length)
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

    def _continue(self, head: "_Head") -> None:
        if head.expects_continue:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _feed_chunks(self, data: bytes) -> None:
        parser = self._chunks
        if parser is None:  # complete already
            return
        try:
            parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, _Refused) else _Refused(400, f"malformed chunks: {error}"))
        except httptools.HttpParserError as error:
            if self._chunks is not None:  # else it is about what follows the last chunk
                self._refuse(_Refused(400, f"malformed chunks: {error}"))

    def chunks_complete(self, body: bytearray) -> None:
        if self._chunks is not None:
            self._chunks = None
            self._hold(len(body))
            self._start(memoryview(body))

    def hold_more(self, more: int) -> bool:
        if self._server.held_bytes + more > self._server.limits.body_bytes:
            return False
        self._hold(self._held + more)
        return True

    def _hold(self, held: int) -> None:
        self._server.held_bytes += held - self._held
        self._held = held

    # --- it is answered -----------------------------------------------------------------------------------------------

    def _start(self, body: memoryview) -> None:
        self._body = None
        assert self._head is not None
        head = self._head
        request = Request(head.method, head.path, head.parts, head.headers, body, self.hold_more)
        # What can be answered without waiting is, here and now; a task takes two more turns of the event loop.
        answering = self._answer(request)
        try:
            waited_for = answering.send(None)
        except StopIteration:
            return
        self._task = self._loop.create_task(_finish(answering, waited_for))

    async def _answer(self, request: Request) -> None:
        try:
            response = await self._server.handler(request)
        except Exception as error:  # a fault of the server's own, which must not end it
            traceback.print_exc(file=sys.stderr)
            response = error_response(f"internal error: {type(error).__name__}: {error}", 500)
        without_body = request.method == "HEAD"
        del request
        await self._write(response, without_body=without_body)
        self._hold(0)
        self._task = self._head = None
        if not self._keep_alive:
            self._transport.close()
        else:
            self._since = self._loop.time()
            self._transport.resume_reading()
            if self._pending:
                self._loop.call_soon(self._read_head)

    async def _write(self, response: Response, *, without_body: bool = False) -> None:
        length = sum(len(part) for part in response.parts)
        self._hold(length)
        self._since = self._loop.time()
        head = _response_head(response, length, keep_alive=self._keep_alive)
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

    def _refuse(self, refused: _Refused) -> None:
        """Answer at once, and then go on reading for a while: a close with unread data would destroy the answer."""
        self._body = self._chunks = None
        self._pending.clear()
        self._keep_alive = False
        self._discarding = True
        self._since = self._loop.time()
        response = error_response(str(refused), refused.status)
        self._transport.write(_response_head(response, len(response.parts[0]), keep_alive=False))
        self._transport.write(response.parts[0])
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._hold(0)

    # --- time ---------------------------------------------------------------------------------------------------------

    def end_if_stalled(self, now: float) -> None:
        limits, waited = self._server.limits, now - self._since
        if self._discarding:
            if waited > 2.0:
                self._transport.abort()
        elif self._writable is not None:
            if waited > limits.answer_s:
                self._transport.abort()
        elif self._body is not None or self._chunks is not None:
            if self._task is None and waited > limits.body_s:
                self._refuse(_Refused(408, f"nothing of the body came for {limits.body_s:g} s"))
        elif self._task is None and self._pending:
            if waited > limits.head_s:
                self._refuse(_Refused(408, f"the request's head was not complete within {limits.head_s:g} s"))
        elif self._task is None and waited > limits.idle_s:
            self._transport.close()

    def finish_and_close(self) -> None:
        self._keep_alive = False
        if self._task is None:
            self._transport.close()


async def _finish(started: Coroutine[Any, Any, None], waited_for: Any) -> None:
    """The rest of a coroutine that has come as far as to wait for something."""
    await _rest(started, waited_for)


@types.coroutine
def _rest(started: Coroutine[Any, Any, None], waited_for: Any) -> Generator[Any, Any, None]:
    while True:
        try:
            yield waited_for
        except BaseException as error:  # what it waited for has failed, or it is being cancelled
            go_on = functools.partial(started.throw, error)
        else:
            go_on = functools.partial(started.send, None)
        try:
            waited_for = go_on()
        except StopIteration:
            return


class _Head:
    """A request's first lines. Raises _Refused when they are not HTTP."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.headers: dict[bytes, bytes] = {}
        self._url = b""
        parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(raw)
        except httptools.HttpParserUpgrade:
            pass  # no other protocol is spoken here: the request is answered as it is, as the standard allows
        except httptools.HttpParserError as error:
            raise _Refused(400, f"not HTTP: {error}") from error
        self.method = parser.get_method().decode("ascii")
        self.keep_alive = bool(parser.should_keep_alive())
        try:
            self.path = httptools.parse_url(self._url).path.decode("ascii")
        except (httptools.HttpParserError, UnicodeDecodeError, AttributeError) as error:
            raise _Refused(400, "the request's address is malformed") from error
        self.parts = tuple(unquote(part) for part in self.path.strip("/").split("/"))
        self.chunked = b"chunked" in self.headers.get(b"transfer-encoding", b"").lower()
        self.content_length = int(self.headers.get(b"content-length", b"0"))  # digits: the parser has checked
        self.expects_continue = self.headers.get(b"expect", b"").lower() == b"100-continue"

    @property
    def json_length(self) -> int:
        """How long the JSON before the tensors is; 0 where there are none, or where the header is no number."""
        value = self.headers.get(b"inference-header-content-length", b"")
        return int(value) if value.isdigit() and len(value) < 16 else 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value


@functools.lru_cache(maxsize=256)
def _remembered_head(raw: bytes) -> _Head:
    """A client that keeps its connection sends the same head again and again."""
    return _Head(raw)


class _Chunks:
    """A chunked body as it comes out of the parser."""

    def __init__(self, connection: Connection, limit: int) -> None:
        self._connection = connection
        self._limit = limit
        self._body = bytearray()

    def on_body(self, data: bytes) -> None:
        if len(self._body) + len(data) > self._limit:
            raise _Refused(413, f"a body of more than {self._limit} bytes, which is all that this server takes")
        self._body += data

    def on_message_complete(self) -> None:
        self._connection.chunks_complete(self._body)


def _aligned(length: int, json_length: int) -> memoryview:
    """Memory for a body, untouched, such that what comes after its JSON is aligned."""
    memory = np.empty(length + _ALIGNMENT, np.uint8)
    begin = -(memory.ctypes.data + json_length) % _ALIGNMENT
    return memory.data[begin : begin + length]


def _response_head(response: Response, length: int, *, keep_alive: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        f"Content-Type: {response.media_type}",
        f"Content-Length: {length}",
        *(f"{name}: {value}" for name, value in response.headers.items()),
    ]
    if not keep_alive:
        lines.append("Connection: close")
    return "\r\n".join((*lines, "", "")).encode("latin-1")
