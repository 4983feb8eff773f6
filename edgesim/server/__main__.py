"""The model server: load the models of a repository, then answer requests."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import json
import resource
import signal
import socket
import sys
from pathlib import Path

from . import illegal_instruction, introspection
from .http_connection import ClientLimits, Connection
from .routes import Routes
from .runtimes import Runtime
from .runtimes.onnx_runtime import OnnxRuntime
from .served_models import NotLoaded, NotServed, ServedModels

CANNOT_LOAD = 3
_DRAIN_S = 5.0
_BACKLOG = 1024
_SPARE_FILES = 64  # open files that are no connections: models, libraries, logs


def listen(host: str, port: int) -> socket.socket:
    """Return a bound socket whose connections send at once.

    asyncio turns Nagle's algorithm off only if the socket says that its protocol is TCP; else each small response waits
    40 ms for the client's delayed acknowledgement.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


def client_limits(max_body_bytes: int | None) -> ClientLimits:
    """Return the bounds on what clients may take.

    Requests and responses: `max_body_bytes`, by default a quarter of the memory limit, 1 GiB at most. Connections: as
    many as the limit of open files leaves, 4096 at most.
    """
    memory = introspection.memory_limit_bytes(introspection.CGROUP)
    bodies = max_body_bytes or min(1 << 30, memory // 4 if memory else 1 << 30)
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return ClientLimits(body_bytes=bodies, connections=max(16, min(4096, files - _SPARE_FILES)))


async def serve(
    routes: Routes, listener: socket.socket, limits: ClientLimits, grpc_address: tuple[str, int] | None = None
) -> None:
    """Answer until SIGTERM or SIGINT, then finish the requests in flight.

    Args:
        grpc_address: host and port of gRPC; None means HTTP alone.
    """
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    server = routes.serve(limits)
    calls = None
    if grpc_address is not None:
        from .rpc.server import start  # grpcio is in few images, and takes start-up time

        calls, port = await start(routes.management, server, *grpc_address)
        print(f"edgesim-server: answering gRPC on port {port}", flush=True)
    accepting = await loop.create_server(lambda: Connection(server), sock=listener, backlog=_BACKLOG)
    print(f"edgesim-server: listening on port {listener.getsockname()[1]}", flush=True)
    sweeping = loop.create_task(server.sweep())
    await ended.wait()
    accepting.close()
    if calls is not None:
        await asyncio.gather(server.drain(_DRAIN_S), calls.stop(_DRAIN_S))
    else:
        await server.drain(_DRAIN_S)
    sweeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sweeping


def write_statistics(models: ServedModels, directory: Path) -> None:
    """Write ``statistics.json``, with the content of ``/v2/models/stats``: the complete file, or none."""
    stats = [model.statistics.as_json(model.name, model.version) for model in models.loaded()]
    temporary = directory / ".statistics.json"
    temporary.write_text(json.dumps({"model_stats": stats}, indent=2) + "\n")
    temporary.replace(directory / "statistics.json")


def main() -> int:
    parser = argparse.ArgumentParser(prog="edgesim-server", description=__doc__)
    parser.add_argument("--models", type=Path, required=True, metavar="DIR", help="model repository")
    parser.add_argument(
        "--model", action="append", default=[], metavar="NAME", help="serve this model; may be repeated (default: all)"
    )
    parser.add_argument("--watch", action="store_true", help="load what changes in the repository")
    parser.add_argument("--intra-op-threads", type=int, default=1, metavar="N", help="threads of one inference")
    parser.add_argument(
        "--board-cores",
        type=int,
        metavar="N",
        help="the most threads that a model's configuration may ask for (default: --intra-op-threads)",
    )
    parser.add_argument(
        "--paced", action="store_true", help="let inferences take at least the times that POST /edgesim/pace sets"
    )
    parser.add_argument(
        "--marks",
        action="store_true",
        help="mark where loads and inferences begin and end, for an emulator that counts instructions",
    )
    parser.add_argument(
        "--results", type=Path, metavar="DIR", help="write statistics.json into this directory at the end"
    )
    parser.add_argument(
        "--max-body-bytes",
        type=int,
        metavar="N",
        help="bound of all requests and responses in flight together (default: a quarter of the memory, at most 1 GiB)",
    )
    parser.add_argument(
        "--gpus",
        choices=("fp32", "fp16", "int8"),
        help="run models by TensorRT in this precision, or by CUDA, as far as the installed ONNX Runtime has them",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 lets the system choose a port (default: 8000)")
    parser.add_argument(
        "--grpc-port", type=int, metavar="N", help="answer gRPC, too, on this port; 0 lets the system choose one"
    )
    arguments = parser.parse_args()
    if arguments.grpc_port is not None and importlib.util.find_spec("grpc") is None:
        print("edgesim-server: --grpc-port needs the package grpcio", file=sys.stderr, flush=True)
        return CANNOT_LOAD

    illegal_instruction.install_handler()
    runtime: Runtime
    if arguments.marks:
        from .runtimes.marked import MarkedRuntime  # ctypes takes start-up time, and only this option needs it

        runtime = MarkedRuntime(arguments.gpus)
    else:
        runtime = OnnxRuntime(arguments.gpus)
    models = ServedModels(
        arguments.models,
        runtime,
        arguments.intra_op_threads,
        arguments.model,
        board_cores=arguments.board_cores,
        paced=arguments.paced,
    )
    if arguments.watch:
        models.watch()  # before the first load, so that no change is missed
    for name in arguments.model or models.names():
        try:
            models.load(name)
        except (NotServed, NotLoaded) as error:
            print(f"edgesim-server: {error}", file=sys.stderr, flush=True)
            if arguments.model:  # a model that was named must be served
                return CANNOT_LOAD

    listener = listen(arguments.host, arguments.port)
    grpc_address = (arguments.host, arguments.grpc_port) if arguments.grpc_port is not None else None
    asyncio.run(serve(Routes(models), listener, client_limits(arguments.max_body_bytes), grpc_address))
    if arguments.results:
        write_statistics(models, arguments.results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
