"""``edgesim noise``, and what it forbids a gate to ask for."""

from typing import Annotated

import typer
from rich import box
from rich.table import Table

from edgesim import profiles
from edgesim.cli import _console, _options
from edgesim.cli._console import out, print_json
from edgesim.cli._options import ContextOption, EngineOption, JsonOption, ModelsOption
from edgesim.errors import ExitCode, UsageError
from edgesim.gates import Rules, paired_statistics
from edgesim.host.emulator import host_architecture
from edgesim.jobs import noise
from edgesim.models import repository
from edgesim.options import EngineName, Execution
from edgesim.profiles import DeviceProfile

_MODEL = "mobilenet_v2"


def noise_command(
    p: Annotated[str | None, typer.Argument(metavar="P", help="A profile; without, one of this host's kind.")] = None,
    m: Annotated[str, typer.Argument(metavar="M", help="A model: best the one that is to be gated.")] = _MODEL,
    models: ModelsOption = None,
    engine: EngineOption = "docker",
    context: ContextOption = None,
    execution: Annotated[str | None, typer.Option(help="Without: native or scaled, host with --engine local.")] = None,
    rounds: Annotated[
        int, typer.Option(metavar="N", min=paired_statistics.FEWEST_ROUNDS, help="Rounds of fresh boards.")
    ] = noise.ROUNDS,
    as_json: JsonOption = False,
) -> int:
    """The smallest change that `edgesim gate` can see on this host, by a model against itself; the cache keeps it."""
    here = "x86-gateway" if host_architecture() == "amd64" else "raspberry-pi-5"
    found = noise.probe(
        profiles.load(p if p is not None else here),
        repository.find(m, models),
        engine=_options.engine(engine),
        context=context,
        execution=_options.execution(execution),
        rounds=rounds,
        listener=_console.listener(),
    )
    path = noise.kept_in(found.engine, found.execution, context, model=found.model)
    visible = {name: found.visible(name) for name in found.scatter}
    if as_json:
        print_json({"file": str(path), **found.model_dump(), "smallest_visible_change": visible})
        return ExitCode.OK
    title = f"{found.model} against itself on {found.profile}, {found.execution}, {found.rounds} rounds"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("metric", no_wrap=True)
    table.add_column("scatter of a round", justify="right")
    table.add_column(f"smallest visible change, {paired_statistics.MOST_ROUNDS} rounds", justify="right")
    for name, scatter in found.scatter.items():
        table.add_row(name, f"{100 * scatter:.1f} %", f"{100 * (visible[name] or 0):.1f} %")
    out.print(table)
    out.print(f"kept in {path}: a gate refuses a rule of a smaller change")
    return ExitCode.OK


def refuse_invisible(
    rules: Rules,
    simulated: DeviceProfile,
    most_rounds: int,
    *,
    model_name: str,
    engine: EngineName,
    execution: Execution | None = None,
    context: str | None = None,
) -> None:
    """Before the work: raise a UsageError for a rule of a change that this host is known not to show."""
    changes = [rule for rule in rules.of_board(simulated.name, simulated.mode) if rule.kind == "change"]
    probes = noise.known(simulated, engine, execution, context, model=model_name)
    for rule in changes:
        seen = [
            (visible, probe)
            for probe in probes
            if (visible := probe.visible(rule.metric, most_rounds, len(changes))) is not None
        ]
        visible, probe = min(seen, key=lambda found: found[0], default=(0.0, None))
        if probe is not None and abs(rule.limit) < visible:
            raise UsageError(
                f"{rule.text}: this host shows no change below {100 * visible:.1f} % in {most_rounds} rounds"
                f" (edgesim noise with {probe.model}, {probe.created[:10]})",
                fix=f"a larger limit, more --max-rounds, or a quieter host and edgesim noise {simulated.reference}"
                f" {model_name} again",
            )
