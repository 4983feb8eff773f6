"""Requests byte by byte, for what no client library would send."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.conformance.serving import Server


@contextmanager
def connected(server: Server, timeout: float = 30) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as connection:
        yield connection


def infer(model: str, body: bytes, *headers: str, length: int | None = None) -> bytes:
    """A request to infer; `length` is the announced one."""
    announced = len(body) if length is None else length
    lines = [f"POST /v2/models/{model}/infer HTTP/1.1", "Host: x", f"Content-Length: {announced}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def json_body(values: list[Any], datatype: str = "FP32", shape: list[int] | None = None, **more: Any) -> bytes:
    tensor = {"name": "x", "datatype": datatype, "shape": shape or [len(values)], "data": values}
    return json.dumps({"inputs": [tensor], **more}).encode()


def binary_head(size: int, shape: list[int], datatype: str = "FP32") -> bytes:
    """The JSON before one binary tensor, which is asked back in the same form."""
    tensor = {"name": "x", "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}}
    return json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()


def answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers in lower case, and body of the next answer."""
    received = b""
    while not received.endswith(b"\r\n\r\n"):  # byte by byte: what follows may be the next answer
        piece = connection.recv(1)
        if not piece:
            raise ConnectionError(f"the connection ended after {received!r}")
        received += piece
    first, *lines = received.decode().strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    length = int(headers["content-length"])
    pieces, have = [b""], 0
    while have < length:
        piece = connection.recv(min(1 << 20, length - have))
        if not piece:
            raise ConnectionError(f"the body ended after {have} of {length} bytes")
        pieces.append(piece)
        have += len(piece)
    return int(first.split()[1]), headers, b"".join(pieces)


def error(connection: socket.socket) -> tuple[int, str]:
    status, _, body = answer(connection)
    return status, json.loads(body)["error"]
