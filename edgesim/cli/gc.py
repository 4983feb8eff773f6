"""``edgesim gc``."""

from edgesim.cli._app import new_app
from edgesim.cli._console import print_json
from edgesim.cli._options import ContextOption, JsonOption
from edgesim.engine import compose_project, docker_engine
from edgesim.engine.context import resolve
from edgesim.engine.docker_engine import Engine
from edgesim.engine.parent_cgroup import ParentCgroup
from edgesim.errors import ExitCode
from edgesim.stacks import up

app = new_app()


@app.examples("edgesim gc", "edgesim gc --json")
def gc_command(context: ContextOption = None, as_json: JsonOption = False) -> int:
    """Remove what a killed run left behind.

    That is containers, and for stacks networks and volumes, too.
    """
    engine = docker_engine.Engine(resolve(context))
    removed = [*_remove_stacks(engine), *engine.collect_garbage()]
    if as_json:
        print_json({"removed": removed})
    else:
        print("\n".join(f"removed {name}" for name in removed) or "nothing was left behind")
    return ExitCode.OK


def _remove_stacks(engine: Engine) -> list[str]:
    """Remove what killed runs of stacks have left, and return the names of their projects."""
    removed = sorted(compose_project.abandoned(engine))
    for name in removed:
        up.down(engine, name, ParentCgroup.of(name.removeprefix("edgesim-"), engine.facts).name, volumes=True)
    return removed
