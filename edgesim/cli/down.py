"""``edgesim down``."""

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
        others = ", ".join(sorted(compose_project.stacks(engine))) or "none"
        stay = f"; its volumes still exist: edgesim down {name} --volumes" if kept else ""
        raise StackError(f"stack {name}: is not up; stacks that are up: {others}{stay}", fix="edgesim stack list")
    up.down(engine, naming.project, naming.parent, volumes=volumes)
    left = project.volumes()
    stays = f", its data stays in {', '.join(left)}" if left else ""
    print(f"{name}: down{stays}")
    return ExitCode.OK
