"""``edgesim stack``."""

from collections.abc import Mapping
from typing import Any

from edgesim.cli._app import new_app
from edgesim.cli._console import print_json, show
from edgesim.cli._options import BaseImageOption, JsonOption, StackArgument
from edgesim.cli._service_limits import own_limits
from edgesim.cli._tables import text_table
from edgesim.engine import compose_project
from edgesim.engine.compose_project import Project, ServiceState
from edgesim.engine.docker_engine import Engine
from edgesim.engine.engine_facts import EngineFacts
from edgesim.errors import EngineDenied, EngineMissing, ExitCode
from edgesim.reports.formats.text_layout import TextTable
from edgesim.stacks import compose_file, service_images, stack_loader, up
from edgesim.stacks.resolve import Resolved, ResolvedService

app = new_app("List the stacks that are up, and work on stack files.")


@app.examples("edgesim stack list", "edgesim stack list --json", name="list")
def list_command(as_json: JsonOption = False) -> int:
    """List the stacks that are up, and the state of their services."""
    engine = Engine()
    states_of = {
        project: Project(engine, project).states()
        for _, projects in sorted(compose_project.stacks(engine).items())
        for project in projects
    }
    if as_json:
        print_json(
            {name: {each.service: _facts(each) for each in states.values()} for name, states in states_of.items()}
        )
        return ExitCode.OK
    rows = []
    for name, states in states_of.items():
        for state in states.values():
            ports = ", ".join(_address(outer, state) for outer in state.ports.values()) or "-"
            rows.append((name.removeprefix("edgesim-"), state.service, state.word, str(state.restarts), ports))
    if states_of:
        show(text_table(("stack", "service", "state", "restarts", "ports"), rows, keys=2))
    else:
        show("no stack is up")
    return ExitCode.OK


def _address(port: int, state: ServiceState) -> str:
    return f"127.0.0.1:{port}{f'/?token={state.token}' if state.token else ''}"


def _facts(state: ServiceState) -> Mapping[str, Any]:
    return {
        "state": state.status,
        "health": state.health,
        "exit_code": state.exit_code,
        "restarts": state.restarts,
        "ports": {str(inner): outer for inner, outer in state.ports.items()},
        "token": state.token,
    }


@app.examples("edgesim stack render stack.yaml", "edgesim stack render stack.yaml > compose.yaml", name="render")
def render_command(stack: StackArgument, base_image: BaseImageOption = None) -> int:
    """Print the plain Compose file that `edgesim up` would start; start nothing."""
    facts = _engine_facts()
    written = stack_loader.read(stack)
    resolved = up.of_engine(written, facts, source=stack, base=base_image)
    print(compose_file.text(resolved, up.naming_of(written.name, facts)), end="")
    return ExitCode.OK


@app.examples("edgesim stack validate stack.yaml", "edgesim stack validate stack.yaml --json", name="validate")
def validate_command(stack: StackArgument, as_json: JsonOption = False) -> int:
    """List the mistakes in a stack file with their lines, or what the file would start."""
    resolved = up.of_engine(stack_loader.read(stack), _engine_facts(), source=stack)
    service_images.check_commands(resolved)
    if as_json:
        print_json(resolved.stack.model_dump(mode="json", exclude_defaults=True))
        return ExitCode.OK
    # Not folded: the path is to be copied.
    print(f"{stack}: stack {resolved.name} on {resolved.profile.title_and_mode}, {resolved.execution}")
    show(_plan_table(resolved))
    if resolved.overcommit is not None:
        show(f"overcommitted: {resolved.overcommit}")
    return ExitCode.OK


def _plan_table(resolved: Resolved) -> TextTable:
    """Return a row a service; the columns of GPUs and targets only where a service has some."""
    services = [resolved.services[name] for name in resolved.stack.order]
    columns = {
        "service": [service.name for service in services],
        "board": ["beside" if service.spec.beside else "on it" for service in services],
        "made from": [_made_from(service) for service in services],
        "target": [service.spec.target or "-" for service in services],
        "GPUs": ["all" if service.gpus else "-" for service in services],
        "after": [_waits(resolved, service.name) for service in services],
        "memory": [own_limits(service)[0] for service in services],
        "CPUs": [own_limits(service)[1] for service in services],
    }
    shown = {head: cells for head, cells in columns.items() if head not in ("target", "GPUs") or {*cells} != {"-"}}
    return text_table(tuple(shown), zip(*shown.values(), strict=True), figures=("memory", "CPUs"))


def _waits(resolved: Resolved, name: str) -> str:
    return ", ".join(f"{other} {condition}" for other, condition in resolved.stack.waits(name).items()) or "-"


def _made_from(service: ResolvedService) -> str:
    spec = service.spec
    if spec.models is not None:
        return f"models {', '.join(model.name for model in service.models)}"
    if spec.watch is not None:
        return f"models of {spec.watch.volume or spec.watch.bind}"
    if spec.packages is not None:
        return f"Debian's {', '.join(spec.packages)}"
    return f"{spec.build.context.name}/{spec.build.dockerfile}" if spec.build is not None else service.image


@app.examples("edgesim stack schema > stack.schema.json", name="schema")
def schema_command() -> int:
    """Print the JSON Schema of a stack file, for editors."""
    print_json(stack_loader.json_schema())
    return ExitCode.OK


def _engine_facts() -> EngineFacts | None:
    """Return the facts of the engine; None if no engine answers: a stack file can be read without one."""
    try:
        return Engine().facts
    except (EngineMissing, EngineDenied):
        return None
