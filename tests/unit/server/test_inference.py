"""Inference without HTTP and without ONNX Runtime: the seams that another transport and another runtime stand on."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edgesim.server.config import ModelConfig
from edgesim.server.inference import Inference, decode, encode
from edgesim.server.inference_request import BadRequest, InferRequest, InferResponse, RequestedOutput
from edgesim.server.runtimes import InferenceFailed, Runtime, Session
from edgesim.server.served_models import NotLoaded, NotServed, ServedModels
from edgesim.server.tensor_types import Signature


class DoublingSession:
    """y = 2 x; fails for a negative x."""

    load_s = 0.0

    def __init__(self) -> None:
        self.inputs = {"x": Signature("x", "FP32", (-1, 2))}
        self.outputs = {"y": Signature("y", "FP32", (-1, 2))}

    def infer(self, inputs: dict[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        if (inputs["x"] < 0).any():
            raise InferenceFailed("a negative\n value")
        return [inputs["x"] * 2 for _ in outputs]


class DoublingRuntime:
    """Loads any file but an empty one."""

    name = "doubling"
    version = "1"
    gpus = None
    providers = ("CPU",)

    def load(
        self, path: Path, config: ModelConfig, *, content: bytes | None, threads: int, files_change: bool
    ) -> Session:
        if not (content or path.read_bytes()):
            raise RuntimeError("the file is empty\nand more")
        return DoublingSession()


@pytest.fixture
def models(tmp_path: Path) -> ServedModels:
    for name, text in (("m", "model"), ("empty", "")):
        (tmp_path / name / "1").mkdir(parents=True)
        (tmp_path / name / "1" / "model.onnx").write_text(text)
    runtime: Runtime = DoublingRuntime()
    models = ServedModels(tmp_path, runtime, threads=1)
    models.load("m")
    return models


def request(*values: float) -> InferRequest:
    return InferRequest("7", {"x": np.array([values], np.float32)}, (RequestedOutput("y"),))


async def infer(models: ServedModels, request: InferRequest) -> InferResponse:
    with Inference(models.acquire("m")) as inference:
        return await inference.run(request)


def test_another_runtime_answers_a_request_without_a_transport(models: ServedModels) -> None:
    response = asyncio.run(infer(models, request(1, 2)))
    assert (response.model_name, response.model_version, response.id) == ("m", "1", "7")
    assert response.results[0].tolist() == [[2, 4]]


def test_request_in_the_protocols_form_is_decoded_and_encoded(models: ServedModels) -> None:
    body = b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}'

    async def exchange() -> bytes:
        with Inference(models.acquire("m")) as inference:
            decoded = await decode(inference.model, memoryview(body), len(body))
            parts, json_length = await encode(await inference.run(decoded))
        assert json_length is None
        return b"".join(parts)

    outputs = b'[{"name":"y","datatype":"FP32","shape":[1,2],"data":[2.0,4.0]}]'
    assert asyncio.run(exchange()) == b'{"model_name":"m","model_version":"1","outputs":' + outputs + b"}"


def test_failed_inference_is_a_bad_request_and_is_counted(models: ServedModels) -> None:
    asyncio.run(infer(models, request(1, 2)))
    with pytest.raises(BadRequest, match="model 'm' cannot run with these inputs: a negative value"):
        asyncio.run(infer(models, request(-1, 2)))
    statistics = models.get("m").statistics
    assert (statistics.success, statistics.fail, statistics.inferences) == (1, 1, 1)


def test_replaced_model_ends_after_the_inference_that_has_it(models: ServedModels) -> None:
    async def replace_meanwhile() -> list[list[float]]:
        with Inference(models.acquire("m")) as inference:
            models.load("m", ModelConfig(max_batch_size=4))
            assert models.get("m") is not inference.model
            response = await inference.run(request(1, 2))
        assert not inference.model.acquire()
        values: list[list[float]] = response.results[0].tolist()
        return values

    assert asyncio.run(replace_meanwhile()) == [[2, 4]]


def test_error_of_the_runtime_is_the_reason_why_a_model_is_not_loaded(models: ServedModels) -> None:
    with pytest.raises(NotLoaded, match=r"^model 'empty' does not load: the file is empty$"):
        models.load("empty")
    with pytest.raises(NotServed, match="model 'empty' version 1 is not loaded: the file is empty"):
        models.get("empty")
