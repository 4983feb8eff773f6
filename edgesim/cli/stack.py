"""`edgesim up`, `down` and `stack`: several services on one board."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from edgesim.cli import _console
from edgesim.cli._console import err, out, print_json
from edgesim.cli._options import BaseOption, JsonOption, ReadyOption
from edgesim.engine import compose_project
from edgesim.engine.compose_project import Project, ServiceState
from edgesim.engine.docker_engine import Engine, EngineFacts
from edgesim.engine.parent_cgroup import ParentCgroup
from edgesim.errors import EdgesimError, EngineDenied, EngineMissing, ExitCode, StackError
from edgesim.measure import resource_usage
from edgesim.options import READY_TIMEOUT_S, RunOptions
from edgesim.progress import Stages
from edgesim.recording import Reading
from edgesim.reports.formats import terminal as text
from edgesim.results.stack_result import StackResult
from edgesim.stacks import compose_file, stack_loader, up
from edgesim.stacks.benchmark import run as run_stack
from edgesim.stacks.resolve import Resolved, ResolvedService
from edgesim.stacks.running import RunningStack
from edgesim.stacks.up import Plan
from edgesim.units import format_bytes, format_seconds

app = typer.Typer(help="Several services on one board: what a stack is, and which are up.", no_args_is_help=True)

StackArgument = Annotated[Path, typer.Argument(metavar="STACK.yaml", help="A stack file.")]


def up_command(
    stack: StackArgument,
    attach: Annotated[bool, typer.Option("--attach", help="Stay, and take it down at Ctrl-C.")] = False,
    base: BaseOption = None,
    ready_timeout: ReadyOption = READY_TIMEOUT_S,
    as_json: JsonOption = False,
) -> int:
    """Start services on one simulated board, until `edgesim down`."""
    plan = Plan(temporary=False, base=base, ready_timeout_s=ready_timeout)
    running = up.start(stack, plan, Stages(_console.listener()))
    over = running.finished
    try:
        _show(running, as_json)
        if attach and not over:
            over = True
            err.print("Ctrl-C takes it down")
            _until_interrupted(running)
        elif over:
            logs = up.keep_logs(running)
            if not as_json:
                out.print(f"\nall steps have ended well; what they printed is in {logs[0].parent}")
        elif not as_json:
            out.print(f"\nedgesim down {running.name}")
    except BaseException:
        over = True
        up.keep_logs(running)
        raise
    finally:
        running.monitor.close()
        if over:
            up.take_down(running, volumes=False)
    return ExitCode.OK


def is_stack(word: str) -> bool:
    """Whether what `edgesim run` is given is a stack file."""
    return word.endswith((".yaml", ".yml")) and stack_loader.is_stack(Path(word))


def run(path: Path, options: RunOptions, *, as_json: bool) -> int:
    """Run `edgesim run` of a stack."""
    output = options.output
    try:
        result = run_stack(path, options, listener=_console.listener())
    except EdgesimError as error:
        # What was measured before it went wrong is shown, too.
        if isinstance(error.result, StackResult):
            _deliver(error.result, output, as_json)
        raise
    _deliver(result, output, as_json)
    return ExitCode.OK if result.validity.valid else ExitCode.INVALID


def _deliver(result: StackResult, output: Path | None, as_json: bool) -> None:
    if as_json:
        print(result.as_json(), end="")
        return
    out.print(text.render_stack(result))
    if output is not None:
        out.print(f"\nresult: {output}")


def _until_interrupted(running: RunningStack) -> None:
    try:
        running.wait()
    except KeyboardInterrupt:
        return


def _show(running: RunningStack, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_facts(running)), flush=True)
        return
    board = running.resolved.profile
    out.print(f"{running.name} on {board.title}, {running.resolved.execution}\n")
    out.print(_table(running))
    for line in (running.resolved.overcommit, *running.resolved.shortfalls):
        if line is not None:
            out.print(f"{'overcommitted' if line is running.resolved.overcommit else 'not given'}: {line}")
    sys.stdout.flush()


def _table(running: RunningStack) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("service", "state"):
        table.add_column(heading, no_wrap=True)
    for heading in ("memory peak", "limit", "CPUs"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("address", no_wrap=True)
    for name in running.resolved.stack.order:
        service, state = running.resolved.services[name], running.monitor.states[name]
        peak = _peak(running.monitor.readings.get(name, []))
        table.add_row(name, _state(state, service), peak, *_limits(service), running.urls.get(name, "-"))
    budget = running.resolved.budget
    limits = format_bytes(budget.memory_bytes), f"{budget.cpus:g}"
    table.add_row("the board", "", _peak(running.monitor.board), *limits, "", style="bold")
    return table


def _peak(readings: Sequence[Reading]) -> str:
    peak = resource_usage.summarise(readings, []).memory_peak_bytes
    return format_bytes(peak) if peak is not None else "-"


def _limits(service: ResolvedService) -> tuple[str, str]:
    """Its own; a dash where it has the board's alone."""
    memory = format_bytes(service.memory_bytes) if service.spec.memory is not None else "-"
    return memory, f"{service.cpus:g}" if service.spec.cpus is not None else "-"


def _state(state: ServiceState, service: ResolvedService) -> str:
    if service.spec.once and state.ended:
        return f"done in {format_seconds(state.ran_s)}"
    return state.health if state.health is not None else state.status


def _facts(running: RunningStack) -> dict[str, Any]:
    services = {
        name: {
            "state": state.status,
            "health": state.health,
            "exit_code": state.exit_code,
            "url": running.urls.get(name),
        }
        for name, state in running.monitor.states.items()
    }
    has_entry = running.resolved.stack.entry is not None
    return {
        "name": running.name,
        "profile": running.resolved.profile.reference,
        "execution": running.resolved.execution,
        "project": running.project.name,
        "url": running.url if has_entry else None,
        "services": services,
    }


def down_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The stack's name, or its file.")],
    volumes: Annotated[bool, typer.Option("--volumes", help="Its volumes, too, with the data in them.")] = False,
) -> int:
    """Take a stack down; its volumes stay unless told otherwise."""
    if name.endswith((".yaml", ".yml")):
        name = stack_loader.read(Path(name)).name
    engine = Engine()
    naming = up.naming_of(name, engine.facts)
    found = Project(engine, naming.project)
    kept = found.volumes()
    if not found.ids() and not (volumes and kept):
        others = ", ".join(sorted(compose_project.stacks(engine))) or "none is"
        stay = f"; its volumes are there: edgesim down {name} --volumes" if kept else ""
        raise StackError(f"stack {name}: is not up; up: {others}{stay}", fix="edgesim stack list")
    up.down(engine, naming.project, naming.parent, volumes=volumes)
    left = found.volumes()
    stays = f", its data stays in {', '.join(left)}" if left else ""
    print(f"{name}: down{stays}")
    return ExitCode.OK


@app.command("list")
def list_(as_json: JsonOption = False) -> int:
    """The stacks that are up, and how their services are."""
    engine = Engine()
    found = {
        each: Project(engine, each).states()
        for _, projects in sorted(compose_project.stacks(engine).items())
        for each in projects
    }
    if as_json:
        print_json({name: {each.service: _as_json(each) for each in states.values()} for name, states in found.items()})
        return ExitCode.OK
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("stack", "service", "state", "restarts", "ports"):
        table.add_column(heading)
    for name, states in found.items():
        for state in states.values():
            ports = ", ".join(f"127.0.0.1:{outer}" for outer in state.ports.values()) or "-"
            how = state.health or (f"exited ({state.exit_code})" if state.ended else state.status)
            table.add_row(name.removeprefix("edgesim-"), state.service, how, str(state.restarts), ports)
    if found:
        out.print(table)
    return ExitCode.OK


def _as_json(state: ServiceState) -> Mapping[str, Any]:
    return {
        "state": state.status,
        "health": state.health,
        "exit_code": state.exit_code,
        "restarts": state.restarts,
        "ports": {str(inner): outer for inner, outer in state.ports.items()},
    }


@app.command("render")
def render(stack: StackArgument, base: BaseOption = None) -> int:
    """Print the plain Compose file that `up` would start; nothing is made."""
    facts = _engine_facts()
    written = stack_loader.read(stack)
    resolved = up.of_engine(written, facts, source=stack, base=base)
    print(compose_file.text(resolved, up.naming_of(written.name, facts)), end="")
    return ExitCode.OK


@app.command("validate")
def validate(stack: StackArgument, as_json: JsonOption = False) -> int:
    """Say what is wrong with a stack file, with the line; or what it would be."""
    resolved = up.of_engine(stack_loader.read(stack), _engine_facts(), source=stack)
    if as_json:
        print_json(resolved.stack.model_dump(mode="json", exclude_defaults=True))
        return ExitCode.OK
    print(f"{stack}: stack {resolved.name} on {resolved.profile.title}, {resolved.execution}")
    out.print(_plan_table(resolved))
    if resolved.overcommit is not None:
        out.print(f"overcommitted: {resolved.overcommit}")
    return ExitCode.OK


def _plan_table(resolved: Resolved) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("service", "made from", "after"):
        table.add_column(heading)
    for heading in ("memory", "CPUs"):
        table.add_column(heading, justify="right")
    for name in resolved.stack.order:
        service = resolved.services[name]
        waits = ", ".join(f"{other} {condition}" for other, condition in resolved.stack.waits(name).items())
        table.add_row(name, _made_from(service), waits or "-", *_limits(service))
    return table


def _made_from(service: ResolvedService) -> str:
    spec = service.spec
    if spec.models is not None:
        return f"models {', '.join(model.name for model in service.models)}"
    if spec.packages is not None:
        return f"Debian's {', '.join(spec.packages)}"
    return f"{spec.build.context.name}/{spec.build.dockerfile}" if spec.build is not None else service.image


@app.command("schema")
def schema() -> int:
    """The JSON Schema of a stack file, for editors."""
    print_json(stack_loader.json_schema())
    return ExitCode.OK


def _engine_facts() -> EngineFacts | None:
    """Those of the engine, where one answers: its file can be looked at without."""
    try:
        return Engine().facts
    except (EngineMissing, EngineDenied):
        return None


def collect_garbage(engine: Engine) -> list[str]:
    """Remove what killed runs of stacks have left; the names of their projects."""
    removed = sorted(compose_project.abandoned(engine))
    for name in removed:
        up.down(engine, name, ParentCgroup.of(name.removeprefix("edgesim-"), engine.facts).name, volumes=True)
    return removed
