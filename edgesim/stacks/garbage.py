"""Garbage: what processes that SIGKILL ended have left on an engine."""

from edgesim.engine import compose_project
from edgesim.engine.docker_engine import Engine
from edgesim.engine.parent_cgroup import ParentCgroup
from edgesim.stacks import up


def collect(engine: Engine) -> list[str]:
    """Remove the garbage on an engine: stacks, containers, control groups and old images; return their names.

    Not garbage: what a living process uses, a stack that is up, volumes of models, and the volumes of a stack that was
    to stay.
    """
    removed = []
    for project, whole in sorted(compose_project.abandoned(engine).items()):
        up.down(engine, project, _parent(engine, project).name, volumes=whole, late=True)
        removed.append(project)
    removed += engine.collect_garbage()
    kept = {_parent(engine, project) for projects in compose_project.stacks(engine).values() for project in projects}
    for group in ParentCgroup.left_behind(engine):
        if group not in kept:
            group.remove(engine, None)
            removed.append(f"control group {group.name}")
    return removed + engine.images.remove_old()


def _parent(engine: Engine, project: str) -> ParentCgroup:
    return ParentCgroup.of(project.removeprefix("edgesim-"), engine.facts)
