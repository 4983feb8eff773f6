"""Requests as bytes, also those that no client library would send."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.serving import Server


@contextmanager
def connected(server: Server, timeout: float = 30) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as connection:
        yield connection


def infer(model: str, body: bytes, *headers: str, length: int | None = None) -> bytes:
    """Return a request to infer; `length` is the announced length of the body, by default the real one."""
    announced = len(body) if length is None else length
    lines = [f"POST /v2/models/{model}/infer HTTP/1.1", "Host: x", f"Content-Length: {announced}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def json_body(values: list[Any], datatype: str = "FP32", shape: list[int] | None = None, **more: Any) -> bytes:
    tensor = {"name": "x", "datatype": datatype, "shape": shape or [len(values)], "data": values}
    return json.dumps({"inputs": [tensor], **more}).encode()


def binary_head(size: int, shape: list[int], datatype: str = "FP32") -> bytes:
    """Return the JSON before one binary tensor of `size` bytes; it requests the outputs in binary form, too."""
    tensor = {"name": "x", "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}}
    return json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()


def response(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Receive the next response: status, headers with names in lower case, and body."""
    received = b""
    while not received.endswith(b"\r\n\r\n"):  # byte by byte, because the next response may follow
        piece = connection.recv(1)
        if not piece:
            raise ConnectionError(f"the connection ended after {received!r}")
        received += piece
    first, *lines = received.decode().strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    length = int(headers["content-length"])
    pieces, received_bytes = [b""], 0
    while received_bytes < length:
        piece = connection.recv(min(1 << 20, length - received_bytes))
        if not piece:
            raise ConnectionError(f"the body ended after {received_bytes} of {length} bytes")
        pieces.append(piece)
        received_bytes += len(piece)
    return int(first.split()[1]), headers, b"".join(pieces)


def error(connection: socket.socket) -> tuple[int, str]:
    """Receive the next response, an error: status and message."""
    status, _, body = response(connection)
    return status, json.loads(body)["error"]
