"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

ProfileArgument = Annotated[str, typer.Argument(metavar="P", help="A profile: NAME, NAME:MODE, or a YAML file.")]
ModelArgument = Annotated[str, typer.Argument(metavar="M", help="A model: a name in the repository, or an .onnx file.")]
ModelsOption = Annotated[
    Path | None, typer.Option("--models", metavar="DIR", help="Model repository [default: models/, then the samples].")
]
BaseOption = Annotated[
    str | None,
    typer.Option("--base", metavar="IMAGE", help="Build the serving image on this Debian 12 image."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the facts as JSON.")]
EngineOption = Annotated[str, typer.Option("--engine", help="docker, or local: a plain process of this host.")]
ReadyOption = Annotated[
    float, typer.Option("--ready-timeout", metavar="S", min=1, help="Seconds until the server must be ready.")
]
