"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated, get_args

import typer

from edgesim.errors import UsageError
from edgesim.options import EngineName, Execution, MountMethod

ProfileArgument = Annotated[str, typer.Argument(metavar="P", help="A profile: NAME, NAME:MODE, or a YAML file.")]
ModelArgument = Annotated[str, typer.Argument(metavar="M", help="A model: a name in the repository, or an .onnx file.")]
RunArgument = Annotated[
    str, typer.Argument(metavar="P", help="A profile: NAME, NAME:MODE, or a YAML file; or a stack file, without M.")
]
OptionalModelArgument = Annotated[
    str | None, typer.Argument(metavar="M", help="A model: a name in the repository, or an .onnx file.")
]
ModelsOption = Annotated[
    Path | None, typer.Option("--models", metavar="DIR", help="Model repository [default: models/, then the samples].")
]
BaseOption = Annotated[
    str | None,
    typer.Option("--base", metavar="IMAGE", help="Build the serving image on this Debian 12 image."),
]
ImageOption = Annotated[
    str | None,
    typer.Option("--image", metavar="IMAGE", help="Serve with this image, of any server of the protocol."),
]
ImagePortOption = Annotated[
    int | None, typer.Option("--image-port", metavar="N", help="The port that it listens on [default: 8000].")
]
ImageHealthOption = Annotated[
    str | None,
    typer.Option("--image-health", metavar="PATH", help="Answers 200 when it is ready [default: /v2/health/ready]."),
]
ImageModelsOption = Annotated[
    str | None,
    typer.Option("--image-models", metavar="DIR", help="Where it looks for its models [default: /models]."),
]
EnvironmentOption = Annotated[
    list[str] | None, typer.Option("--env", metavar="NAME=VALUE", help="Set in the container; may be repeated.")
]
MountOption = Annotated[
    str | None,
    typer.Option("--mount", help="How models come in: bind, volume (one of the engine's), image [default: bind]."),
]
VolumeOption = Annotated[
    str | None,
    typer.Option("--volume", metavar="NAME", help="The volume, filled if it is new [default: named after its files]."),
]
ResultsOption = Annotated[
    Path | None,
    typer.Option("--results", metavar="DIR", help="The container may write here, at /results; the files are yours."),
]
JunitOption = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML here.")]
MarkdownOption = Annotated[
    Path | None, typer.Option("--markdown", metavar="FILE", help="Write Markdown here, for a pull request's comment.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the facts as JSON.")]
EngineOption = Annotated[str, typer.Option("--engine", help="docker, or local: a plain process of this host.")]
ContextOption = Annotated[
    str | None,
    typer.Option("--context", metavar="NAME|URL", help="The engine of this docker context, such as the board's own."),
]
ReadyOption = Annotated[
    float, typer.Option("--ready-timeout", metavar="S", min=1, help="Seconds until the server must be ready.")
]


def mount(word: str | None) -> MountMethod | None:
    """What --mount says."""
    if word is None or word in get_args(MountMethod):
        return word  # type: ignore[return-value]
    raise UsageError(f"--mount {word}: not one of {', '.join(get_args(MountMethod))}")


def execution(word: str | None) -> Execution | None:
    """What --execution says."""
    if word is None or word in get_args(Execution):
        return word  # type: ignore[return-value]
    raise UsageError(f"--execution {word}: not one of {', '.join(get_args(Execution))}")


def engine(word: str) -> EngineName:
    """What --engine says."""
    if word in get_args(EngineName):
        return word  # type: ignore[return-value]
    raise UsageError(f"--engine {word}: not one of {', '.join(get_args(EngineName))}")
