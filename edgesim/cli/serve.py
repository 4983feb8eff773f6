"""``edgesim serve``."""

import contextlib
from typing import Annotated

import typer

from edgesim.boards.serving import board
from edgesim.cli import _console, _serving
from edgesim.cli._app import BOARD, new_app
from edgesim.cli._options import JsonOption, ProfileArgument, ResultsDirectoryOption
from edgesim.cli._run_options import BoardFlags, InputFlags, takes_run_options
from edgesim.cli._server_image import ServerImage, takes_server_image
from edgesim.errors import ExitCode
from edgesim.options import Execution, RunOptions

app = new_app()


@app.examples(
    "edgesim serve jetson-nano",
    "edgesim serve jetson-nano --models my-models --watch",
    "edgesim serve raspberry-pi-4 --execution scaled --port 8000",
    "edgesim serve jetson-nano --grpc",
)
@takes_run_options(InputFlags, BoardFlags, without=("protocol",))
@takes_server_image
def serve_command(
    profile: ProfileArgument,
    *,
    options: RunOptions,
    execution: Annotated[
        Execution | None,
        typer.Option(
            "--execution",
            metavar="EXECUTION",
            help="Answer in the board's predicted time with `scaled` [default: emulated, native or same-architecture].",
            rich_help_panel=BOARD,
        ),
    ] = None,
    port: Annotated[
        int,
        typer.Option(
            "--port",
            metavar="N",
            min=0,
            max=65535,
            help="Answer at this port of 127.0.0.1; 0 is any free port.",
            rich_help_panel=BOARD,
        ),
    ] = 0,
    grpc: Annotated[
        bool,
        typer.Option(
            "--grpc",
            help="Also answer gRPC (Triton's GRPCInferenceService), at any free port of 127.0.0.1.",
            rich_help_panel=BOARD,
        ),
    ] = False,
    grpc_port: Annotated[
        int | None,
        typer.Option(
            "--grpc-port",
            metavar="N",
            min=0,
            max=65535,
            help="Also answer gRPC, at this port of 127.0.0.1; 0 is any free port.",
            rich_help_panel=BOARD,
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Reload models when the model repository changes.", rich_help_panel=BOARD),
    ] = False,
    results: ResultsDirectoryOption = None,
    server_image: ServerImage,
    as_json: JsonOption = False,
) -> int:
    """Serve models on a simulated board until Ctrl-C.

    All models of the repository are served.
    """
    if grpc and grpc_port is None:
        grpc_port = 0
    options = RunOptions.of(options, execution=execution, port=port, grpc_port=grpc_port, watch=watch, results=results)
    with (
        board(server_image.profile(profile), options, listener=_console.listener()) as started,
        contextlib.suppress(KeyboardInterrupt),  # a program that has read the address may end the board at once
        _serving.counted(started) as counters,
    ):
        if as_json:
            print(_serving.as_json(started), flush=True)
        else:
            print(started.url, flush=True)
            for line in _serving.introduction(started, profile, options.inputs):
                _console.err.print(line)  # not folded: the last line is a command
        _serving.watch(started, counters)
    return ExitCode.OK
