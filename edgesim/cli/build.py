"""``edgesim build``."""

from typing import Annotated

import typer

from edgesim import profiles
from edgesim.cli import _console
from edgesim.cli._app import new_app
from edgesim.cli._options import BaseImageOption, ContextOption, JsonOption, ProfileArgument, RuntimeOption
from edgesim.engine import docker_engine
from edgesim.engine.context import resolve
from edgesim.errors import ExitCode
from edgesim.images import runtime_releases, serving_image
from edgesim.progress import Stages

app = new_app()


@app.examples("edgesim build jetson-nano", "edgesim build jetson-nano --base-image debian:12-slim --rebuild")
def build_command(
    profile: ProfileArgument,
    base_image: BaseImageOption = None,
    runtime: RuntimeOption = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build even if the image exists.")] = False,
    context: ContextOption = None,
    as_json: JsonOption = False,
) -> int:
    """Build the serving image of a board.

    An image of the same content that exists is kept.
    """
    board = profiles.load(profile)
    chosen = runtime_releases.of_board(board, runtime)
    engine, stages = docker_engine.Engine(resolve(context)), Stages(_console.listener())
    image = serving_image.build(engine, board, stages, base_image=base_image, rebuild=rebuild, runtime=chosen.release)
    if as_json:
        _console.print_json({"reference": image.reference, "id": image.id, "base": image.base, "cached": image.cached})
    else:
        print(f"{image.reference}: {'unchanged, nothing to build' if image.cached else 'built'} (on {image.base})")
    return ExitCode.OK
