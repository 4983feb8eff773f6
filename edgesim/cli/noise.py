"""``edgesim noise``."""

from typing import Annotated

import typer

from edgesim import profiles
from edgesim.cli import _console
from edgesim.cli._app import BOARD, new_app
from edgesim.cli._console import print_json, show
from edgesim.cli._options import ContextOption, EngineOption, JsonOption, ModelsOption, OptionalProfileArgument
from edgesim.cli._tables import text_table
from edgesim.errors import ExitCode
from edgesim.gates import paired_statistics
from edgesim.host.emulator import host_architecture
from edgesim.jobs import noise
from edgesim.models import repository
from edgesim.options import Execution

_MODEL = "mobilenet_v2"

app = new_app()


@app.examples("edgesim noise", "edgesim noise jetson-nano models/detector.onnx --execution scaled")
def noise_command(
    profile: OptionalProfileArgument = None,
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model, best the one that the gate will judge.")
    ] = _MODEL,
    models: ModelsOption = None,
    engine: EngineOption = "docker",
    context: ContextOption = None,
    execution: Annotated[
        Execution | None,
        typer.Option(
            metavar="EXECUTION",
            help="Run the boards in this execution [default: native on the board itself, same-architecture on"
            " another host of its architecture, else scaled; host with --engine local].",
            rich_help_panel=BOARD,
        ),
    ] = None,
    rounds: Annotated[
        int,
        typer.Option(metavar="N", min=paired_statistics.FEWEST_ROUNDS, help="Run this many rounds of fresh boards."),
    ] = noise.ROUNDS,
    as_json: JsonOption = False,
) -> int:
    """Measure the smallest change that `edgesim gate` can detect on this host.

    The command runs a model in turns against itself, and keeps the figures in the user's cache. `edgesim gate` then
    refuses a rule with a smaller change.
    """
    default = "x86-gateway" if host_architecture() == "amd64" else "raspberry-pi-5"
    probe = noise.probe(
        profiles.load(profile if profile is not None else default),
        repository.find(model, models),
        engine=engine,
        context=context,
        execution=execution,
        rounds=rounds,
        listener=_console.listener(),
    )
    path = noise.kept_in(probe.engine, probe.execution, context, model=probe.model)
    detectable = {name: probe.visible(name) for name in probe.scatter}
    if as_json:
        print_json({"file": str(path), **probe.model_dump(), "smallest_visible_change": detectable})
        return ExitCode.OK
    title = f"{probe.model} against itself on {probe.profile}, {probe.execution}, {probe.rounds} rounds"
    figures = ("scatter of a round", f"smallest change in {paired_statistics.MOST_ROUNDS} rounds")
    rows = [
        (name, f"{100 * scatter:.1f} %", f"{100 * (detectable[name] or 0):.1f} %")
        for name, scatter in probe.scatter.items()
    ]
    show(text_table(("metric", *figures), rows, title=title, figures=figures))
    print(f"kept in {path}: `edgesim gate` refuses a rule of a smaller change")  # not folded: the path is to be copied
    return ExitCode.OK
