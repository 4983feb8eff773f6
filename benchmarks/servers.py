"""The inference servers that benchmarks compare, and one lean client for all of them."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx
import psutil
from onnx import TensorProto, helper

from edgesim import paths
from edgesim.host.cache import new_entry

MLSERVER = ("mlserver==1.7.1", "onnxruntime==1.31.1")
UVICORN = ("uvicorn==0.54.0", "httptools==0.9.0", "uvloop==0.23.0")
RUNTIME = Path(__file__).parents[1] / "examples" / "mlserver"


@dataclass(frozen=True)
class Server:
    """A running server and its model.

    Attributes:
        binary: requests carry tensors as bytes; without it, as JSON.
    """

    name: str
    port: int
    model: str
    process: psutil.Process
    binary: bool

    def cpu_seconds(self) -> float:
        """Return the CPU time that the process and its children have used."""
        family = [self.process, *self.process.children(recursive=True)]
        return float(sum(sum(member.cpu_times()[:2]) for member in family))


@contextmanager
def run_process(command: list[str | Path], *, log: Path, environment: dict[str, str]) -> Iterator[psutil.Process]:
    """Run a server as a process, its output in `log`, for the length of a ``with`` block."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | environment)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def edgesim_server(repository: Path, model: str) -> Iterator[Server]:
    """Start edgesim's server as a process of this host, with one thread for an inference."""
    log = repository / "edgesim.log"
    command: list[str | Path] = [sys.executable, "-m", "edgesim.server", "--models", repository, "--port", "0"]
    with run_process(command, log=log, environment={"OPENBLAS_NUM_THREADS": "1"}) as process:
        for _ in range(600):
            if match := re.search(r"listening on port (\d+)", log.read_text()):
                yield Server("edgesim", int(match[1]), model, process, binary=True)
                return
            time.sleep(0.1)
        raise RuntimeError(log.read_text())


@contextmanager
def mlserver(directory: Path, model_file: Path, model: str) -> Iterator[Server]:
    """Start MLServer without worker processes, which is its faster mode for small models; over HTTP it speaks JSON."""
    port, grpc, metrics = free_ports(3)
    directory.mkdir()
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": grpc, "metrics_port": metrics}
    (directory / "settings.json").write_text(json.dumps(settings | {"parallel_workers": 0, "debug": False}))
    model_settings = {
        "name": model,
        "implementation": "onnx_runtime.OnnxRuntime",
        "parameters": {"uri": str(model_file)},
    }
    (directory / "model-settings.json").write_text(json.dumps(model_settings))
    log = directory / "log"
    command: list[str | Path] = [virtual_environment(*MLSERVER) / "bin" / "mlserver", "start", directory]
    environment = {"PYTHONPATH": str(RUNTIME), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with run_process(command, log=log, environment=environment) as process:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/models/{model}/ready").close()
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise RuntimeError(log.read_text())
        yield Server("MLServer", port, model, process, binary=False)


def virtual_environment(*packages: str) -> Path:
    """Return a virtual environment with packages that edgesim itself does not need; the user's cache keeps it."""
    directory = paths.cache_directory() / "benchmarks" / packages[0].replace("==", "-")
    if not directory.is_dir():
        print(f"installing {packages[0]} for the comparison …", file=sys.stderr)
        with new_entry(directory, needed_bytes=600 << 20) as entry:
            venv.create(entry, with_pip=True)
            pip: list[str | Path] = [
                entry / "bin" / "python",
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ]
            subprocess.run([*pip, *packages], check=True)
            # pip wrote the directory's temporary name into the scripts.
            for script in (entry / "bin").glob("mlserver"):
                script.write_text(script.read_text().replace(str(entry), str(directory)))
    return directory


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nothing listens on."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def request(server: Server, shape: list[int]) -> bytes:
    """Return the bytes of an HTTP request whose input is zeros of a shape, to be sent again and again."""
    count = 1
    for size in shape:
        count *= size
    tensor: dict[str, object] = {"name": "x", "datatype": "FP32", "shape": shape}
    if server.binary:
        tensor["parameters"] = {"binary_data_size": 4 * count}
        text = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
        body, extra = text + bytes(4 * count), f"Inference-Header-Content-Length: {len(text)}\r\n"
    else:
        body, extra = json.dumps({"inputs": [tensor | {"data": [0.0] * count}]}).encode(), ""
    head = f"POST /v2/models/{server.model}/infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}{extra}Content-Length: {len(body)}\r\n\r\n".encode() + body


def connect(server: Server) -> socket.socket:
    """Open a connection without Nagle's delay."""
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def receive(connection: socket.socket) -> int:
    """Receive one answer, head and body, and return its length in bytes.

    Raises:
        RuntimeError: the status is not 200; with the beginning of the answer.
    """
    data = connection.recv(1 << 16)
    while b"\r\n\r\n" not in data:
        data += connection.recv(1 << 16)
    head, _, body = data.partition(b"\r\n\r\n")
    if b" 200 " not in head[:16]:
        raise RuntimeError(data[:500].decode())
    length = int(re.search(rb"(?i)content-length: *(\d+)", head)[1])  # type: ignore[index]
    missing = length - len(body)
    while missing > 0:
        missing -= len(connection.recv(min(missing, 1 << 20)))
    return len(head) + 4 + length


def receive_bytes(connection: socket.socket, length: int) -> bytes:
    """Receive an answer of known length, with as little CPU time of the client as possible; return its bytes."""
    data = connection.recv(1 << 16)
    while len(data) < length:
        data += connection.recv(1 << 16)
    return data


def save(
    path: Path, nodes: list[onnx.NodeProto], shapes: tuple[list[int | str], list[int | str]], *weights: onnx.TensorProto
) -> Path:
    """Write a model with input ``x`` and output ``y``, both FP32, and return its path."""
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in zip("xy", shapes, strict=True)
    )
    graph = helper.make_graph(nodes, "g", [x], [y], list(weights))
    path.parent.mkdir(parents=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8), path)
    return path
