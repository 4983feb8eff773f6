"""`edgesim pack`: a model and its server as one image."""

from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli import _console
from edgesim.cli._console import print_json
from edgesim.cli._options import BaseOption, ContextOption, JsonOption, ModelArgument, ModelsOption, ProfileArgument
from edgesim.errors import ExitCode, ResultError
from edgesim.jobs.pack import pack
from edgesim.units import format_bytes


def pack_command(
    p: ProfileArgument,
    m: ModelArgument,
    tag: Annotated[
        str | None, typer.Option("--tag", "-t", metavar="NAME", help="The image's name [default: by its contents].")
    ] = None,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", help="Write an OCI archive here, for docker load.")
    ] = None,
    models: ModelsOption = None,
    base: BaseOption = None,
    context: ContextOption = None,
    as_json: JsonOption = False,
) -> int:
    """Make an image for a board with the model inside, which runs anywhere with nothing mounted."""
    if save is not None and (save.is_dir() or not save.parent.is_dir()):
        raise ResultError(f"{save}: is a directory, or in none", fix="give --save a file in a directory that exists")
    made = pack(
        p, m, models=models, name=tag, save=save, base_image=base, context=context, listener=_console.listener()
    )
    if as_json:
        print_json(
            {
                "reference": made.reference,
                "id": made.id,
                "digest": made.digest,
                "platform": made.platform,
                "size_bytes": made.size_bytes,
                "labels": made.labels,
                "saved": str(made.saved) if made.saved is not None else None,
            }
        )
        return ExitCode.OK
    print(f"{made.reference}: {made.platform}, {format_bytes(made.size_bytes)}, {made.id}")
    print(f"docker run --rm -p 8000:8000 {made.reference}")
    if made.saved is not None:
        print(f"docker load -i {made.saved}")
    return ExitCode.OK
