"""Requests over gRPC for the load generator: one connection, with as many requests under way as the scenario has.

grpcio is the library that programs use. It answers on a thread of its own, which takes the time of each answer; what
that costs beside HTTP is measured (docs/evidence/server.md).
"""

import queue
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import grpc

from edgesim.loadgen import grpc_calls
from edgesim.loadgen.generator import Completion
from edgesim.loadgen.payload import EMPTY, Payload

_CONNECT_S = 10.0


class GrpcTransport:
    """`edgesim.loadgen.generator.Transport` over gRPC, with up to `connections` concurrent requests.

    Args:
        address: ``HOST:PORT``.
        timeout_s: a request without an answer within this time has failed.
        keeps_answers: whether completions have the answers.

    Attributes:
        most_open: the largest number of connections that were open at a time.

    Raises on construction:
        OSError: no server listens.
    """

    def __init__(self, address: str, *, connections: int, timeout_s: float, keeps_answers: bool = False) -> None:
        self._channel = grpc_calls.channel(address)
        self._infer = grpc_calls.infer(self._channel)
        self._most, self._timeout_s, self._keeps_answers = connections, timeout_s, keeps_answers
        self._done: queue.SimpleQueue[tuple[int, int, Any]] = queue.SimpleQueue()
        self._under_way: dict[int, Any] = {}
        self._tokens = 0
        self.most_open = 1
        try:
            grpc.channel_ready_future(self._channel).result(timeout=min(timeout_s, _CONNECT_S))
        except grpc.FutureTimeoutError as error:
            self.close()
            raise ConnectionRefusedError(f"no gRPC server answers at {address}") from error

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def send(self, request: bytes) -> int | None:
        if len(self._under_way) >= self._most:
            return None
        self._tokens += 1
        call = self._infer.future(request, timeout=self._timeout_s)
        self._under_way[self._tokens] = call
        call.add_done_callback(partial(self._take_note, self._tokens))
        return self._tokens

    def wait(self, until_ns: int | None) -> Sequence[Completion]:
        try:
            left_s = max((until_ns - time.monotonic_ns()) / 1e9, 0.0) if until_ns is not None else None
            done = [self._completion(*self._done.get(timeout=left_s))]
        except queue.Empty:
            return []
        while not self._done.empty():
            done.append(self._completion(*self._done.get_nowait()))
        return done

    def close(self) -> None:
        """Close the connection, without waiting for answers."""
        self._channel.close()
        self._under_way.clear()

    def __enter__(self) -> "GrpcTransport":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take_note(self, token: int, call: Any) -> None:
        """Take the time of an answer, on the thread that has received it."""
        self._done.put((token, time.monotonic_ns(), call))

    def _completion(self, token: int, done_ns: int, call: Any) -> Completion:
        del self._under_way[token]
        words = grpc_calls.outcome(call, self._timeout_s)
        keeps = self._keeps_answers and words == "ok"
        return Completion(token, done_ns, words, Payload(call.result()) if keeps else EMPTY)
