"""The calls of Triton's GRPCInferenceService: messages in, messages out, and errors as status codes.

What a call asks for is done elsewhere: inference in `inference`, all else in `management`.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.message import DecodeError

from ..config import ConfigError
from ..http_connection import Server
from ..inference import LARGE_BYTES, Inference
from ..inference_request import BadRequest
from ..management import Management
from ..served_models import NotLoaded, NotServed
from .messages import SERVICE, TYPES, chosen
from .tensors import read_request, takes_long, write_response

_HEALTH = "grpc.health.v1.Health"  # github.com/grpc/grpc-proto, grpc/health/v1/health.proto
_SERVING, _NOT_SERVING = b"\x08\x01", b"\x08\x02"  # its response: field 1, an enum
_NO_SHARED_MEMORY = "this server offers no shared memory: send tensors in raw_input_contents"


class _Refused(Exception):
    """A call that ends with a status of its own."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class Service:
    """Answers the calls of the protocol.

    Args:
        bytes_in_flight: the HTTP server, whose bound on the bytes in flight holds for both transports together.
    """

    def __init__(self, management: Management, bytes_in_flight: Server) -> None:
        self._management = management
        self._budget = bytes_in_flight

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """Return the handlers for grpcio. Requests come as bytes, because what is no message has to be answered."""
        unary = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._server_metadata,
            "ModelMetadata": self._model_metadata,
            "ModelConfig": self._model_config,
            "ModelStatistics": self._model_statistics,
            "ModelInfer": self._infer,
            "RepositoryIndex": self._repository_index,
            "RepositoryModelLoad": self._load,
            "RepositoryModelUnload": self._unload,
            "TraceSetting": self._trace_setting,
            "LogSettings": self._log_settings,
        }
        for kind in ("System", "Cuda"):
            unary |= {
                # Clients ask for the status, and unregister, in any case.
                f"{kind}SharedMemoryStatus": self._nothing,
                f"{kind}SharedMemoryUnregister": self._nothing,
                f"{kind}SharedMemoryRegister": self._no_shared_memory,
            }
        calls = {name: grpc.unary_unary_rpc_method_handler(_answering(call)) for name, call in unary.items()}
        calls["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(self._stream)
        health = {"Check": grpc.unary_unary_rpc_method_handler(_answering(self._health))}
        return (
            grpc.method_handlers_generic_handler(SERVICE, calls),
            grpc.method_handlers_generic_handler(_HEALTH, health),
        )

    # --- inference ----------------------------------------------------------------------------------------------------

    async def _infer(self, data: bytes) -> bytes:
        self._reserve(len(data))
        try:
            return _serialised(await self._inferred(_parsed("ModelInferRequest", data)))
        finally:
            self._budget.bytes_in_flight -= len(data)

    async def _inferred(self, message: Any) -> Any:
        version = message.model_version or None
        with Inference(self._management.models.acquire(message.model_name, version)) as inference:
            if message.ByteSize() > LARGE_BYTES and takes_long(message, inference.model):
                request = await asyncio.to_thread(read_request, message, inference.model)
            else:
                request = read_request(message, inference.model)
            return write_response(await inference.run(request))

    def _reserve(self, size: int) -> None:
        taken, limit = self._budget.bytes_in_flight, self._budget.limits.body_bytes
        if taken and taken + size > limit:
            raise _Refused(
                grpc.StatusCode.UNAVAILABLE, f"the server is busy with {taken} bytes of other requests; try again"
            )
        self._budget.bytes_in_flight += size

    async def _stream(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        """Answer the requests of a stream one after the other, each with one response.

        A request that fails is answered with an `error_message`, and the stream goes on.
        """
        async for data in requests:
            yield await self._streamed(data)

    async def _streamed(self, data: bytes) -> bytes:
        answer = TYPES["ModelStreamInferResponse"]()
        try:
            self._reserve(len(data))
        except _Refused as error:
            answer.error_message = str(error)
            return _serialised(answer)
        try:
            request = _parsed("ModelInferRequest", data)
            answer.infer_response.id = request.id
            answer.infer_response.CopyFrom(await self._inferred(request))
            # As Triton has it: a model that gives one response to each request gives its final one.
            answer.infer_response.parameters["triton_final_response"].bool_param = True
        except Exception as error:
            answer.error_message = _status(error)[1]
        finally:
            self._budget.bytes_in_flight -= len(data)
        return _serialised(answer)

    # --- everything else ----------------------------------------------------------------------------------------------

    async def _server_live(self, data: bytes) -> bytes:
        return _serialised(TYPES["ServerLiveResponse"](live=True))

    async def _server_ready(self, data: bytes) -> bytes:
        return _serialised(TYPES["ServerReadyResponse"](ready=self._management.is_ready()))

    async def _health(self, data: bytes) -> bytes:
        return _SERVING if self._management.is_ready() else _NOT_SERVING

    async def _model_ready(self, data: bytes) -> bytes:
        request = _parsed("ModelReadyRequest", data)
        try:
            self._management.models.get(request.name, request.version or None)
        except NotServed:
            return _serialised(TYPES["ModelReadyResponse"](ready=False))
        return _serialised(TYPES["ModelReadyResponse"](ready=True))

    async def _server_metadata(self, data: bytes) -> bytes:
        return _document("ServerMetadataResponse", self._management.server())

    async def _model_metadata(self, data: bytes) -> bytes:
        request = _parsed("ModelMetadataRequest", data)
        return _document("ModelMetadataResponse", self._management.metadata(request.name, request.version or None))

    async def _model_config(self, data: bytes) -> bytes:
        request = _parsed("ModelConfigRequest", data)
        config = self._management.config(request.name, request.version or None)
        return _document("ModelConfigResponse", {"config": config})

    async def _model_statistics(self, data: bytes) -> bytes:
        request = _parsed("ModelStatisticsRequest", data)
        statistics = self._management.statistics(request.name or None, request.version or None)
        return _document("ModelStatisticsResponse", statistics)

    async def _repository_index(self, data: bytes) -> bytes:
        request = _parsed("RepositoryIndexRequest", data)
        return _document("RepositoryIndexResponse", {"models": self._management.index(ready_only=request.ready)})

    async def _load(self, data: bytes) -> bytes:
        request = _parsed("RepositoryModelLoadRequest", data)
        await self._management.load(request.model_name, {key: chosen(v) for key, v in request.parameters.items()})
        return b""

    async def _unload(self, data: bytes) -> bytes:
        await self._management.unload(_parsed("RepositoryModelUnloadRequest", data).model_name)
        return b""

    async def _trace_setting(self, data: bytes) -> bytes:
        request = _parsed("TraceSettingRequest", data)
        changes: dict[str, Any] = {}
        for key, setting in request.settings.items():
            values = list(setting.value)
            changes[key] = values if key == "trace_level" else ",".join(values)
        settings = self._management.set_tracing(
            {key: value for key, value in changes.items() if value}, request.model_name or None
        )
        response = TYPES["TraceSettingResponse"]()
        for key, value in settings.items():
            response.settings[key].value.extend(value if isinstance(value, list) else [value])
        return _serialised(response)

    async def _log_settings(self, data: bytes) -> bytes:
        request = _parsed("LogSettingsRequest", data)
        settings = self._management.set_logging({key: chosen(value) for key, value in request.settings.items()})
        response = TYPES["LogSettingsResponse"]()
        fields = {bool: "bool_param", int: "uint32_param", str: "string_param"}
        for key, value in settings.items():
            setattr(response.settings[key], fields[type(value)], value)
        return _serialised(response)

    async def _nothing(self, data: bytes) -> bytes:
        return b""

    async def _no_shared_memory(self, data: bytes) -> bytes:
        raise _Refused(grpc.StatusCode.UNIMPLEMENTED, _NO_SHARED_MEMORY)


def _answering(call: Callable[[bytes], Awaitable[bytes]]) -> Callable[[bytes, Any], Awaitable[bytes]]:
    async def answer(data: bytes, context: Any) -> bytes:
        try:
            return await call(data)
        except Exception as error:
            code, message = _status(error)
        await context.abort(code, message)
        raise AssertionError("abort raises")

    return answer


def _status(error: Exception) -> tuple[grpc.StatusCode, str]:
    """Return the status code and the message for an error; a fault of the server is printed, too."""
    if isinstance(error, _Refused):
        return error.code, str(error)
    if isinstance(error, (BadRequest, ConfigError, NotLoaded)):
        return grpc.StatusCode.INVALID_ARGUMENT, str(error)
    if isinstance(error, NotServed):
        return grpc.StatusCode.NOT_FOUND, str(error)
    if isinstance(error, MemoryError):
        return grpc.StatusCode.RESOURCE_EXHAUSTED, "not enough memory for this request"
    traceback.print_exception(type(error), error, error.__traceback__, file=sys.stderr)
    return grpc.StatusCode.INTERNAL, f"internal error: {type(error).__name__}: {error}"


def _parsed(name: str, data: bytes) -> Any:
    message = TYPES[name]()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise BadRequest(f"the request is no {name}: {error}") from error
    return message


def _serialised(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data


def _document(name: str, document: dict[str, Any]) -> bytes:
    """Return a document of the protocol's JSON as a message, without what the message has no field for."""
    return _serialised(json_format.ParseDict(document, TYPES[name](), ignore_unknown_fields=True))
