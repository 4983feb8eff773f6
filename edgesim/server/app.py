"""The Open Inference Protocol over HTTP: routes, and errors in its form."""

from typing import Any

import anyio.to_thread
import onnxruntime
import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from . import board
from .repository import NotServed, Repository
from .tensors import BadRequest, as_json, parse_inputs, requested_outputs

NAME = "edgesim"
VERSION = "1"


class _Json(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def application(repository: Repository) -> Starlette:
    """The protocol's HTTP interface to the models that `repository` has loaded."""

    async def server_metadata(_: Request) -> Response:
        return _Json({"name": NAME, "version": VERSION, "extensions": []})

    async def live(_: Request) -> Response:
        return Response()

    async def ready(_: Request) -> Response:
        return Response(status_code=200 if repository.loaded() else 503)

    async def model_ready(request: Request) -> Response:
        _model(request)
        return Response()

    async def model_metadata(request: Request) -> Response:
        return _Json(_model(request).metadata())

    async def infer(request: Request) -> Response:
        model, body = _model(request), await request.body()

        def work() -> bytes:
            document = _decode(body)
            inputs = parse_inputs(document, model.inputs)
            names = requested_outputs(document, model.outputs)
            try:
                results = model.run(inputs, names)
            except onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument as error:
                raise BadRequest(f"model {model.name!r} refuses these inputs: {error}") from error
            datatypes = {signature.name: signature.datatype for signature in model.outputs}
            answer: dict[str, Any] = {"model_name": model.name, "model_version": model.version}
            if "id" in document:
                answer["id"] = document["id"]
            answer["outputs"] = [
                as_json(name, datatypes[name], result) for name, result in zip(names, results, strict=True)
            ]
            return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)

        # Off the event loop, so that health and metadata answer while a model runs.
        return Response(await anyio.to_thread.run_sync(work), media_type="application/json")

    async def describe_board(_: Request) -> Response:
        described = board.describe()
        described["runtime"] = f"onnxruntime {onnxruntime.__version__}"
        described["model_load_s"] = {model.name: model.load_s for model in repository.loaded()}
        return _Json(described)

    def _model(request: Request) -> Any:
        return repository.get(request.path_params["model"], request.path_params.get("version"))

    def model_routes(prefix: str) -> list[Route]:
        return [
            Route(prefix, model_metadata),
            Route(f"{prefix}/ready", model_ready),
            Route(f"{prefix}/infer", infer, methods=["POST"]),
        ]

    return Starlette(
        routes=[
            Route("/v2", server_metadata),
            Route("/v2/health/live", live),
            Route("/v2/health/ready", ready),
            *model_routes("/v2/models/{model}"),
            *model_routes("/v2/models/{model}/versions/{version}"),
            Route("/edgesim/board", describe_board),
        ],
        exception_handlers={
            BadRequest: _error(400),
            NotServed: _error(404),
            HTTPException: _http_error,
            Exception: _error(500),
        },
    )


def _decode(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the request is not JSON: {error}") from error


def _error(status: int) -> Any:
    async def handler(_: Request, error: Exception) -> Response:
        return _Json({"error": str(error)}, status_code=status)

    return handler


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _Json({"error": error.detail}, status_code=error.status_code)
