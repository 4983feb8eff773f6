"""``edgesim pack``."""

from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli import _console
from edgesim.cli._app import OUTPUT, new_app
from edgesim.cli._console import print_json
from edgesim.cli._options import (
    AnnotationOption,
    BaseImageOption,
    ContextOption,
    JsonOption,
    ModelArgument,
    ModelsOption,
    ProfileArgument,
    PushOption,
    RuntimeOption,
)
from edgesim.cli._values import named_values
from edgesim.errors import ExitCode, ResultError
from edgesim.jobs.pack import pack
from edgesim.units import format_bytes

app = new_app()


@app.examples(
    "edgesim pack jetson-nano detector -t detector:1.0",
    "edgesim pack raspberry-pi-4 models/detector.onnx --save detector.tar",
    "edgesim pack jetson-nano detector --push registry.example.org/shop/detector:1.0",
)
def pack_command(
    profile: ProfileArgument,
    model: ModelArgument,
    models: ModelsOption = None,
    base_image: BaseImageOption = None,
    runtime: RuntimeOption = None,
    context: ContextOption = None,
    tag: Annotated[
        str | None,
        typer.Option(
            "--tag",
            "-t",
            metavar="NAME",
            help="Name the image [default: a name made from its contents].",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save", metavar="FILE", help="Write an OCI archive, which docker load takes.", rich_help_panel=OUTPUT
        ),
    ] = None,
    push: PushOption = None,
    annotation: AnnotationOption = None,
    as_json: JsonOption = False,
) -> int:
    """Pack a model and its server into one image for a board.

    The image runs on any machine of the board's architecture, without mounts.
    """
    if save is not None and (save.is_dir() or not save.parent.is_dir()):
        raise ResultError(
            f"{save}: is a directory, or its directory does not exist",
            fix="give --save a file in a directory that exists",
        )
    packed = pack(
        profile,
        model,
        models=models,
        name=tag,
        save=save,
        push=push,
        annotations=named_values(annotation, "--annotation"),
        base_image=base_image,
        runtime=runtime,
        context=context,
        listener=_console.listener(),
    )
    if as_json:
        print_json(
            {
                "reference": packed.reference,
                "id": packed.id,
                "digest": packed.digest,
                "platform": packed.platform,
                "size_bytes": packed.size_bytes,
                "labels": packed.labels,
                "saved": str(packed.saved) if packed.saved is not None else None,
                "published": packed.published,
                "annotations": packed.annotations,
            }
        )
        return ExitCode.OK
    print(f"{packed.reference}: {packed.platform}, {format_bytes(packed.size_bytes)}, {packed.id}")
    print(f"docker run --rm -p 8000:8000 {packed.reference}")
    if packed.saved is not None:
        print(f"docker load -i {packed.saved}")
    if packed.published is not None:
        print(f"edgesim run {profile} --packed {packed.published}")
    return ExitCode.OK
