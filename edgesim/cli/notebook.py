"""``edgesim notebook``."""

from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli import _console
from edgesim.cli._app import BOARD, new_app
from edgesim.cli._options import BaseImageOption, JsonOption, ReadyTimeoutOption, RuntimeOption, profile_names
from edgesim.errors import ExitCode
from edgesim.options import READY_TIMEOUT_S
from edgesim.progress import Stages
from edgesim.stacks import notebook, up
from edgesim.stacks.notebook import Desk
from edgesim.stacks.running import RunningStack
from edgesim.stacks.up import Plan

app = new_app()


@app.examples(
    "edgesim notebook",
    "edgesim notebook raspberry-pi-4 --directory course --port 8888",
    "edgesim notebook jetson-nano --models my-models --no-engine",
)
def notebook_command(
    profile: Annotated[
        str, typer.Argument(metavar="PROFILE", help="The board.", autocompletion=profile_names)
    ] = "jetson-nano",
    directory: Annotated[
        Path, typer.Option("--directory", metavar="DIR", help="Your files, at /work in the notebook.")
    ] = Path(),
    file: Annotated[
        str, typer.Option("--file", metavar="NAME.ipynb", help="The notebook; an empty one is made if it is not there.")
    ] = "board.ipynb",
    models: Annotated[
        Path | None,
        typer.Option(
            "--models",
            metavar="DIR",
            help="The model repository that the board serves, at /models in the notebook [default: a new volume].",
            rich_help_panel=BOARD,
        ),
    ] = None,
    port: Annotated[
        int,
        typer.Option("--port", metavar="N", min=0, max=65535, help="The notebook's port of 127.0.0.1; 0 is any free."),
    ] = 0,
    no_engine: Annotated[
        bool,
        typer.Option(
            "--no-engine",
            help="Give the notebook no access to this host's engine, since an engine's user has root's rights.",
        ),
    ] = False,
    base_image: BaseImageOption = None,
    runtime: RuntimeOption = None,
    ready_timeout: ReadyTimeoutOption = READY_TIMEOUT_S,
    as_json: JsonOption = False,
) -> int:
    """Open JupyterLab beside a simulated board until Ctrl-C.

    Your directory is mounted, and only its files stay. The board serves models that the notebook writes to /models.
    """
    desk = Desk(
        profile=profile,
        directory=directory,
        file=file,
        models=models,
        port=port,
        engine=not no_engine,
        runtime=runtime,
    )
    stack = desk.stack()
    desk.make_file()
    plan = Plan(temporary=True, base=base_image, ready_timeout_s=ready_timeout)
    stages = Stages(_console.listener())
    with up.temporary(stack, plan, stages) as running:
        try:
            _show(running, desk, as_json=as_json)
            running.wait()
        except KeyboardInterrupt:
            pass
    return ExitCode.OK


def _show(running: RunningStack, desk: Desk, *, as_json: bool) -> None:
    url, token = running.urls[notebook.NOTEBOOK], running.monitor.states[notebook.NOTEBOOK].token
    address = f"{url}/lab/tree/{desk.file}?token={token}"
    if as_json:
        _console.print_json({"url": address, "board": f"http://{notebook.BOARD}:8000", "name": running.project.name})
        return
    print(address, flush=True)
    board = running.resolved.profile.title_and_mode
    _console.say(f"{board} answers in the notebook at {notebook.BOARD}:8000, and serves the models in /models")
    _console.say("Ctrl-C takes both down")
