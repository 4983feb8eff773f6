"""``edgesim gc``."""

from edgesim.cli._app import new_app
from edgesim.cli._console import print_json, say
from edgesim.cli._options import ContextOption, JsonOption
from edgesim.engine.context import resolve
from edgesim.engine.docker_engine import Engine
from edgesim.errors import EngineDenied, EngineMissing, ExitCode
from edgesim.host import scratch
from edgesim.stacks import garbage

app = new_app()


@app.examples("edgesim gc", "edgesim gc --json")
def gc_command(context: ContextOption = None, as_json: JsonOption = False) -> int:
    """Remove what killed runs left behind.

    That is containers, for stacks networks, volumes and control groups, too, images that nothing will use again, and
    temporary files. Runs that are under way, stacks that are up, and volumes that were made to be kept stay.
    """
    removed = [str(path) for path in scratch.remove_left_behind()]
    try:
        removed += garbage.collect(Engine(resolve(context)))
    except (EngineMissing, EngineDenied) as error:
        if context is not None:
            raise
        say(f"edgesim: looked at files only: {error.problem}")
    if as_json:
        print_json({"removed": removed})
    else:
        print("\n".join(f"removed {name}" for name in removed) or "nothing was left behind")
    return ExitCode.OK
