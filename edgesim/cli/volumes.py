"""``edgesim volumes``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from edgesim.cli._app import new_app
from edgesim.cli._console import print_json, show
from edgesim.cli._options import ContextOption, JsonOption, ModelsOption
from edgesim.cli._tables import text_table
from edgesim.delivery import contents, volumes
from edgesim.delivery.volumes import Volume
from edgesim.engine import docker_engine
from edgesim.engine.context import resolve
from edgesim.engine.mounts import Mount
from edgesim.errors import ExitCode
from edgesim.models import repository
from edgesim.units import counted, format_bytes

app = new_app("Work on the engine's volumes that hold models.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The volume's name.")]


@app.examples("edgesim volumes list", "edgesim volumes list --json", name="list")
def list_command(context: ContextOption = None, as_json: JsonOption = False) -> int:
    """List the volumes that edgesim has made, their contents and their users."""
    engine = docker_engine.Engine(resolve(context))
    listed = [volume for name in engine.volumes.names() if (volume := volumes.find(engine, name)) is not None]
    if as_json:
        print_json([_facts(volume) for volume in listed])
        return ExitCode.OK
    rows = []
    for volume in listed:
        unknown = "incomplete" if volume.stack is None else "-"
        size = format_bytes(volume.manifest["size_bytes"]) if volume.manifest else unknown
        holds = ", ".join(volume.models) or (f"stack {volume.stack}'s data" if volume.stack is not None else "-")
        rows.append((volume.name, holds, size, ", ".join(volume.users) or "-"))
    if listed:
        show(text_table(("volume", "holds", "size", "used by"), rows))
    return ExitCode.OK


def _facts(volume: Volume) -> dict[str, Any]:
    return {
        "name": volume.name,
        "models": volume.models,
        "size_bytes": volume.manifest.get("size_bytes"),
        "digest": volume.manifest.get("digest"),
        "complete": bool(volume.manifest),
        "users": list(volume.users),
        "stack": volume.stack,
    }


@app.examples("edgesim volumes fill my-models --models models", name="fill")
def fill_command(
    name: NameArgument,
    models: ModelsOption = None,
    context: ContextOption = None,
) -> int:
    """Fill a volume with the contents of a model repository; make the volume if it does not exist."""
    files = contents.of([Mount(repository.whole(models).resolve(), volumes.TARGET)], volumes.TARGET)
    changed = volumes.fill(docker_engine.Engine(resolve(context)), name, files)
    words = f"{counted(len(files.files), 'file')}, {format_bytes(files.size_bytes)}"
    print(f"{name}: {'filled' if changed else 'unchanged'} ({words})")
    return ExitCode.OK


@app.examples("edgesim volumes export my-models exported", name="export")
def export_command(
    name: NameArgument,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A directory that does not exist yet.")],
    context: ContextOption = None,
) -> int:
    """Copy a volume's files into a new directory, as a model repository."""
    volumes.export(docker_engine.Engine(resolve(context)), name, directory)
    print(directory)
    return ExitCode.OK


@app.examples("edgesim volumes rm my-models", name="rm")
def remove_command(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="The volumes' names.")],
    context: ContextOption = None,
) -> int:
    """Remove volumes that no container uses."""
    engine = docker_engine.Engine(resolve(context))
    for name in names:
        volumes.remove(engine, name)
        print(name)
    return ExitCode.OK
