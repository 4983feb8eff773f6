"""Reads the digit in a picture: one service says where the digit is, another which digit it is."""

import http.client
import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WINDOW = 8


def ask(service: str, model: str, tensor: str, shape: list[int], data: list[float]) -> list[float]:
    """Return the first output of a model in another service of this stack, by the Open Inference Protocol."""
    inputs = [{"name": tensor, "datatype": "FP32", "shape": shape, "data": data}]
    connection = http.client.HTTPConnection(service, 8000, timeout=60)
    connection.request("POST", f"/v2/models/{model}/infer", json.dumps({"inputs": inputs}))
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{service}: {text.decode()}")
    return json.loads(text)["outputs"][0]["data"]


def read(picture: list[list[float]]) -> dict:
    size = len(picture)
    row, column = ask("detector", "detector", "picture", [1, 1, size, size], [ink for line in picture for ink in line])
    crop = [ink for line in picture[row : row + WINDOW] for ink in line[column : column + WINDOW]]
    probabilities = ask("classifier", "digits", "image", [1, WINDOW, WINDOW], crop)
    return {"row": row, "column": column, "digit": probabilities.index(max(probabilities))}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            self.answer(200, read(json.loads(body)["picture"]))
        except (RuntimeError, OSError, KeyError, ValueError) as error:
            self.answer(500, {"error": str(error)})

    def answer(self, status: int, document: dict) -> None:
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
