"""All commands, in the order in which people meet them. The module of a command is imported when it is called."""

from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from edgesim.cli import _default_options
from edgesim.cli._app import without_types


class Entry(NamedTuple):
    """A line of ``edgesim --help``. The command itself is the `app` of the module that has the command's name."""

    name: str
    help: str
    panel: str


_MEASURE, _SERVE, _CATALOGUE, _MAINTENANCE = "Measure and judge", "Serve and ship", "Boards and models", "Maintenance"

COMMANDS = (
    Entry("run", "Benchmark a model on a simulated board, or the services of a stack.", _MEASURE),
    Entry("predict", "Predict a model's device time from its graph, without a container.", _MEASURE),
    Entry("check", "Check a model on a simulated board before a release.", _MEASURE),
    Entry("sweep", "Predict, run or check many models on many boards, each combination once.", _MEASURE),
    Entry("recommend", "Find the boards, and the variants of a model, that satisfy rules.", _MEASURE),
    Entry("screen", "Judge models by rules on their size, opset and predicted time, without a container.", _MEASURE),
    Entry("count", "Count the arm64 instructions of one inference, the same on any host.", _MEASURE),
    Entry("gate", "Judge a result, or the difference of two models or releases, by rules.", _MEASURE),
    Entry("report", "Show one result, or several side by side, on the terminal or as files.", _MEASURE),
    Entry("compare", "Show results side by side, without a verdict.", _MEASURE),
    Entry("history", "Keep results over time, and find the revisions at which figures changed.", _MEASURE),
    Entry("serve", "Serve models on a simulated board until Ctrl-C.", _SERVE),
    Entry("notebook", "Open JupyterLab beside a simulated board until Ctrl-C.", _SERVE),
    Entry("up", "Start the services of a stack on one simulated board.", _SERVE),
    Entry("down", "Take a stack down.", _SERVE),
    Entry("stack", "List the stacks that are up, and work on stack files.", _SERVE),
    Entry("pack", "Pack a model and its server into one image for a board.", _SERVE),
    Entry("bundle", "Pack a result with everything that its run used into one archive.", _SERVE),
    Entry("replay", "Repeat the run of a bundle, and compare both results.", _SERVE),
    Entry("profiles", "List the boards that can be simulated, and work on profile files.", _CATALOGUE),
    Entry("models", "List, describe and build models.", _CATALOGUE),
    Entry("doctor", "Check what this host can do, and how to fix what is missing.", _MAINTENANCE),
    Entry("build", "Build the serving image of a board, or an image of edgesim itself.", _MAINTENANCE),
    Entry("baseline", "Keep results to compare later results with.", _MAINTENANCE),
    Entry("noise", "Measure the smallest change that `edgesim gate` can detect on this host.", _MAINTENANCE),
    Entry("calibrate", "Correct predictions by times that were measured on your own board.", _MAINTENANCE),
    Entry("volumes", "Work on the engine's volumes that hold models.", _MAINTENANCE),
    Entry("gc", "Remove what killed runs left behind.", _MAINTENANCE),
)


def load(name: str) -> Any:
    """Import a command."""
    command = typer.main.get_command(import_module(f"edgesim.cli.{name}").app)
    command.name = name
    return command


class CommandGroup(TyperGroup):
    """The commands of edgesim. Help and completion list them by their entries, without importing them."""

    def __init__(self, **settings: Any) -> None:
        listing = {
            entry.name: TyperCommand(entry.name, help=entry.help, rich_help_panel=entry.panel) for entry in COMMANDS
        }
        super().__init__(**settings | {"commands": listing})

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, as the help shows them: without ``<bool>`` beside a flag."""
        return without_types(super().get_params(ctx))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is called, imported, and give it the defaults from the user's file."""
        name, listed, rest = super().resolve_command(ctx, args)
        if name is None or listed is None:
            return name, listed, rest
        command = load(name)
        if not ctx.resilient_parsing:  # as completion does, which no mistake in a file may break
            ctx.default_map = {name: _default_options.of_command(command, [entry.name for entry in COMMANDS])}
        return name, command, rest
