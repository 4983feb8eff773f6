"""``edgesim gc``."""

import os

from edgesim import paths
from edgesim.cli._app import new_app
from edgesim.cli._console import print_json, say
from edgesim.cli._options import ContextOption, JsonOption
from edgesim.engine.context import resolve
from edgesim.engine.docker_engine import Engine
from edgesim.errors import EngineDenied, EngineMissing, ExitCode
from edgesim.host import cache, scratch
from edgesim.stacks import garbage

app = new_app()


@app.examples("edgesim gc", "edgesim gc --json")
def gc_command(context: ContextOption = None, as_json: JsonOption = False) -> int:
    """Remove what killed runs left behind.

    The command removes containers, images that nothing will use again, temporary files, and the networks, volumes and
    control groups of stacks. Of edgesim's cache it removes base file systems, Python packages and quantized models that
    nothing has used for 30 days. It keeps runs that are under way, stacks that are up, and volumes that were made to be
    kept.
    """
    removed = [str(path) for path in (*scratch.remove_left_behind(), *cache.remove_unused(paths.cache_directory()))]
    failure: EngineMissing | EngineDenied | None = None
    try:
        removed += garbage.collect(Engine(resolve(context)))
    except (EngineMissing, EngineDenied) as error:
        failure = error
    # An engine that was named must answer; a host may well have none.
    named = context is not None or "DOCKER_HOST" in os.environ or "DOCKER_CONTEXT" in os.environ
    if as_json:
        print_json({"removed": removed})
    elif removed:
        print("\n".join(f"removed {name}" for name in removed))
    elif failure is None:
        print("nothing was left behind")
    elif not named:
        print("no files were left behind")
    if failure is not None and named:
        raise failure
    if failure is not None:
        say(f"edgesim: looked at files only: {failure.problem}")
    return ExitCode.OK
