"""Where a server answers, and by which protocol requests go there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from edgesim.inputs import Arrays
from edgesim.loadgen.client import Answer, Client, WhileWaiting
from edgesim.loadgen.generator import Transport
from edgesim.loadgen.payload import Payload
from edgesim.loadgen.transport import HttpTransport
from edgesim.models.repository import Model


class Peer(Protocol):
    """A client that sends one request at a time: `edgesim.loadgen.client.Client`, or the same over gRPC."""

    def encode(self, arrays: Arrays) -> Payload:
        """Return the body of a request. Call this before the load begins: it takes time."""

    def on_the_wire(self, payload: Payload) -> bytes:
        """Return a request as the protocol's transport sends it."""

    def infer(self, payload: Payload) -> Answer:
        """Send one request and wait for its answer. A failure is in the answer's outcome; nothing is raised."""

    def decode(self, payload: Payload) -> dict[str, NDArray[Any]]:
        """Return the output arrays of an answer, by name."""

    def answer(self, arrays: Arrays) -> dict[str, NDArray[Any]]:
        """Send one request, and return the outputs by name.

        Raises:
            RequestFailed: with the outcome.
        """

    def get_json(self, path: str) -> dict[str, Any]:
        """Return the JSON document that the server has at `path` over HTTP; empty without one."""

    def close(self) -> None:
        """Close the connection."""


class LoadTransport(Transport, Protocol):
    """A transport to one server, with the largest number of connections that were open at a time."""

    most_open: int

    def __enter__(self) -> LoadTransport:
        """Return the transport."""

    def __exit__(self, *_: object) -> None:
        """Close all connections, without waiting for answers."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where a server answers.

    Attributes:
        grpc_address: ``HOST:PORT``, where requests go by gRPC; None means that they go to `url` by HTTP.
        while_waiting: a client calls this function again and again while the client waits for an answer, with the
            seconds since the request was sent. An error that the function raises ends the wait.
    """

    url: str
    grpc_address: str | None = None
    while_waiting: WhileWaiting | None = None

    def peer(self, model: Model, *, timeout_s: float) -> Peer:
        """Return a client for one model; the caller closes it."""
        if self.grpc_address is None:
            return Client(self.url, model, timeout_s=timeout_s, while_waiting=self.while_waiting)
        from edgesim.loadgen.grpc_client import GrpcClient  # grpcio is an extra, and takes start-up time

        return GrpcClient(
            self.grpc_address,
            model,
            timeout_s=timeout_s,
            http=Client(self.url, model, timeout_s=timeout_s),
            while_waiting=self.while_waiting,
        )

    def transport(self, *, connections: int, timeout_s: float, keeps_answers: bool) -> LoadTransport:
        """Connect to the server.

        Args:
            connections: the most requests that are under way at a time.
            keeps_answers: whether completions have the answers.

        Raises:
            OSError: no server listens.
        """
        if self.grpc_address is None:
            return HttpTransport(self.url, connections=connections, timeout_s=timeout_s, keeps_answers=keeps_answers)
        from edgesim.loadgen.grpc_transport import GrpcTransport

        return GrpcTransport(
            self.grpc_address, connections=connections, timeout_s=timeout_s, keeps_answers=keeps_answers
        )
