"""``edgesim build``."""

from typing import Annotated

import typer

from edgesim import profiles
from edgesim.cli import _console
from edgesim.cli._app import IMAGE, OUTPUT, new_app
from edgesim.cli._options import ContextOption, JsonOption, RuntimeOption, profile_names
from edgesim.engine import docker_engine
from edgesim.engine.context import resolve
from edgesim.engine.images import require_valid_name
from edgesim.errors import ExitCode, UsageError
from edgesim.images import pins, runtime_releases, serving_image
from edgesim.images.edgesim_image import EdgesimImage
from edgesim.progress import Stages

app = new_app()


@app.examples(
    "edgesim build jetson-nano",
    "edgesim build jetson-nano --base-image debian:12-slim --rebuild",
    "edgesim build --self",
    "edgesim build --self --extras dask,mlflow -t registry.example/edgesim:1",
)
def build_command(
    profile: Annotated[
        str | None,
        typer.Argument(metavar="PROFILE", help="A profile, for its serving image.", autocompletion=profile_names),
    ] = None,
    own: Annotated[
        bool,
        typer.Option(
            "--self", help="Build an image of edgesim itself, for CI jobs, pods and pipelines.", rich_help_panel=IMAGE
        ),
    ] = False,
    extras: Annotated[
        str | None,
        typer.Option(
            "--extras",
            metavar="NAME,...",
            help="With --self: install these extras of edgesim, such as dask.",
            rich_help_panel=IMAGE,
        ),
    ] = None,
    base_image: Annotated[
        str | None,
        typer.Option(
            "--base-image",
            metavar="IMAGE",
            help="Build on this Debian 12 image, with --self on this Debian 13 image [default: Debian's own].",
            rich_help_panel=IMAGE,
        ),
    ] = None,
    runtime: RuntimeOption = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Build even if the image exists.", rich_help_panel=IMAGE)
    ] = False,
    context: ContextOption = None,
    tag: Annotated[
        str | None,
        typer.Option("--tag", "-t", metavar="NAME", help="Give the image this name, too.", rich_help_panel=OUTPUT),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Build the serving image of a board, or an image of edgesim itself.

    An existing image with the same content is not built again.
    """
    _require_one_kind(profile, own=own, extras=extras, runtime=runtime)
    if tag is not None:
        require_valid_name(tag)
    stages = Stages(_console.listener())
    if profile is not None:
        board = profiles.load(profile)
        release = runtime_releases.of_board(board, runtime).release
        engine = docker_engine.Engine(resolve(context))
        image = serving_image.build(engine, board, stages, base_image=base_image, rebuild=rebuild, runtime=release)
    else:
        chosen = pins.parse_extras(extras) if extras is not None else ()
        engine = docker_engine.Engine(resolve(context))
        described = EdgesimImage(architecture=engine.facts.architecture, extras=chosen, base_image=base_image)
        image = described.build(engine, stages, rebuild=rebuild)
    if tag is not None:
        engine.images.tag(image.id, tag)
    if as_json:
        _console.print_json({"reference": image.reference, "id": image.id, "base": image.base, "cached": image.cached})
    else:
        print(f"{image.reference}: {'unchanged, nothing to build' if image.cached else 'built'} (on {image.base})")
    return ExitCode.OK


def _require_one_kind(profile: str | None, *, own: bool, extras: str | None, runtime: str | None) -> None:
    if own == (profile is not None):
        raise UsageError(
            "takes PROFILE or --self" + (", not both" if own else ""),
            fix="edgesim build jetson-nano, or edgesim build --self",
        )
    if own and runtime is not None:
        raise UsageError(f"--runtime {runtime}: is for a serving image; edgesim's own image has edgesim's default")
    if extras is not None and not own:
        raise UsageError(f"--extras {extras}: are for edgesim's own image", fix="edgesim build --self --extras ...")
