"""A page for each command, out of the command line itself: usage, words, arguments, options and examples."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from edgesim.cli import _commands

_NO_PANEL = "Options"
_CODE = re.compile(r"(`[^`]*`)")


@dataclass(frozen=True)
class Page:
    """A command's page, in Markdown; a group's page has its commands below one another."""

    name: str
    summary: str
    text: str


@cache
def pages() -> tuple[Page, ...]:
    """Return the pages of all commands, in the order of ``edgesim --help``."""
    return tuple(_page(entry.name, entry.help) for entry in _commands.COMMANDS)


def _page(name: str, summary: str) -> Page:
    command = _commands.load(name)
    lines = [f"# edgesim {name}", ""]
    if members := getattr(command, "commands", None):
        lines += [_words(command.help or summary), ""]
        for member in members.values():
            lines += [f"## edgesim {name} {member.name}", "", *_command(f"edgesim {name} {member.name}", member)]
    else:
        lines += _command(f"edgesim {name}", command)
    return Page(name, summary, "\n".join(lines))


def _command(words: str, command: Any) -> Iterator[str]:
    with command.make_context(words, [], resilient_parsing=True) as context:
        pieces = command.collect_usage_pieces(context)
        yield from ("```text", " ".join([words, *pieces]), "```", "", _words(command.help or ""), "")
        panels: dict[str, list[Any]] = {}
        for parameter in command.get_params(context):
            if not getattr(parameter, "hidden", False):
                panels.setdefault(_panel(parameter), []).append(parameter)
        for panel, parameters in panels.items():
            yield from (f"**{panel}**", "")
            for parameter in parameters:
                yield from _definition(parameter, context)
        if command.examples:
            yield from ("**Examples**", "", "```sh", *command.examples, "```", "")


def _panel(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return "Arguments"
    return getattr(parameter, "rich_help_panel", None) or _NO_PANEL


def _definition(parameter: Any, context: Any) -> Iterator[str]:
    name, help_text = parameter.get_help_record(context) or (parameter.metavar or parameter.name, parameter.help or "")
    yield from (f"`{name}`", f": {_words(' '.join(help_text.split()))}", "")


def _words(text: str) -> str:
    """Return text of the help in Markdown: what is no code is shown as it is written."""
    parts = _CODE.split(text)
    return "".join(part if part.startswith("`") else re.sub(r"([*<_\[\]])", r"\\\1", part) for part in parts)
