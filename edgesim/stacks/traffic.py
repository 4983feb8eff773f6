"""What is sent to a stack's entry: a model's inputs by the inference protocol, or the request that the file gives."""

import socket
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit

from edgesim.errors import StackError
from edgesim.loadgen import client, inputs
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import InputOptions
from edgesim.stacks.resolve import Resolved
from edgesim.stacks.stack import Entry, Request
from edgesim.stacks.up import Running


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Whole requests, sent in turn over and over, and in a few words what they are."""

    url: str
    requests: Sequence[bytes]
    origin: str


def check(resolved: Resolved, wishes: InputOptions) -> None:
    """Before the work: whether there is something to send.

    Raises:
        UsageError: there is no entry, its model or its file is not there, or the inputs do not fit.
    """
    entry = entry_of(resolved)
    if entry.request is None:
        inputs.choose(_model(resolved, entry), wishes)
        return
    if wishes != InputOptions(seed=wishes.seed):
        raise StackError("--input, --shape, --range: are for entry.model; entry.request has a body of its own")
    _body(entry.request)


def entry_of(resolved: Resolved) -> Entry:
    """The stack's entry.

    Raises:
        StackError: it has none.
    """
    if resolved.stack.entry is None:
        raise StackError(
            f"stack {resolved.name}: has no entry, and so nothing to send requests to",
            fix="name the service that is addressed: entry: NAME",
        )
    return resolved.stack.entry


def traffic(running: Running, wishes: InputOptions, *, timeout_s: float) -> Traffic:
    """What is to be sent, and where: straight to the container where this host has a way to it."""
    entry, url = entry_of(running.resolved), _direct_url(running)
    if entry.request is not None:
        request = entry.request
        return Traffic(url=url, requests=[_request(request, url)], origin=f"{request.method} {request.path}")
    asked = _model(running.resolved, entry)
    chosen = inputs.choose(asked, wishes)
    with closing(client.Client(url, asked, timeout_s=timeout_s)) as peer:
        wire = [peer.on_the_wire(peer.encode(arrays)) for arrays in chosen.requests]
    return Traffic(url=url, requests=wire, origin=f"model {asked.name}: {chosen.origin}")


def _model(resolved: Resolved, entry: Entry) -> Model:
    served = {each.name: each for part in resolved.parts.values() for each in part.models}
    if entry.model is None:
        (only,) = resolved.parts[entry.service].models
        return only
    return served[entry.model] if entry.model in served else repository.find(entry.model)


def _request(request: Request, url: str) -> bytes:
    body = _body(request)
    headers = {"Host": urlsplit(url).netloc, "Content-Length": str(len(body)), "Content-Type": "application/json"}
    headers |= request.headers
    lines = [f"{request.method} {request.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _body(request: Request) -> bytes:
    if request.body is None:
        return b""
    try:
        return request.body.read_bytes()
    except OSError as error:
        raise StackError(f"entry.request.body: {request.body}: {error.strerror}") from error


def _direct_url(running: Running) -> str:
    name = entry_of(running.resolved).service
    state, port = running.watch.states[name], running.resolved.parts[name].service.inner_port
    if running.engine.facts.here and state.address is not None and port is not None:
        try:
            socket.create_connection((state.address, port), timeout=1).close()
        except OSError:
            return running.url
        return f"http://{state.address}:{port}"
    return running.url
