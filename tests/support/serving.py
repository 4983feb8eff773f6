"""Start the server as a process on a repository of small models, for clients of its protocol."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import psutil
from onnx import TensorProto, helper, numpy_helper

Shape = Sequence[int | str | None]


@dataclass
class Server:
    """A running server; `log` is its output so far."""

    port: int
    process: "subprocess.Popen[bytes]"
    log_path: Path

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def grpc_address(self) -> str:
        """The address of gRPC, for a server with the option ``--grpc-port``."""
        match = re.search(r"answering gRPC on port (\d+)", self.log)
        assert match is not None, self.log
        return f"127.0.0.1:{match[1]}"

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def memory_bytes(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)


@contextmanager
def running_server(repository: Path, *options: str) -> Iterator[Server]:
    """Run the model server as a process of this host; at the end SIGTERM must end it with code 0, as in a container."""
    log_path = repository.parent / f"{repository.name}.log"
    command = [sys.executable, "-m", "edgesim.server", "--models", str(repository), "--port", "0", *options]
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        server = Server(_port(process, log_path), process, log_path)
        yield server
        assert process.poll() is None, f"the server ended by itself: {server.log}"
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=20)
    assert code == 0, log_path.read_text()


def _port(process: "subprocess.Popen[bytes]", log_path: Path) -> int:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        if match := re.search(r"listening on port (\d+)", log_path.read_text()):
            return int(match[1])
        time.sleep(0.02)
    raise AssertionError(f"the server did not start: {log_path.read_text()}")


def save(model: onnx.ModelProto, repository: Path, name: str, version: int = 1) -> Path:
    """Put a model into a repository in one step: write a file beside it, then rename that file."""
    directory = repository / name / str(version)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "model.onnx"
    temporary = directory / ".model.onnx.new"
    temporary.write_bytes(model.SerializeToString())
    return temporary.replace(path)


def identity(datatype: int = TensorProto.FLOAT, shape: Shape = (None,)) -> onnx.ModelProto:
    """Return a model y = x, of any type."""
    return _model([helper.make_node("Identity", ["x"], ["y"])], {"x": (datatype, shape)}, {"y": (datatype, shape)})


def scale(factor: float, shape: Shape = (None,)) -> onnx.ModelProto:
    """Return a model y = factor * x, so that the response shows which version answered."""
    weight = numpy_helper.from_array(np.array(factor, np.float32), "factor")
    nodes = [helper.make_node("Mul", ["x", "factor"], ["y"])]
    float_type = TensorProto.FLOAT
    return _model(nodes, {"x": (float_type, shape)}, {"y": (float_type, shape)}, [weight])


def sum_and_difference() -> onnx.ModelProto:
    """Return a model with two inputs and two outputs, all of shape [batch, 2]."""
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["difference"])]
    tensor = (TensorProto.FLOAT, ("batch", 2))
    return _model(nodes, {"a": tensor, "b": tensor}, {"sum": tensor, "difference": tensor})


def gather() -> onnx.ModelProto:
    """Return a model y = row of a table, which fails for an index out of bounds."""
    table = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(4, 3), "table")
    nodes = [helper.make_node("Gather", ["table", "index"], ["y"])]
    inputs, outputs = {"index": (TensorProto.INT64, (None,))}, {"y": (TensorProto.FLOAT, (None, 3))}
    return _model(nodes, inputs, outputs, [table])


def constant() -> onnx.ModelProto:
    """Return a model without inputs."""
    value = numpy_helper.from_array(np.array([1, 2, 3], np.int32))
    return _model([helper.make_node("Constant", [], ["y"], value=value)], {}, {"y": (TensorProto.INT32, (3,))})


def external(repository: Path, name: str, factor: float, *, values: int = 65536) -> Path:
    """Save a model y = x * weights, with the weights in a file beside it."""
    weights = numpy_helper.from_array(np.full(values, factor, np.float32), "weights")
    nodes = [helper.make_node("Mul", ["x", "weights"], ["y"])]
    tensor = (TensorProto.FLOAT, (values,))
    directory = repository / name / "1"
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "model.onnx"
    onnx.save_model(
        _model(nodes, {"x": tensor}, {"y": tensor}, [weights]),
        path,
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    return path


def _model(
    nodes: list[onnx.NodeProto],
    inputs: Mapping[str, tuple[int, Shape]],
    outputs: Mapping[str, tuple[int, Shape]],
    weights: Sequence[onnx.TensorProto] = (),
) -> onnx.ModelProto:
    def values(tensors: Mapping[str, tuple[int, Shape]]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(name, kind, list(shape)) for name, (kind, shape) in tensors.items()]

    graph = helper.make_graph(nodes, "g", values(inputs), values(outputs), list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)
