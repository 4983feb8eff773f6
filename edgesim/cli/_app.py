"""What every command is made with: the Typer application of its module, and examples at the end of its help."""

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

# Panels of a command's help.
TRAFFIC, INPUTS, BOARD, IMAGE, OUTPUT = "Traffic", "Inputs", "Board", "Image", "Output"


Function = TypeVar("Function", bound=Callable[..., Any])


class Command(TyperCommand):
    """A command whose help ends with its epilog, a list of examples, as they are typed.

    Rich would fold the lines of an epilog, and an example is to be copied.
    """

    def __init__(self, *arguments: Any, epilog: str | None = None, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.examples = epilog.splitlines() if epilog is not None else []

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, as the help shows them: without types, which their names and texts say better.

        The help option goes into the last panel: alone in a panel of its own it would come first.
        """
        parameters = without_types(super().get_params(ctx))
        for parameter in parameters:
            if parameter.param_type_name == "argument":
                parameter.display_type_rich = _no_type
        if len(parameters) > 1:
            parameters[-1].rich_help_panel = getattr(parameters[-2], "rich_help_panel", None)
        return parameters

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line; Typer puts a required argument in braces."""
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help, and the examples after it."""
        super().format_help(ctx, formatter)
        if self.examples:
            print(" Examples:", *(f"   {line}" for line in self.examples), "", sep="\n")


class Group(TyperGroup):
    """A group of commands, whose help shows no types of flags."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, as the help shows them."""
        return without_types(super().get_params(ctx))


def without_types(parameters: list[Any]) -> list[Any]:
    """Take the type away that the help would show beside a flag, which takes no value."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


def _no_type(ctx: Any) -> None:
    """Say no type of an argument."""


class _Application(typer.Typer):
    """A Typer application whose commands take their examples as arguments of the decorator."""

    def examples(self, *examples: str, name: str | None = None) -> Callable[[Function], Function]:
        """Add the decorated function as a command, with `examples` at the end of its help."""
        return self.command(name, cls=Command, epilog="\n".join(examples))


def new_app(help_text: str | None = None) -> _Application:
    """Return the application of a module: a group if `help_text` is given, else a single command."""
    return _Application(
        cls=Group,
        help=help_text,
        no_args_is_help=help_text is not None,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
    )


def is_on_command_line(call: typer.Context, parameter: str) -> bool:
    """Return whether a parameter's value is from the command line: not from the user's file, and no default."""
    source = call.get_parameter_source(parameter)
    return source is not None and source.name == "COMMANDLINE"


def missing_model(command: str, profile: str) -> str:
    """Return what to do about a command without a model."""
    words = " ".join(filter(None, ("edgesim", command, profile, "MODEL")))
    return f"{words}; edgesim models list shows the models"
