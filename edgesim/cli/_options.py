"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from edgesim.cli._app import BOARD, IMAGE, INPUTS, OUTPUT
from edgesim.options import READY_TIMEOUT_S, EngineName


def profile_names(incomplete: str) -> list[str]:
    from edgesim import profiles  # the shell asks at each Tab

    return [name for name in profiles.names() if name.startswith(incomplete)]


def _targets(context: typer.Context, incomplete: str) -> list[str]:
    from edgesim import profiles
    from edgesim.errors import ProfileError

    try:
        board = profiles.load(context.params.get("profile") or "")
    except ProfileError:
        return []
    return [name for name in board.targets if name.startswith(incomplete)]


def _models(incomplete: str) -> list[str]:
    from edgesim.models import repository, samples

    names = dict.fromkeys([*repository.names(Path("models")), *samples.NAMES])
    return [name for name in names if name.startswith(incomplete)]


_PROFILE_HELP = "A profile: NAME, NAME:MODE for a power mode, or a YAML file."
_MODEL_HELP = "A model: a name in the model repository, or an .onnx file."

ProfileArgument = Annotated[str, typer.Argument(metavar="PROFILE", help=_PROFILE_HELP, autocompletion=profile_names)]
OptionalProfileArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="PROFILE", help="A profile [default: one of this host's architecture].", autocompletion=profile_names
    ),
]
ProfileOrStackArgument = Annotated[
    str,
    typer.Argument(
        metavar="PROFILE|STACK.yaml",
        help=f"{_PROFILE_HELP} Or a stack file; then omit MODEL.",
        autocompletion=profile_names,
    ),
]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help=_MODEL_HELP, autocompletion=_models)]
OptionalModelArgument = Annotated[str | None, typer.Argument(metavar="MODEL", help=_MODEL_HELP, autocompletion=_models)]
StackArgument = Annotated[Path, typer.Argument(metavar="STACK.yaml", help="A stack file.")]

ModelsOption = Annotated[
    Path | None,
    typer.Option(
        "--models",
        metavar="DIR",
        help="The model repository [default: models/, then the sample models].",
        rich_help_panel=INPUTS,
    ),
]
EngineOption = Annotated[
    EngineName,
    typer.Option(
        "--engine",
        metavar="ENGINE",
        help=f"Run the server with this engine: {' or '.join(get_args(EngineName))}, a plain process of this host.",
        rich_help_panel=BOARD,
    ),
]
ContextOption = Annotated[
    str | None,
    typer.Option(
        "--context",
        metavar="NAME|URL",
        help="Use the engine of this docker context, such as the one on a board.",
        rich_help_panel=BOARD,
    ),
]
PushOption = Annotated[
    str | None,
    typer.Option(
        "--push",
        metavar="REGISTRY/NAME:TAG",
        help="Also push to a registry, with the account of `docker login`.",
        rich_help_panel=OUTPUT,
    ),
]
PackedOption = Annotated[
    str | None,
    typer.Option(
        "--packed",
        metavar="REGISTRY/NAME@sha256:…",
        help="Run this image of `edgesim pack`, which contains the model, instead of MODEL.",
        rich_help_panel=IMAGE,
    ),
]
AnnotationOption = Annotated[
    list[str] | None,
    typer.Option(
        "--annotation",
        metavar="NAME=VALUE",
        help="Annotate the pushed image or bundle, such as org.opencontainers.image.licenses=MIT; may be repeated."
        " Source"
        " and revision come from git, if the model is committed and unchanged.",
        rich_help_panel=OUTPUT,
    ),
]
BaseImageOption = Annotated[
    str | None,
    typer.Option(
        "--base-image",
        metavar="IMAGE",
        help="Build the serving image on this Debian 12 image [default: Debian's own].",
        rich_help_panel=BOARD,
    ),
]
RuntimeOption = Annotated[
    str | None,
    typer.Option(
        "--runtime",
        metavar="VERSION",
        help="Serve with this release of ONNX Runtime, such as 1.16.3, or `board` for the release that the"
        " board usually has outside of a container [default: that of the board's system, else edgesim's].",
        rich_help_panel=BOARD,
    ),
]
TargetOption = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="NAME",
        help="Use the time of this target of the board: cpu, or an accelerator with a runtime and a precision, such as"
        " gpu:tensorrt-fp16 [default: cpu].",
        rich_help_panel=BOARD,
        autocompletion=_targets,
    ),
]
HostLibraryOption = Annotated[
    list[str] | None,
    typer.Option(
        "--host-library",
        metavar="FILE|PACKAGE",
        help="Also load this library of custom operations on this host: for the comparison, and with --engine"
        " local. The"
        " library runs with your rights; may be repeated.",
        rich_help_panel=BOARD,
    ),
]
GpusOption = Annotated[
    Literal["all", "none"] | None,
    typer.Option(
        "--gpus",
        metavar="all|none",
        help="Give the container the GPUs of the engine's machine: the board itself, or the machine of --context"
        " [default: the profile's].",
        rich_help_panel=BOARD,
    ),
]
ReadyTimeoutOption = Annotated[
    float,
    typer.Option(
        "--ready-timeout",
        metavar="S",
        min=1,
        help=f"Fail if the server is not ready after this many seconds [default: {READY_TIMEOUT_S:g}].",
        show_default=False,
        rich_help_panel=BOARD,
    ),
]
ResultsDirectoryOption = Annotated[
    Path | None,
    typer.Option(
        "--results",
        metavar="DIR",
        help="Let the container write to this directory, at /results; the files belong to you.",
        rich_help_panel=BOARD,
    ),
]
JunitOption = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Write the verdict as JUnit XML.", rich_help_panel=OUTPUT)
]
MarkdownOption = Annotated[
    Path | None,
    typer.Option(
        "--markdown", metavar="FILE", help="Write Markdown, for the comment on a pull request.", rich_help_panel=OUTPUT
    ),
]
ForceOption = Annotated[
    bool,
    typer.Option("--force", help="Compare any two results change by change; the output says what differs."),
]
InconclusiveOkOption = Annotated[
    bool,
    typer.Option(
        "--inconclusive-ok",
        help="Exit with 0 if the verdict is INCONCLUSIVE; the output and the files still say so.",
        rich_help_panel=OUTPUT,
    ),
]
QuietOption = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print a summary of one line, and no progress.", rich_help_panel=OUTPUT),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the output as JSON.", rich_help_panel=OUTPUT)]
