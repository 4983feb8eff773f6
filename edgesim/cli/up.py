"""``edgesim up``."""

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from edgesim.cli import _console
from edgesim.cli._app import new_app
from edgesim.cli._console import say, show
from edgesim.cli._options import BaseImageOption, JsonOption, QuietOption, ReadyTimeoutOption, StackArgument
from edgesim.cli._service_limits import own_limits
from edgesim.cli._tables import text_table
from edgesim.engine.compose_project import ServiceState
from edgesim.errors import ExitCode
from edgesim.measure import resource_usage
from edgesim.options import READY_TIMEOUT_S
from edgesim.progress import Stages
from edgesim.recording import Reading
from edgesim.reports.formats.text_layout import TextTable
from edgesim.stacks import up
from edgesim.stacks.resolve import ResolvedService
from edgesim.stacks.running import RunningStack
from edgesim.stacks.up import Plan
from edgesim.units import format_bytes, format_seconds

app = new_app()


@app.examples("edgesim up stack.yaml", "edgesim up examples/stacks/parallel/stack.yaml --attach")
def up_command(
    stack: StackArgument,
    attach: Annotated[bool, typer.Option("--attach", help="Wait, and take the stack down at Ctrl-C.")] = False,
    base_image: BaseImageOption = None,
    ready_timeout: ReadyTimeoutOption = READY_TIMEOUT_S,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> int:
    """Start the services of a stack on one simulated board.

    The stack stays up until `edgesim down`.
    """
    plan = Plan(temporary=False, attached=attach, base=base_image, ready_timeout_s=ready_timeout)
    stages = Stages(_console.listener(quiet=quiet))
    running = up.start(stack, plan, stages)
    over = running.resolved.stack.only_steps
    try:
        _show(running, quiet=quiet, as_json=as_json)
        if attach and not over:
            over = True
            say("Ctrl-C takes it down")
            _wait_for_interrupt(running)
        elif over:
            logs = up.keep_logs(running)
            if logs and not as_json and not quiet:
                show()
                _console.show_path("all steps have ended well; their output is in", logs[0].parent)
        elif not as_json and not quiet:
            show(f"\nedgesim down {running.name}")
    except BaseException:
        over = True
        up.keep_logs(running)
        raise
    finally:
        running.monitor.close()
        if over:
            up.take_down(running, stages, volumes=False)
    return ExitCode.OK


def _wait_for_interrupt(running: RunningStack) -> None:
    try:
        running.wait()
    except KeyboardInterrupt:
        return


def _show(running: RunningStack, *, quiet: bool, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_facts(running)), flush=True)
        return
    heading = f"{running.name} on {running.resolved.profile.title_and_mode}, {running.resolved.execution}"
    if quiet:
        url = f": {running.url}" if running.resolved.stack.entry is not None else ""
        print(f"{heading}{url}", flush=True)
        return
    show(f"{heading}\n")
    if running.resolved.on_board:
        show(_table(running))
    if running.resolved.beside:
        if running.resolved.on_board:
            show()
        show(_beside_table(running))
    if running.resolved.overcommit is not None:
        show(f"overcommitted: {running.resolved.overcommit}")
    for shortfall in running.shortfalls:
        show(f"shortfall: {shortfall}")
    sys.stdout.flush()


def _table(running: RunningStack) -> TextTable:
    rows = [_row(running, service) for service in running.resolved.on_board.values()]
    board = running.resolved.limits
    of_board = format_bytes(board.memory_bytes), f"{board.cpus:g}"
    rows.append(("the board", "", _peak(running.monitor.board), *of_board, ""))
    figures = ("memory peak", "limit", "CPUs")
    return text_table(("service", "state", *figures, "address"), rows, figures=figures, last_row_style="bold")


def _beside_table(running: RunningStack) -> TextTable:
    figures = ("memory peak", "limit", "CPUs")
    rows = [_row(running, service) for service in running.resolved.beside.values()]
    return text_table(("beside the board", "state", *figures, "address"), rows, figures=figures)


def _row(running: RunningStack, service: ResolvedService) -> tuple[str, ...]:
    state, peak = running.monitor.states[service.name], _peak(running.monitor.readings.get(service.name, []))
    address = running.addresses.get(service.name, "-")
    return service.name, _state(state, service), peak, *own_limits(service), address


def _peak(readings: Sequence[Reading]) -> str:
    peak = resource_usage.summarise(readings, []).memory_peak_bytes
    return format_bytes(peak) if peak is not None else "-"


def _state(state: ServiceState, service: ResolvedService) -> str:
    if service.spec.once and state.ended:
        return f"done in {format_seconds(state.ran_s)}"
    return state.word


def _facts(running: RunningStack) -> dict[str, Any]:
    services = {
        name: {
            "state": state.status,
            "health": state.health,
            "exit_code": state.exit_code,
            "beside": running.resolved.services[name].spec.beside,
            "url": running.urls.get(name),
            "token": state.token,
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
