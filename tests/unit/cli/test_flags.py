"""Messages of the core name options by their fields, and the command line knows the flag of each."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import edgesim
from edgesim.cli import _commands, _flags

# A field in backticks, alone or with a value: `qps`, `execution=scaled`.
FIELD = re.compile(r"`([a-z][a-z0-9_]*)(?:=[^`]*)?`")


def texts(module: Path) -> Iterator[str]:
    """Yield the texts of a module that are no docstrings; a value within an f-string is written ``{}``."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    nodes = [*ast.walk(tree)]
    skipped = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    skipped |= {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes:
        if id(node) in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def named_fields() -> dict[str, str]:
    """Return the fields in backticks in the texts outside the command line, each with a module that names it."""
    root = Path(edgesim.__file__).parent
    modules = [path for path in sorted(root.rglob("*.py")) if path.relative_to(root).parts[0] != "cli"]
    return {field: str(module) for module in modules for text in texts(module) for field in FIELD.findall(text)}


def flags_of_all_commands() -> set[str]:
    commands = [_commands.load(entry.name) for entry in _commands.COMMANDS]
    parts = [part for command in commands for part in getattr(command, "commands", {}).values()]
    return {word for command in (*commands, *parts) for parameter in command.params for word in parameter.opts}


def test_every_option_that_a_message_names_is_printed_as_its_flag() -> None:
    named, flags = named_fields(), flags_of_all_commands()
    assert {"model", "qps", "rule", "shapes", "tag"} <= set(named), "the texts are read"
    for field, module in named.items():
        if _flags.flag(field) in flags:
            assert _flags.with_flags(f"`{field}=x`") == f"{_flags.flag(field)} x", f"{module}: `{field}`"


def test_every_known_field_has_a_flag_of_some_command() -> None:
    sections = {"traffic", "inputs", "board"}  # of the options, and no options themselves
    flags = flags_of_all_commands()
    assert [
        field for field in sorted(_flags._FIELDS - sections) if _flags.flag(field).partition(" ")[0] not in flags
    ] == []
