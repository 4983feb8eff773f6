"""`edgesim volumes`: models in the engine's own keeping."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from edgesim.cli._console import out, print_json
from edgesim.cli._options import ContextOption, JsonOption
from edgesim.delivery import contents, volumes
from edgesim.delivery.volumes import Volume
from edgesim.engine import docker_engine
from edgesim.engine.context import resolve
from edgesim.engine.mounts import Mount
from edgesim.errors import ExitCode, UsageError
from edgesim.models import repository
from edgesim.units import format_bytes

app = typer.Typer(help="Models in the engine's own keeping: named volumes.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The volume's name.")]


@app.command("list")
def list_(context: ContextOption = None, as_json: JsonOption = False) -> int:
    """The volumes that edgesim has made, what is in them, and who uses them."""
    engine = docker_engine.Engine(resolve(context))
    found = [each for name in engine.volumes.names() if (each := volumes.find(engine, name)) is not None]
    if as_json:
        print_json([_facts(each) for each in found])
        return ExitCode.OK
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("volume", "holds", "size", "used by"):
        table.add_column(heading)
    for each in found:
        unknown = "incomplete" if each.stack is None else "-"
        size = format_bytes(each.manifest["size_bytes"]) if each.manifest else unknown
        held = ", ".join(each.models) or (f"stack {each.stack}'s data" if each.stack is not None else "-")
        table.add_row(each.name, held, size, ", ".join(each.users) or "-")
    if found:
        out.print(table)
    return ExitCode.OK


def _facts(found: Volume) -> dict[str, Any]:
    return {
        "name": found.name,
        "models": found.models,
        "size_bytes": found.manifest.get("size_bytes"),
        "digest": found.manifest.get("digest"),
        "complete": bool(found.manifest),
        "users": list(found.users),
        "stack": found.stack,
    }


@app.command("fill")
def fill(
    name: NameArgument,
    models: Annotated[Path, typer.Option("--models", metavar="DIR", help="Model repository.")] = Path("models"),
    context: ContextOption = None,
) -> int:
    """Have a volume hold what a model repository holds; made where there is none."""
    if not repository.names(models):
        raise UsageError(
            f"{models}: no model in it", fix=f"edgesim models build --models {models} makes the samples there"
        )
    held = contents.of([Mount(models.resolve(), volumes.TARGET)], volumes.TARGET)
    changed = volumes.fill(docker_engine.Engine(resolve(context)), name, held)
    words = f"{len(held.files)} files, {format_bytes(held.size_bytes)}"
    print(f"{name}: {'filled' if changed else 'unchanged'} ({words})")
    return ExitCode.OK


@app.command("export")
def export(
    name: NameArgument,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where; it must not be there yet.")],
    context: ContextOption = None,
) -> int:
    """Write a volume's files into a new directory, as a model repository."""
    volumes.export(docker_engine.Engine(resolve(context)), name, directory)
    print(directory)
    return ExitCode.OK


@app.command("rm")
def remove(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="The volumes' names.")],
    context: ContextOption = None,
) -> int:
    """Remove volumes that no container uses."""
    engine = docker_engine.Engine(resolve(context))
    for name in names:
        volumes.remove(engine, name)
        print(name)
    return ExitCode.OK
