"""The Open Inference Protocol over HTTP: what is asked for at which address, and errors in its form."""

import asyncio
import base64
import re
import sys
import time
import zlib
from collections.abc import Mapping
from typing import Any

import onnxruntime

from . import config, introspection
from .codec import BadRequest, InferRequest, WantedOutput, encode_response, parse_json
from .config import ConfigError
from .http_connection import Limits, Request, Response, Server, error_response, json_response
from .model import LoadedModel
from .model_statistics import Timing
from .pace import Pace
from .served_models import NotLoaded, NotServed, Repository
from .worker import Job

NAME = "edgesim"
VERSION = "1"
EXTENSIONS = (
    "binary_tensor_data",
    "classification",
    "statistics",
    "model_configuration",
    "model_repository",
    "logging",
)
# More JSON or text than this is decoded off the event loop, so that health and other requests are answered meanwhile.
_LARGE_BYTES = 256 << 10
_SENT_FILE = re.compile(r"file:([0-9]+)/model\.onnx")
_JSON_LENGTH = b"inference-header-content-length"


class _HttpError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Application:
    """The protocol's HTTP interface to a model repository."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.log_settings: dict[str, Any] = {
            "log_file": "",
            "log_info": True,
            "log_warning": True,
            "log_error": True,
            "log_verbose_level": 0,
            "log_format": "default",
        }
        self._metrics: Any = None
        self.server: Server | None = None

    def serve(self, limits: Limits) -> Server:
        """The HTTP server of this application; its connections count in the metrics."""
        self.server = Server(self, limits)
        return self.server

    async def __call__(self, request: Request) -> Response:
        begun = time.perf_counter()
        try:
            response = await self._route(request)
        except (BadRequest, ConfigError, NotLoaded) as error:
            response = error_response(str(error), 400)
        except NotServed as error:
            response = error_response(str(error), 404)
        except _HttpError as error:
            response = error_response(str(error), error.status)
        except MemoryError:
            response = error_response("not enough memory for this request", 503)
        if self.log_settings["log_verbose_level"]:
            took_ms = (time.perf_counter() - begun) * 1000
            print(f"{request.method} {request.path} {response.status} {took_ms:.2f} ms", file=sys.stderr, flush=True)
        return response

    async def _route(self, request: Request) -> Response:
        parts = request.parts
        method = "GET" if request.method == "HEAD" else request.method
        match method, *parts:
            case "POST", "v2", "models", name, "infer":
                return await self._infer(request, name, None)
            case "POST", "v2", "models", name, "versions", version, "infer":
                return await self._infer(request, name, version)
            case "GET", "v2":
                return json_response({"name": NAME, "version": VERSION, "extensions": EXTENSIONS})
            case "GET", "v2", "health", "live":
                return Response()
            case "GET", "v2", "health", "ready":
                return Response(status=200 if self.repository.loaded() else 503)
            case "GET", "v2", "models", "stats":
                return self._statistics(self.repository.loaded())
            case "GET", "v2", "models", name, "stats":
                self.repository.get(name)
                versions = self.repository.versions(name)
                return self._statistics([self.repository.get(name, version) for version in versions])
            case "GET", "v2", "models", name, "versions", version, "stats":
                return self._statistics([self.repository.get(name, version)])
            case ("GET", "v2", "models", name) | ("GET", "v2", "models", name, "ready" | "config"):
                return self._describe(name, None, parts[-1] if len(parts) > 3 else "")
            case "GET", "v2", "models", name, "versions", version:
                return self._describe(name, version, "")
            case "GET", "v2", "models", name, "versions", version, "ready" | "config":
                return self._describe(name, version, parts[-1])
            case "POST", "v2", "repository", "index":
                ready_only = self._document(request).get("ready") is True
                index = self.repository.index()
                return json_response([entry for entry in index if not ready_only or entry["state"] == "READY"])
            case "POST", "v2", "repository", "models", name, "load":
                return await self._load(name, self._document(request))
            case "POST", "v2", "repository", "models", name, "unload":
                await asyncio.to_thread(self.repository.unload, name)
                return json_response({})
            case (("GET" | "POST"), "v2", "logging"):
                return self._logging(request if method == "POST" else None)
            case (("GET" | "POST"), "v2", "trace", "setting"):
                return self._trace(request if method == "POST" else None)
            case (("GET" | "POST"), "v2", "models", name, "trace", "setting"):
                self.repository.get(name)
                return self._trace(request if method == "POST" else None)
            case _, "v2", "systemsharedmemory" | "cudasharedmemory", *rest:
                if rest[-1:] in (["status"], ["unregister"]):
                    return json_response([] if rest[-1] == "status" else {})
                raise _HttpError(400, "this server offers no shared memory: send tensors as binary data")
            case "GET", "metrics":
                return self._prometheus(request)
            case "POST", "edgesim", "pace" if self.repository.pace is not None:
                return self._set_pace(self.repository.pace, self._document(request))
            case "GET", "edgesim", "board":
                return json_response(await asyncio.to_thread(self._board))
        if method not in ("GET", "POST"):
            raise _HttpError(405, f"{request.method} is not served; the protocol has GET and POST")
        raise _HttpError(404, f"nothing is served at {request.method} {request.path}")

    # --- inference ----------------------------------------------------------------------------------------------------

    async def _infer(self, request: Request, name: str, version: str | None) -> Response:
        model = self.repository.acquire(name, version)
        begun = time.perf_counter_ns()
        try:
            return await self._infer_with(model, request, begun)
        except BaseException:
            model.statistics.failed(time.perf_counter_ns() - begun)
            raise
        finally:
            model.release()

    async def _infer_with(self, model: LoadedModel, request: Request, begun: int) -> Response:
        accepted = request.headers.get(b"accept-encoding", b"")
        decoded = await self._decode(model, request)
        batched = model.config.dynamic_batching
        rows = _rows(model, decoded)
        job = Job(
            decoded.inputs, [want.name for want in decoded.outputs], batched=batched, loop=asyncio.get_running_loop()
        )
        model.worker.submit(job)
        try:
            results = await job.done
        except _RUNTIME_ERRORS as error:
            raise BadRequest(f"model {model.name!r} cannot run with these inputs: {_one_line(error)}") from error
        answer: dict[str, Any] = {"model_name": model.name, "model_version": model.version}
        if decoded.id is not None:
            answer["id"] = decoded.id
        encoding = (answer, decoded.outputs, results, model.outputs, model.labels)
        if _is_large(decoded.outputs, results):
            parts, json_length = await asyncio.to_thread(encode_response, *encoding)
        else:
            parts, json_length = encode_response(*encoding)
        headers = {} if json_length is None else {"Inference-Header-Content-Length": str(json_length)}
        media_type = "application/json" if json_length is None else "application/octet-stream"
        response = await _compress(Response(parts, 200, media_type, headers), accepted)
        timing = Timing(
            queue_ns=job.started_ns - job.queued_ns,
            input_ns=job.queued_ns - begun,
            infer_ns=job.finished_ns - job.started_ns,
            output_ns=time.perf_counter_ns() - job.finished_ns,
            rows=rows,
            batch_rows=job.batch_rows if batched else rows,
        )
        model.statistics.succeeded(timing)
        return response

    async def _decode(self, model: LoadedModel, request: Request) -> InferRequest:
        body = await self._plain_body(request)
        request.body = memoryview(b"")  # what is not a view in an input is free from here on
        json_length = _json_length(request.headers, len(body))
        if len(body) if model.takes_text else json_length > _LARGE_BYTES:
            return await asyncio.to_thread(model.decode, body, json_length)
        return model.decode(body, json_length)

    async def _plain_body(self, request: Request) -> memoryview:
        encoding = request.headers.get(b"content-encoding", b"identity").strip().lower()
        if encoding in (b"identity", b""):
            return request.body
        if encoding not in (b"gzip", b"deflate"):
            raise _HttpError(415, f"Content-Encoding {encoding.decode('latin-1')!r}; expected gzip or deflate")
        assert self.server is not None
        limit = self.server.limits.body_bytes - self.server.held_bytes
        inflate = _inflate if len(request.body) < 4096 else _inflate_in_thread
        plain = await inflate(request.body, limit)
        if not request.hold(len(plain)):
            raise _HttpError(503, "the server is busy with other requests; try again")
        return memoryview(plain)

    # --- everything else ----------------------------------------------------------------------------------------------

    def _describe(self, name: str, version: str | None, what: str) -> Response:
        model = self.repository.get(name, version)
        if what == "ready":
            return Response()
        if what == "config":
            return json_response(model.config.as_json(name, model.inputs, model.outputs))
        return json_response(model.metadata(self.repository.versions(name)))

    def _statistics(self, models: list[LoadedModel]) -> Response:
        return json_response({"model_stats": [m.statistics.as_json(m.name, m.version) for m in models]})

    async def _load(self, name: str, document: dict[str, Any]) -> Response:
        parameters = document.get("parameters") or {}
        if not isinstance(parameters, dict):
            raise BadRequest("'parameters' must be an object")
        files = {}
        for key, value in parameters.items():
            if key == "config":
                continue
            sent = _SENT_FILE.fullmatch(key)
            if sent is None or not isinstance(value, str):
                raise BadRequest(f"parameter {key[:80]!r}: only 'config' and 'file:VERSION/model.onnx' are understood")
            try:
                files[sent[1]] = base64.b64decode(value, validate=True)
            except ValueError as error:
                raise BadRequest(f"parameter {key!r} is not base64: {error}") from error
        settings = None
        if "config" in parameters:
            if not isinstance(parameters["config"], str):
                raise BadRequest("parameter 'config' must be a string of JSON")
            settings = config.from_json(parameters["config"], name, source="parameters.config")
        if "/" in name or name in (".", ".."):
            raise BadRequest(f"{name!r} is no model's name")
        await asyncio.to_thread(self.repository.load, name, settings, files)
        return json_response({})

    def _document(self, request: Request) -> dict[str, Any]:
        return parse_json(request.body) if len(request.body) else {}

    def _logging(self, update: Request | None) -> Response:
        for key, value in (self._document(update) if update else {}).items():
            known = self.log_settings.get(key)
            if known is None:
                raise BadRequest(f"unknown logging setting {key!r}; there are {', '.join(self.log_settings)}")
            if type(value) is not type(known):
                raise BadRequest(f"logging setting {key!r} is {value!r}; expected a {type(known).__name__}")
            if key in ("log_file", "log_format") and value != known:
                raise BadRequest(f"logging setting {key!r}: this server logs to its standard error alone")
            self.log_settings[key] = value
        self.repository.verbose = bool(self.log_settings["log_info"])
        return json_response(self.log_settings)

    def _trace(self, update: Request | None) -> Response:
        settings = {
            "trace_level": ["OFF"],
            "trace_rate": "1000",
            "trace_count": "-1",
            "log_frequency": "0",
            "trace_file": "",
            "trace_mode": "triton",
        }
        for key, value in (self._document(update) if update else {}).items():
            if value is not None and value != settings.get(key):
                raise BadRequest(
                    f"trace setting {key!r}: this server records no traces; see /v2/models/stats and /metrics"
                )
        return json_response(settings)

    def _prometheus(self, request: Request) -> Response:
        if self._metrics is None:
            from .prometheus import Metrics  # its library is imported when it is first asked for

            assert self.server is not None
            self._metrics = Metrics(self.repository, self.server)
        accept = request.headers.get(b"accept", b"").decode("latin-1")
        text, media_type = self._metrics.render(accept)
        return Response((text,), 200, media_type)

    def _set_pace(self, pace: Pace, document: dict[str, Any]) -> Response:
        """The least time of an inference by model, in milliseconds; see `pace`."""
        least_ms = document.get("least_ms")
        if not isinstance(least_ms, dict) or not all(isinstance(ms, int | float) for ms in least_ms.values()):
            raise BadRequest("'least_ms' must be an object of milliseconds by model")
        pace.set({name: ms / 1e3 for name, ms in least_ms.items()})
        return json_response({})

    def _board(self) -> dict[str, Any]:
        described = introspection.describe()
        described["runtime"] = f"onnxruntime {onnxruntime.__version__}"
        described["model_load_s"] = {model.name: model.load_s for model in self.repository.loaded()}
        return described


# What ONNX Runtime raises while it runs is about the values that it was given: shapes that do not go together, an index
# out of bounds, a size that no memory holds.
_STATE = onnxruntime.capi.onnxruntime_pybind11_state
_RUNTIME_ERRORS = (_STATE.InvalidArgument, _STATE.Fail, _STATE.RuntimeException, _STATE.NotImplemented, ValueError)


def _rows(model: LoadedModel, request: InferRequest) -> int:
    """The size of the batch, 1 where the model has none."""
    largest = model.config.max_batch_size
    if not largest:
        return 1
    sizes = {name: array.shape[0] for name, array in request.inputs.items()}
    if len(set(sizes.values())) > 1:
        raise BadRequest(
            f"inputs of different batch sizes: {', '.join(f'{name!r} {size}' for name, size in sizes.items())}"
        )
    rows: int = next(iter(sizes.values()))
    if not 1 <= rows <= largest:
        raise BadRequest(
            f"input {next(iter(sizes))!r} has a batch of {rows}; model {model.name!r} takes 1 to {largest}"
        )
    return rows


def _json_length(headers: Mapping[bytes, bytes], body_length: int) -> int:
    """How much of a body is JSON: all of it, where no header says otherwise."""
    value = headers.get(_JSON_LENGTH)
    if value is None:
        return body_length
    if not value.isdigit() or len(value) > 15:
        raise BadRequest(f"Inference-Header-Content-Length is {value.decode('latin-1')!r}; expected a number of bytes")
    if int(value) > body_length:
        raise BadRequest(f"Inference-Header-Content-Length is {int(value)}, but the body has {body_length} bytes")
    return int(value)


def _is_large(wanted: tuple[WantedOutput, ...], results: list[Any]) -> bool:
    """Whether there is much to do for an answer: JSON or text of many values."""
    return any(
        result.nbytes > _LARGE_BYTES and (not want.binary or want.classes or result.dtype.hasobject)
        for want, result in zip(wanted, results, strict=True)
    )


async def _inflate(data: memoryview, limit: int) -> bytes:
    return _inflated(data, limit)


async def _inflate_in_thread(data: memoryview, limit: int) -> bytes:
    return await asyncio.to_thread(_inflated, data, limit)


def _inflated(data: memoryview, limit: int) -> bytes:
    inflating = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, as its head says
    try:
        plain = inflating.decompress(data, max(limit, 1))
    except zlib.error as error:
        raise BadRequest(f"the body is not what its Content-Encoding says: {error}") from error
    if inflating.unconsumed_tail:
        raise _HttpError(413, f"the body unfolds to more than the {limit} bytes that are free")
    if not inflating.eof:
        raise BadRequest("the compressed body ends too early")
    return plain


async def _compress(response: Response, accepted: bytes) -> Response:
    encoding = next((word for word in ("gzip", "deflate") if word.encode() in accepted.lower()), None)
    if encoding is None:
        return response
    window = zlib.MAX_WBITS | 16 if encoding == "gzip" else zlib.MAX_WBITS

    def work() -> bytes:
        # The lowest level: what is sent to a board's neighbours is bound by its processor, not by the network.
        deflating = zlib.compressobj(1, wbits=window)
        return b"".join([*(deflating.compress(part) for part in response.parts), deflating.flush()])

    large = sum(len(part) for part in response.parts) > _LARGE_BYTES
    body = await asyncio.to_thread(work) if large else work()
    return Response((body,), response.status, response.media_type, {**response.headers, "Content-Encoding": encoding})


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
