"""Start the server: load the models, then answer."""

import argparse
import asyncio
import contextlib
import json
import resource
import signal
import socket
import sys
from pathlib import Path

import onnxruntime

from . import illegal_instruction, introspection
from .app import Application
from .http_connection import Connection, Limits
from .served_models import NotLoaded, NotServed, Repository

CANNOT_LOAD = 3
_FINISH_S = 5.0
_BACKLOG = 1024
_SPARE_FILES = 64  # beside the connections: models, libraries, logs


def listen(host: str, port: int) -> socket.socket:
    """A listening socket whose connections send at once.

    asyncio turns Nagle's algorithm off only where the socket says that its protocol is TCP; each small answer else
    waits 40 ms for the client's delayed acknowledgement.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    return listening


def limits(max_body_bytes: int | None) -> Limits:
    """What clients may take: of memory a quarter of what there is (1 GiB at most), of connections what files allow."""
    memory = introspection.describe()["memory_limit_bytes"]
    bodies = max_body_bytes or min(1 << 30, memory // 4 if memory else 1 << 30)
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Limits(body_bytes=bodies, connections=max(16, min(4096, files - _SPARE_FILES)))


async def serve(application: Application, listening: socket.socket, bounds: Limits) -> None:
    """Answer until SIGTERM or SIGINT; what is in flight then is finished."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    server = application.serve(bounds)
    accepting = await loop.create_server(lambda: Connection(server), sock=listening, backlog=_BACKLOG)
    print(f"edgesim-server: listening on port {listening.getsockname()[1]}", flush=True)
    sweeping = loop.create_task(server.sweep())
    await ended.wait()
    accepting.close()
    await server.drain(_FINISH_S)
    sweeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sweeping


def write_statistics(repository: Repository, directory: Path) -> None:
    """What was answered, as ``/v2/models/stats`` tells it: whole, or not at all."""
    stats = [model.statistics.as_json(model.name, model.version) for model in repository.loaded()]
    beside = directory / ".statistics.json"
    beside.write_text(json.dumps({"model_stats": stats}, indent=2) + "\n")
    beside.replace(directory / "statistics.json")


def main() -> int:
    parser = argparse.ArgumentParser(prog="edgesim-server", description=__doc__)
    parser.add_argument("--models", type=Path, required=True, metavar="DIR", help="model repository")
    parser.add_argument("--model", action="append", default=[], metavar="NAME", help="serve this one (default: all)")
    parser.add_argument("--watch", action="store_true", help="notice what changes in the repository")
    parser.add_argument("--intra-op-threads", type=int, default=1, metavar="N", help="threads of one inference")
    parser.add_argument("--paced", action="store_true", help="hold inferences to the times of POST /edgesim/pace")
    parser.add_argument("--results", type=Path, metavar="DIR", help="write statistics.json here at the end")
    parser.add_argument("--max-body-bytes", type=int, metavar="N", help="of all requests in flight together")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 lets the system choose, and prints it")
    arguments = parser.parse_args()

    illegal_instruction.tell()
    onnxruntime.disable_telemetry_events()
    repository = Repository(arguments.models, arguments.intra_op_threads, arguments.model, paced=arguments.paced)
    if arguments.watch:
        repository.watch()  # from what is there before it is loaded, so that no change is missed
    for name in arguments.model or repository.names():
        try:
            repository.load(name)
        except (NotServed, NotLoaded) as error:
            print(f"edgesim-server: {error}", file=sys.stderr, flush=True)
            if arguments.model:  # what was asked for by name has to be there
                return CANNOT_LOAD

    listening = listen(arguments.host, arguments.port)
    asyncio.run(serve(Application(repository), listening, limits(arguments.max_body_bytes)))
    if arguments.results:
        write_statistics(repository, arguments.results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
