"""HTTP requests and responses, and their heads as bytes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Union
from urllib.parse import unquote

import httptools
import orjson

HEAD_LIMIT_BYTES = 64 << 10
_CACHED_HEAD_BYTES = 1024
# How many bytes of a body are JSON, which tensors in binary form follow; and its key in `Request.headers`.
JSON_LENGTH_HEADER = "Inference-Header-Content-Length"
JSON_LENGTH_KEY = JSON_LENGTH_HEADER.lower().encode()

Part = Union[bytes, memoryview]


@dataclass
class Request:
    """One request.

    Attributes:
        path: as it came, without the query; parts: what is between its slashes, with escapes resolved.
        headers: by name in lower case.
        body: the bytes as they came.
        reserve: adds bytes that the answering of this request takes to the server's bytes in flight; returns False if
            the server has no room for them.
    """

    method: str
    path: str
    parts: Sequence[str]
    headers: Mapping[bytes, bytes]
    body: memoryview
    reserve: Callable[[int], bool]


@dataclass
class Response:
    """One response. Its `parts` are written one after the other and not copied."""

    parts: Sequence[Part] = ()
    status: int = 200
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class HttpError(Exception):
    """A request that is answered with an error status; the message goes into the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def json_response(document: Any, status: int = 200) -> Response:
    return Response((orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY),), status)


def error_response(message: str, status: int) -> Response:
    """Return an error in the inference protocol's form."""
    return json_response({"error": message}, status)


def response_head(response: Response, length: int, *, keep_alive: bool) -> bytes:
    """Return the lines before a response's body of `length` bytes."""
    lines = [
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        f"Content-Type: {response.media_type}",
        f"Content-Length: {length}",
        *(f"{name}: {value}" for name, value in response.headers.items()),
    ]
    if not keep_alive:
        lines.append("Connection: close")
    return "\r\n".join((*lines, "", "")).encode("latin-1")


def read_request_head(raw: bytes) -> RequestHead:
    """Parse the lines before a request's body, with the empty line at their end.

    Raises:
        HttpError: the lines are not HTTP.
    """
    return RequestHead(raw) if len(raw) > _CACHED_HEAD_BYTES else _cached_request_head(raw)


class RequestHead:
    """The lines before a request's body, parsed by httptools (llhttp, Node's parser)."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.headers: dict[bytes, bytes] = {}
        self._url = b""
        parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(raw)
        except httptools.HttpParserUpgrade:
            pass  # this server speaks no other protocol, and answers the request as it is, which the standard allows
        except httptools.HttpParserError as error:
            raise HttpError(400, f"not HTTP: {error}") from error
        self.method = parser.get_method().decode("ascii")
        self.keep_alive = bool(parser.should_keep_alive())
        try:
            self.path = httptools.parse_url(self._url).path.decode("ascii")
        except (httptools.HttpParserError, UnicodeDecodeError, AttributeError) as error:
            raise HttpError(400, "the request's address is malformed") from error
        self.parts = tuple(unquote(part) for part in self.path.strip("/").split("/"))
        self.chunked = b"chunked" in self.headers.get(b"transfer-encoding", b"").lower()
        self.content_length = int(self.headers.get(b"content-length", b"0"))  # the parser accepts digits alone
        self.expects_continue = self.headers.get(b"expect", b"").lower() == b"100-continue"

    @property
    def json_length(self) -> int:
        """The length of the JSON before the tensors in bytes; 0 without the header, or if it is not a number."""
        value = self.headers.get(JSON_LENGTH_KEY, b"")
        return int(value) if value.isdigit() and len(value) < 16 else 0

    def on_url(self, url: bytes) -> None:
        """Take a piece of the address; the parser calls this."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; the parser calls this."""
        self.headers[name.lower()] = value


# Why a cache: a client that keeps its connection sends the same head again and again, so it is parsed once. The p50 of
# a no-op over HTTP is 88 µs with this cache and 105 µs without it (see docs/decisions/own-http-connection.md). At most
# 256 heads of 1 KiB are kept.
# Trap: requests share a cached head, also between connections, so nothing may change one.
@functools.lru_cache(maxsize=256)
def _cached_request_head(raw: bytes) -> RequestHead:
    return RequestHead(raw)
