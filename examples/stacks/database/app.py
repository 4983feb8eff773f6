"""Reads digits, and counts in Redis how often each was read. GET /counts returns the counts."""

import http.client
import json
import signal
import socket
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def redis(*words: str) -> list[str]:
    """Send one command in Redis's protocol (RESP2, the part that this file needs), and return the answer."""
    with socket.create_connection(("store", 6379), timeout=30) as connection:
        lines = connection.makefile("rwb")
        lines.write(b"".join([b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words)]))
        lines.flush()
        kind, rest = (head := lines.readline().rstrip())[:1], head[1:].decode()
        if kind == b"-":
            raise RuntimeError(f"redis: {rest}")
        if kind != b"*":
            return [rest]
        answer = []
        for _ in range(int(rest)):
            size = int(lines.readline()[1:])
            answer.append(lines.read(size + 2)[:-2].decode())
        return answer


def classify(image: list[list[float]]) -> int:
    data = [ink for line in image for ink in line]
    document = {"inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 8, 8], "data": data}]}
    connection = http.client.HTTPConnection("classifier", 8000, timeout=60)
    connection.request("POST", "/v2/models/digits/infer", json.dumps(document))
    answer = json.loads(connection.getresponse().read())
    connection.close()
    probabilities = answer["outputs"][0]["data"]
    return probabilities.index(max(probabilities))


def counts() -> dict:
    pairs = redis("HGETALL", "digits")
    return dict(zip(pairs[::2], map(int, pairs[1::2]), strict=True))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(counts)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))

        def read() -> dict:
            digit = classify(json.loads(body)["image"])
            (count,) = redis("HINCRBY", "digits", str(digit), "1")
            return {"digit": digit, "count": int(count)}

        self.answer(read)

    def answer(self, make: Callable[[], dict]) -> None:
        try:
            status, document = 200, make()
        except (RuntimeError, OSError, KeyError, ValueError) as error:
            status, document = 500, {"error": str(error)}
        text = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *words: object) -> None:
        pass


if __name__ == "__main__":
    # The first process of a container ignores SIGTERM unless it has a handler.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    ThreadingHTTPServer(("", 8080), Handler).serve_forever()
