"""``edgesim down``."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli._app import new_app
from edgesim.engine import compose_project
from edgesim.engine.compose_project import Project
from edgesim.engine.docker_engine import Engine
from edgesim.errors import ExitCode, StackError
from edgesim.stacks import stack_loader, up

app = new_app()


@app.examples("edgesim down shop", "edgesim down stack.yaml --volumes")
def down_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The stack's name, or its file.")],
    volumes: Annotated[
        bool, typer.Option("--volumes", help="Also remove the stack's volumes, with their data.")
    ] = False,
) -> int:
    """Take a stack down.

    Its volumes stay unless `--volumes` is given.
    """
    if name.endswith((".yaml", ".yml")):
        name = stack_loader.read(Path(name)).name
    engine = Engine()
    naming = up.naming_of(name, engine.facts)
    project = Project(engine, naming.project)
    kept = project.volumes()
    if not project.ids() and not (volumes and kept):
        raise not_up(name, compose_project.stacks(engine), has_volumes=bool(kept))
    up.down(engine, naming.project, naming.parent, volumes=volumes)
    left = project.volumes()
    stays = f", its data stays in {', '.join(left)}" if left else ""
    print(f"{name}: down{stays}")
    return ExitCode.OK


def not_up(name: str, stacks: Iterable[str], *, has_volumes: bool) -> StackError:
    """Return the error for a stack that is not up.

    Args:
        stacks: those that are.
        has_volumes: whether its volumes still exist.
    """
    others = ", ".join(sorted(stacks))
    up_are = f"stacks that are up: {others}" if others else "no stack is up"
    if has_volumes:
        return StackError(
            f"stack {name} is not up, and its volumes still exist; {up_are}", fix=f"edgesim down {name} --volumes"
        )
    return StackError(f"stack {name} is not up; {up_are}", fix="edgesim stack list")
