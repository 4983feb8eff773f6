"""The Open Inference Protocol over HTTP: addresses, headers, compression, status codes.

What a request asks for is done elsewhere: inference in `inference`, loading in `served_models`.
"""

from __future__ import annotations

import asyncio
import base64
import sys
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from . import introspection
from .codec import parse_json
from .config import ConfigError
from .http_connection import ClientLimits, Server
from .http_messages import (
    JSON_LENGTH_HEADER,
    JSON_LENGTH_KEY,
    HttpError,
    Request,
    Response,
    error_response,
    json_response,
)
from .inference import LARGE_BYTES, Inference, decode, encode
from .inference_request import BadRequest
from .management import Management
from .routing import Router
from .served_models import NotLoaded, NotServed, ServedModels


class Routes:
    """Answers the HTTP requests of the protocol."""

    def __init__(self, models: ServedModels) -> None:
        self.models = models
        self.management = Management(models)
        self._metrics: Any = None
        self.server: Server | None = None

    def serve(self, limits: ClientLimits) -> Server:
        """Return the HTTP server that answers with these routes; its connections are part of the metrics."""
        self.server = Server(self, limits)
        return self.server

    async def __call__(self, request: Request) -> Response:
        """Answer a request; errors are answered in the protocol's form."""
        started_s = time.perf_counter()
        try:
            response = await self._route(request)
        except (BadRequest, ConfigError, NotLoaded) as error:
            response = error_response(str(error), 400)
        except NotServed as error:
            response = error_response(str(error), 404)
        except HttpError as error:
            response = error_response(str(error), error.status)
        except MemoryError:
            response = error_response("not enough memory for this request", 503)
        if self.management.log_settings["log_verbose_level"]:
            duration_ms = (time.perf_counter() - started_s) * 1000
            print(
                f"{request.method} {request.path} {response.status} {duration_ms:.2f} ms", file=sys.stderr, flush=True
            )
        return response

    async def _route(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        if (found := _ROUTER.find(method, request.parts)) is not None:
            handler, names = found
            return await handler(self, request, *names)
        if tuple(request.parts[:2]) in (("v2", "systemsharedmemory"), ("v2", "cudasharedmemory")):
            return self._shared_memory(request.parts[-1])
        if method not in ("GET", "POST"):
            raise HttpError(405, f"{request.method} is not served; the protocol has GET and POST")
        raise HttpError(404, f"nothing is served at {request.method} {request.path}")

    # --- inference ----------------------------------------------------------------------------------------------------

    async def _infer(self, request: Request, name: str, version: str | None = None) -> Response:
        with Inference(self.models.acquire(name, version)) as inference:
            accepted_encodings = request.headers.get(b"accept-encoding", b"")
            body = await self._plain_body(request)
            request.body = memoryview(b"")  # what no input is a view of is freed here, before the model runs
            decoded = await decode(inference.model, body, _json_length(request.headers, len(body)))
            del body
            answer = await inference.run(decoded)
            parts, json_length = await encode(answer)
            if json_length is None:
                response = Response(parts)
            else:
                headers = {JSON_LENGTH_HEADER: str(json_length)}
                response = Response(parts, 200, "application/octet-stream", headers)
            return await _compress(response, accepted_encodings)

    async def _plain_body(self, request: Request) -> memoryview:
        """Return the body, decompressed if it is compressed."""
        encoding = request.headers.get(b"content-encoding", b"identity").strip().lower()
        if encoding in (b"identity", b""):
            return request.body
        if encoding not in (b"gzip", b"deflate"):
            raise HttpError(415, f"Content-Encoding {encoding.decode('latin-1')!r}; expected gzip or deflate")
        assert self.server is not None
        limit = self.server.limits.body_bytes - self.server.bytes_in_flight
        if len(request.body) < 4096:
            plain = _decompressed(request.body, limit)
        else:
            plain = await asyncio.to_thread(_decompressed, request.body, limit)
        if not request.reserve(len(plain)):
            raise HttpError(503, "the server is busy with other requests; try again")
        return memoryview(plain)

    # --- everything else ----------------------------------------------------------------------------------------------

    async def _server(self, request: Request) -> Response:
        return json_response(self.management.server())

    async def _live(self, request: Request) -> Response:
        return Response()

    async def _ready(self, request: Request) -> Response:
        return Response(status=200 if self.management.is_ready() else 503)

    async def _metadata(self, request: Request, name: str, version: str | None = None) -> Response:
        return json_response(self.management.metadata(name, version))

    async def _model_ready(self, request: Request, name: str, version: str | None = None) -> Response:
        self.models.get(name, version)
        return Response()

    async def _config(self, request: Request, name: str, version: str | None = None) -> Response:
        return json_response(self.management.config(name, version))

    async def _statistics(self, request: Request, name: str | None = None, version: str | None = None) -> Response:
        return json_response(self.management.statistics(name, version))

    async def _index(self, request: Request) -> Response:
        ready_only = self._document(request).get("ready") is True
        return json_response(self.management.index(ready_only=ready_only))

    async def _unload(self, request: Request, name: str) -> Response:
        await self.management.unload(name)
        return json_response({})

    def _shared_memory(self, action: str) -> Response:
        """Answer the extension's status and unregister, which clients call in any case."""
        if action in ("status", "unregister"):
            return json_response([] if action == "status" else {})
        raise HttpError(400, "this server offers no shared memory: send tensors as binary data")

    async def _load(self, request: Request, name: str) -> Response:
        parameters = self._document(request).get("parameters") or {}
        if not isinstance(parameters, dict):
            raise BadRequest("'parameters' must be an object")
        decoded: dict[str, Any] = {}
        for key, value in parameters.items():
            try:
                is_file = key.startswith("file:") and isinstance(value, str)
                decoded[key] = base64.b64decode(value, validate=True) if is_file else value
            except ValueError as error:
                raise BadRequest(f"parameter {key!r} is not base64: {error}") from error
        await self.management.load(name, decoded)
        return json_response({})

    def _document(self, request: Request) -> dict[str, Any]:
        return parse_json(request.body) if len(request.body) else {}

    async def _logging(self, request: Request) -> Response:
        return json_response(self.management.set_logging(self._update(request)))

    async def _trace(self, request: Request, name: str | None = None) -> Response:
        return json_response(self.management.set_tracing(self._update(request), name))

    def _update(self, request: Request) -> dict[str, Any]:
        """Return the settings that a request changes: those in its document if it is a POST."""
        return self._document(request) if request.method == "POST" else {}

    async def _prometheus(self, request: Request) -> Response:
        if self._metrics is None:
            from .prometheus import Metrics  # imports prometheus_client, when a scrape first asks

            assert self.server is not None
            self._metrics = Metrics(self.models, self.server)
        accept = request.headers.get(b"accept", b"").decode("latin-1")
        text, media_type = self._metrics.render(accept)
        return Response((text,), 200, media_type)

    async def _set_pace(self, request: Request) -> Response:
        """Set the shortest time of an inference by model, in milliseconds; see `pace`."""
        if self.models.pace is None:
            raise HttpError(404, f"nothing is served at {request.method} {request.path}: this server is not paced")
        least_ms = self._document(request).get("least_ms")
        if not isinstance(least_ms, dict) or not all(isinstance(ms, (int, float)) for ms in least_ms.values()):
            raise BadRequest("'least_ms' must be an object of milliseconds by model")
        self.models.pace.set({name: ms / 1e3 for name, ms in least_ms.items()})
        return json_response({})

    async def _board(self, request: Request) -> Response:
        return json_response(await asyncio.to_thread(self._description))

    def _description(self) -> dict[str, Any]:
        description = introspection.describe()
        runtime = self.models.runtime
        description["runtime"] = f"{runtime.name} {runtime.version}"
        description["providers"] = list(runtime.providers)
        description["gpus"] = runtime.gpus
        description["model_load_s"] = {model.name: model.load_s for model in self.models.loaded()}
        return description


_Handler = Callable[..., Awaitable[Response]]
_ROUTER: Router[_Handler] = Router(
    [
        ("POST", "v2/models/{}/infer", Routes._infer),
        ("POST", "v2/models/{}/versions/{}/infer", Routes._infer),
        ("GET", "v2", Routes._server),
        ("GET", "v2/health/live", Routes._live),
        ("GET", "v2/health/ready", Routes._ready),
        ("GET", "v2/models/stats", Routes._statistics),
        ("GET", "v2/models/{}/stats", Routes._statistics),
        ("GET", "v2/models/{}/versions/{}/stats", Routes._statistics),
        ("GET", "v2/models/{}", Routes._metadata),
        ("GET", "v2/models/{}/versions/{}", Routes._metadata),
        ("GET", "v2/models/{}/ready", Routes._model_ready),
        ("GET", "v2/models/{}/versions/{}/ready", Routes._model_ready),
        ("GET", "v2/models/{}/config", Routes._config),
        ("GET", "v2/models/{}/versions/{}/config", Routes._config),
        ("POST", "v2/repository/index", Routes._index),
        ("POST", "v2/repository/models/{}/load", Routes._load),
        ("POST", "v2/repository/models/{}/unload", Routes._unload),
        ("GET", "v2/logging", Routes._logging),
        ("POST", "v2/logging", Routes._logging),
        ("GET", "v2/trace/setting", Routes._trace),
        ("POST", "v2/trace/setting", Routes._trace),
        ("GET", "v2/models/{}/trace/setting", Routes._trace),
        ("POST", "v2/models/{}/trace/setting", Routes._trace),
        ("GET", "metrics", Routes._prometheus),
        ("POST", "edgesim/pace", Routes._set_pace),
        ("GET", "edgesim/board", Routes._board),
    ]
)


def _json_length(headers: Mapping[bytes, bytes], body_length: int) -> int:
    """Return how many bytes of a body are JSON: all, unless a header says otherwise."""
    value = headers.get(JSON_LENGTH_KEY)
    if value is None:
        return body_length
    if not value.isdigit() or len(value) > 15:
        raise BadRequest(f"{JSON_LENGTH_HEADER} is {value.decode('latin-1')!r}; expected a number of bytes")
    if int(value) > body_length:
        raise BadRequest(f"{JSON_LENGTH_HEADER} is {int(value)}, but the body has {body_length} bytes")
    return int(value)


def _decompressed(data: memoryview, limit: int) -> bytes:
    decompressor = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, as the first bytes say
    try:
        plain = decompressor.decompress(data, max(limit, 1))
    except zlib.error as error:
        raise BadRequest(f"the body is not what its Content-Encoding says: {error}") from error
    if decompressor.unconsumed_tail:
        raise HttpError(413, f"the body unfolds to more than the {limit} bytes that are free")
    if not decompressor.eof:
        raise BadRequest("the compressed body ends too early")
    return plain


async def _compress(response: Response, accepted_encodings: bytes) -> Response:
    """Return the response, compressed if the client's Accept-Encoding header names gzip or deflate."""
    encoding = next((word for word in ("gzip", "deflate") if word.encode() in accepted_encodings.lower()), None)
    if encoding is None:
        return response
    window = zlib.MAX_WBITS | 16 if encoding == "gzip" else zlib.MAX_WBITS

    def work() -> bytes:
        # The lowest level, because a board's processor limits the speed of its answers, and the network does not.
        compressor = zlib.compressobj(1, wbits=window)
        return b"".join([*(compressor.compress(part) for part in response.parts), compressor.flush()])

    large = sum(len(part) for part in response.parts) > LARGE_BYTES
    body = await asyncio.to_thread(work) if large else work()
    return Response((body,), response.status, response.media_type, {**response.headers, "Content-Encoding": encoding})
