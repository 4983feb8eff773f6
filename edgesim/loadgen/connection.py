"""One connection to a server: bytes out, an answer in, from a loop that waits for many of them."""

import contextlib
import socket

import httptools
import orjson

_PIECE = 1 << 18


class Heads:
    """The head of the last good answer, and how long that answer was in all.

    A server says the same thing again and again: an answer that begins with the same bytes ends where that one did.
    """

    head: bytes | None = None
    length = 0


class Connection:
    """One connection, and how far its request and its answer have got. `token` is the request's, 0 without one."""

    def __init__(self, family: int, heads: Heads) -> None:
        self.socket = socket.socket(family)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.token = 0
        self.may_stay = True
        self._heads = heads
        self._unsent = memoryview(b"")
        self._piece = bytearray(_PIECE)
        self._missing = 0  # bytes of an answer whose head is known
        self._answer: _Answer | None = None  # one whose head is not

    def begin(self, request: bytes) -> bool:
        """Send as much as goes; whether that was all."""
        self._unsent = memoryview(request)
        return self.go_on()

    def go_on(self) -> bool:
        """Send more of what has not been sent; whether that was all."""
        with contextlib.suppress(BlockingIOError):
            while self._unsent:
                self._unsent = self._unsent[self.socket.send(self._unsent) :]
        return not self._unsent

    def receive(self) -> str | None:
        """Take what has come; the outcome once the answer is whole.

        Raises:
            OSError: the server has closed the connection, or answers what was not asked.
            httptools.HttpParserError: this is not HTTP.
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
            self._answer = _Answer()
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
            return f"HTTP {status}: {error_text(answer.body)}"
        if answer.has_length and self.may_stay:
            self._heads.head, self._heads.length = answer.head, answer.length
        return "ok"


class _Answer:
    """An answer that is being parsed: the parser's callbacks."""

    _KEPT = 4096  # bytes of the body, for the error in it

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.complete = self.keep_alive = self.has_length = False
        self.head: bytes | None = None
        self.length = 0
        self.body = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        self.has_length = self.has_length or name.lower() == b"content-length"

    def on_body(self, body: bytes) -> None:
        if len(self.body) < self._KEPT:
            self.body += body[: self._KEPT]

    def on_message_complete(self) -> None:
        self.complete = True
        self.keep_alive = self.parser.should_keep_alive()  # the parser knows only now


def error_text(body: bytes) -> str:
    """What a server says is wrong: the protocol's error object, or the beginning of whatever it is."""
    try:
        return str(orjson.loads(body)["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
