"""Start the server: load the models, then answer."""

import argparse
import socket
import sys
from pathlib import Path

import onnxruntime
import uvicorn

from .app import application
from .repository import NotServed, Repository

CANNOT_LOAD = 3


def listen(host: str, port: int) -> socket.socket:
    """A listening socket whose connections send at once.

    asyncio turns Nagle's algorithm off only where the socket says that its protocol is TCP, which the one that uvicorn
    makes itself does not: each small answer then waits 40 ms for the client's delayed acknowledgement.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    return listening


def main() -> int:
    parser = argparse.ArgumentParser(prog="edgesim-server", description=__doc__)
    parser.add_argument("--models", type=Path, required=True, metavar="DIR", help="model repository")
    parser.add_argument("--model", action="append", default=[], metavar="NAME", help="serve this one (default: all)")
    parser.add_argument("--intra-op-threads", type=int, default=1, metavar="N", help="threads of one inference")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 lets the system choose, and prints it")
    arguments = parser.parse_args()

    onnxruntime.disable_telemetry_events()
    repository = Repository(arguments.models, arguments.intra_op_threads)
    for name in arguments.model or repository.names():
        try:
            model = repository.load(name)
        except NotServed as error:
            print(f"edgesim-server: {error}", file=sys.stderr, flush=True)
            return CANNOT_LOAD
        except Exception as error:  # whatever ONNX Runtime makes of a bad file, this is the line that tells it
            print(f"edgesim-server: model {name!r} does not load: {error}", file=sys.stderr, flush=True)
            return CANNOT_LOAD
        print(f"edgesim-server: model {name!r} version {model.version} loaded in {model.load_s:.3f} s", flush=True)

    config = uvicorn.Config(
        application(repository),
        log_level="warning",
        access_log=False,
        lifespan="off",
        http="httptools",
        loop="asyncio",
        ws="none",
        timeout_keep_alive=75,
    )
    listening = listen(arguments.host, arguments.port)
    print(f"edgesim-server: listening on port {listening.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run(sockets=[listening])
    return 0


if __name__ == "__main__":
    sys.exit(main())
