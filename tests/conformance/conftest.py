"""One server with a model of each kind, shared by all tests that change nothing on it."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
import tritonclient.http as triton
from onnx import TensorProto

from tests.support.serving import (
    Server,
    constant,
    gather,
    identity,
    running_server,
    save,
    scale,
    sum_and_difference,
)

# The protocol's types, and ONNX's.
TYPES = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "BF16": TensorProto.BFLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    repository = tmp_path_factory.mktemp("serving") / "models"
    for datatype, onnx_type in TYPES.items():
        save(identity(onnx_type, (None, None)), repository, f"identity_{datatype.lower()}")
    for version, factor in ((1, 1.0), (2, 2.0), (10, 10.0)):
        save(scale(factor), repository, "scale", version)
    save(sum_and_difference(), repository, "pair")
    save(sum_and_difference(), repository, "batched")
    (repository / "batched" / "config.pbtxt").write_text(
        "max_batch_size: 8\ndynamic_batching { max_queue_delay_microseconds: 20000 }\n"
    )
    save(gather(), repository, "gather")
    save(constant(), repository, "constant")
    save(identity(shape=("batch", 4)), repository, "labelled")
    (repository / "labelled" / "config.yaml").write_text("labels: {y: labels.txt}\n")
    (repository / "labelled" / "labels.txt").write_text("cat\ndog\nowl\n")
    options = ("--grpc-port", "0") if importlib.util.find_spec("grpc") is not None else ()
    with running_server(repository, *options) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[triton.InferenceServerClient]:
    client = triton.InferenceServerClient(server.address, concurrency=16)
    yield client
    client.close()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return an empty model repository."""
    directory = tmp_path / "models"
    directory.mkdir()
    return directory
