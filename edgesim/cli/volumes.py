"""`edgesim volumes`: models in the engine's own keeping."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from edgesim import model
from edgesim.cli.options import ContextOption, JsonOption
from edgesim.cli.terminal import out, print_json
from edgesim.device import contents, docker, volume
from edgesim.device.context import resolve
from edgesim.device.device import Mount
from edgesim.device.volume import Volume
from edgesim.errors import ExitCode, UsageError
from edgesim.units import format_bytes

app = typer.Typer(help="Models in the engine's own keeping: named volumes.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The volume's name.")]


@app.command("list")
def list_(context: ContextOption = None, as_json: JsonOption = False) -> int:
    """The volumes that edgesim has made, what is in them, and who uses them."""
    engine = docker.Engine(resolve(context))
    found = [each for name in engine.volumes() if (each := volume.find(engine, name)) is not None]
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
        "name": found.name, "models": found.models, "size_bytes": found.manifest.get("size_bytes"),
        "digest": found.manifest.get("digest"), "complete": bool(found.manifest), "users": list(found.users),
        "stack": found.stack,
    }  # fmt: skip


@app.command("fill")
def fill(
    name: NameArgument,
    models: Annotated[Path, typer.Option("--models", metavar="DIR", help="Model repository.")] = Path("models"),
    context: ContextOption = None,
) -> int:
    """Have a volume hold what a model repository holds; made where there is none."""
    if not model.names(models):
        raise UsageError(
            f"{models}: no model in it", fix=f"edgesim models build --models {models} makes the samples there"
        )
    held = contents.of([Mount(models.resolve(), volume.TARGET)], volume.TARGET)
    changed = volume.fill(docker.Engine(resolve(context)), name, held)
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
    volume.export(docker.Engine(resolve(context)), name, directory)
    print(directory)
    return ExitCode.OK


@app.command("rm")
def remove(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="The volumes' names.")],
    context: ContextOption = None,
) -> int:
    """Remove volumes that no container uses."""
    engine = docker.Engine(resolve(context))
    for name in names:
        volume.remove(engine, name)
        print(name)
    return ExitCode.OK
