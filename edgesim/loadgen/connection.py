"""One connection to a server, for a loop that waits for many connections: sends bytes, and receives an answer."""

import contextlib
import math
import socket

import httptools
import orjson

from edgesim.loadgen.payload import EMPTY, JSON_LENGTH, Payload

_PIECE = 1 << 18
_JSON_LENGTH = JSON_LENGTH.lower().encode()


class Heads:
    """The head of the last successful answer, and the length of that answer with its body.

    A server repeats itself: an answer that begins with the same head has the same length, so only the first such answer
    is parsed.
    """

    head: bytes | None = None
    length = 0


class Connection:
    """One connection, with the progress of its request and its answer.

    Attributes:
        token: token of the request; 0 if no request is under way.
        may_stay: whether the server keeps the connection open after the answer.
        payload: the last successful answer's body; empty unless the connection keeps answers.
    """

    def __init__(self, family: int, heads: Heads, *, keeps_answers: bool = False) -> None:
        self.socket = socket.socket(family)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.token = 0
        self.may_stay = True
        self.payload = EMPTY
        self._heads = heads
        self._keeps_answers = keeps_answers
        self._unsent = memoryview(b"")
        self._piece = bytearray(_PIECE)
        self._missing = 0  # bytes still to come of an answer whose head is known
        self._answer: _Answer | None = None  # an answer whose head is not known

    def begin(self, request: bytes) -> bool:
        """Send as much of a request as the socket takes; return whether that was all."""
        self._unsent = memoryview(request)
        return self.send_rest()

    def send_rest(self) -> bool:
        """Send as much of the rest of the request as the socket takes; return whether that was all."""
        with contextlib.suppress(BlockingIOError):
            while self._unsent:
                self._unsent = self._unsent[self.socket.send(self._unsent) :]
        return not self._unsent

    def receive(self) -> str | None:
        """Receive bytes; return the outcome when the answer is complete, else None.

        Raises:
            OSError: the server has closed the connection, or sends bytes that answer no request.
            httptools.HttpParserError: the bytes are not HTTP.
        """
        size = self.socket.recv_into(self._piece)
        if not size or not self.token:
            raise ConnectionResetError("closed by the server")
        if self._missing:
            self._missing -= size
        elif (
            self._answer is None
            and self._piece.startswith(self._heads.head or b"\0")
            and size >= len(self._heads.head or b"")
        ):
            self._missing = self._heads.length - size
        else:
            return self._parse(bytes(self._piece[:size]))
        if self._missing < 0:
            raise ConnectionResetError("more than one answer")
        return "ok" if not self._missing else None

    def _parse(self, data: bytes) -> str | None:
        if self._answer is None:
            self._answer = _Answer(keeps_all=self._keeps_answers)
        answer = self._answer
        answer.parser.feed_data(data)
        answer.length += len(data)
        if answer.length == len(data):
            head, separator, _ = data.partition(b"\r\n\r\n")
            answer.head = head + separator if separator else None
        if not answer.complete:
            return None
        self._answer = None
        self.may_stay = answer.keep_alive
        status = answer.parser.get_status_code()
        if status != 200:
            return f"HTTP {status}: {error_text(answer.body())}"
        if self._keeps_answers:  # an answer that is not parsed is not kept, so no head is remembered
            self.payload = Payload(answer.body(), answer.json_length)
        elif answer.has_length and self.may_stay:
            self._heads.head, self._heads.length = answer.head, answer.length
        return "ok"


class _Answer:
    """An answer that is being parsed; the methods ``on_…`` are the parser's callbacks."""

    _KEPT = 4096  # bytes of the body, for its error message

    def __init__(self, *, keeps_all: bool) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.complete = self.keep_alive = self.has_length = False
        self.head: bytes | None = None
        self.json_length: int | None = None
        self.length = 0
        self._parts: list[bytes] = []
        self._room: float = math.inf if keeps_all else self._KEPT

    def body(self) -> bytes:
        return b"".join(self._parts)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.has_length = self.has_length or name.lower() == b"content-length"
        if name.lower() == _JSON_LENGTH:
            self.json_length = int(value)

    def on_body(self, body: bytes) -> None:
        if self._room > 0:
            self._parts.append(body if len(body) <= self._room else body[: int(self._room)])
            self._room -= len(self._parts[-1])

    def on_message_complete(self) -> None:
        self.complete = True
        self.keep_alive = self.parser.should_keep_alive()  # the parser does not know earlier


def error_text(body: bytes) -> str:
    """Return a server's error message: that of the protocol's error object, or the beginning of any other body."""
    try:
        return str(orjson.loads(body)["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
