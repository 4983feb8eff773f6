"""The requests to a stack's entry: a model's inputs by the inference protocol, or the request of the stack file."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit

from edgesim import inputs
from edgesim.engine import addresses
from edgesim.errors import StackError
from edgesim.loadgen.endpoint import Endpoint
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import InputOptions
from edgesim.stacks.resolve import Resolved
from edgesim.stacks.running import RunningStack
from edgesim.stacks.stack import Entry, Request


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Requests to the entry, sent in turn and repeatedly.

    Attributes:
        endpoint: where the entry answers, and by which protocol.
        requests: the bytes of each whole request.
        origin: a few words on what the requests are.
    """

    endpoint: Endpoint
    requests: Sequence[bytes]
    origin: str


def check(resolved: Resolved, options: InputOptions) -> None:
    """Check before any work that there is something to send.

    Raises:
        UsageError: the stack has no entry, the entry's model or file does not exist, or the inputs do not fit.
    """
    entry = entry_of(resolved)
    if entry.request is None:
        inputs.choose(_model(resolved, entry), options)
        return
    if options != InputOptions(seed=options.seed):
        raise StackError("options of inputs are for entry.model; entry.request has its own body")
    _body(entry.request)


def entry_of(resolved: Resolved) -> Entry:
    """Return the stack's entry.

    Raises:
        StackError: the stack has none.
    """
    if resolved.stack.entry is None:
        raise StackError(
            f"stack {resolved.name}: has no entry for requests",
            fix="name the service that receives the requests: entry: NAME",
        )
    return resolved.stack.entry


def traffic(running: RunningStack, options: InputOptions, *, timeout_s: float) -> Traffic:
    """Return the requests and their address: the container's own if this host reaches it, else the published port."""
    entry, url = entry_of(running.resolved), _direct_url(running)
    if entry.request is not None:
        request = entry.request
        return Traffic(
            endpoint=Endpoint(url=url), requests=[_request(request, url)], origin=f"{request.method} {request.path}"
        )
    model = _model(running.resolved, entry)
    chosen = inputs.choose(model, options)
    endpoint = Endpoint(url=url)
    with closing(endpoint.peer(model, timeout_s=timeout_s)) as peer:
        wire = [peer.on_the_wire(peer.encode(arrays)) for arrays in chosen.requests]
    origin = f"model {model.name}: {chosen.origin}"
    if chosen.sequence is not None:
        origin += "; a stack's requests stand for themselves, and feed no state"
    return Traffic(endpoint=endpoint, requests=wire, origin=origin)


def _model(resolved: Resolved, entry: Entry) -> Model:
    models = {model.name: model for service in resolved.services.values() for model in service.models}
    if entry.model is None:
        (only,) = resolved.services[entry.service].models
        return only
    return models[entry.model] if entry.model in models else repository.find(entry.model)


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


def _direct_url(running: RunningStack) -> str:
    name = entry_of(running.resolved).service
    state, port = running.monitor.states[name], running.resolved.services[name].spec.inner_port
    if running.engine.facts.shares_network and state.address is not None and port is not None:
        return addresses.answering(f"http://{state.address}:{port}", instead=running.url)
    return running.url
