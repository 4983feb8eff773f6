"""Defaults for options from a file: ``edgesim.toml``, or ``[tool.edgesim]`` in ``pyproject.toml``.

The file is the nearest one, from the working directory upwards. A table of a command, such as ``[run]``, has its
options by their flags without the hyphens in front; options of several commands stand above the tables:

    models = "edge/models"

    [run]
    requests = 200
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

from edgesim import untrusted
from edgesim.errors import UsageError, did_you_mean

FILE_NAME = "edgesim.toml"
# Options that may stand above the tables: they apply to every command that has them.
COMMON = ("models", "engine", "context", "base-image", "mount", "ready-timeout")
# An option that no file gives, since its value is code that runs on this host: the file may be a stranger's.
_ON_THE_COMMAND_LINE_ALONE = "host-library"
_TYPES: Mapping[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


class _Source(NamedTuple):
    """Where defaults come from.

    Attributes:
        label: the file, and the table in it.
        directory: of the file; relative paths begin there.
    """

    label: str
    table: Mapping[str, Any]
    directory: Path

    def inner(self, name: str) -> "_Source":
        """Return the table of a command in this table; an empty one if there is none."""
        table = self.table.get(name, {})  # `models` is an option, too
        return _Source(f"{self.label}: {name}", table if isinstance(table, dict) else {}, self.directory)


def of_command(command: Any, names: Sequence[str], directory: Path | None = None) -> dict[str, Any]:
    """Return the defaults of a command, by the names of its parameters; of a group, a mapping for each command of it.

    Args:
        command: a Typer command or group.
        names: all commands.
        directory: where the search for the file begins; None means the working directory.

    Raises:
        UsageError: the file cannot be read, or has a key or a value that no option takes.
    """
    source = _find(directory if directory is not None else Path.cwd())
    if source is None:
        return {}
    common = {}
    for key, value in source.table.items():
        if key in names and (isinstance(value, dict) or key not in COMMON):
            if not isinstance(value, dict):
                raise UsageError(f"{source.label}: {key}: is a table of options, such as [{key}]")
            continue
        if _flag_name(key) not in COMMON:
            raise UsageError(
                f"{source.label}: {key}: no such command or common option{did_you_mean(key, [*names, *COMMON])}",
                fix=f"a table for each command, such as [run]; above the tables: {', '.join(COMMON)}",
            )
        common[_flag_name(key)] = value
    return _defaults(command, source.inner(command.name), source._replace(table=common))


def _defaults(command: Any, own: _Source, common: _Source) -> dict[str, Any]:
    """Return the values of the command's table and of the common options that the command has."""
    if (commands := getattr(command, "commands", None)) is not None:
        unknown = [key for key in own.table if key not in commands]
        if unknown:
            raise UsageError(f"{own.label}: {unknown[0]}: no such command{did_you_mean(unknown[0], commands)}")
        return {name: _defaults(each, own.inner(name), common) for name, each in commands.items()}
    options = {flag: option for option in command.params for flag in _flags(option)}
    defaults = {}
    for source in (common, own):
        for key, value in source.table.items():
            option = options.get(_flag_name(key))
            if option is None:
                if source is common:
                    continue
                raise UsageError(f"{source.label}: {key}: no such option{did_you_mean(_flag_name(key), options)}")
            if _flag_name(key) == _ON_THE_COMMAND_LINE_ALONE:
                raise UsageError(
                    f"{source.label}: {key}: a library is code that runs on this host with your rights; no file names"
                    " it",
                    fix=f"remove the key; if you trust the library, name it on the command line: --{_flag_name(key)}",
                )
            defaults[option.name] = _checked(value, option, f"{source.label}: {key}", source.directory)
    return defaults


def _flag_name(key: str) -> str:
    return key.replace("_", "-")


def _flags(option: Any) -> Iterator[str]:
    """Yield the names of an option's long flags; an argument has none."""
    for flag in option.opts:
        if flag.startswith("--"):
            yield flag.removeprefix("--")


def _checked(value: Any, option: Any, label: str, directory: Path) -> Any:
    """Return a value of the file as the option takes it; a relative path begins at the file's directory.

    Raises:
        UsageError: the value is of another type, or not one of the option's choices.
    """
    if option.multiple:
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(each, str) for each in values):
            raise UsageError(f"{label}: {value!r} is not a list of texts")
        return [_from(directory, each) for each in values] if _takes_paths(option) else values
    descriptor = option.type_descriptor
    if descriptor.choices is not None:
        if value not in descriptor.choices:
            raise UsageError(f"{label}: {value!r} is not one of {', '.join(descriptor.choices)}")
        return value
    kind = bool if option.is_flag else descriptor.annotation
    kind = kind if kind in (bool, int, float) else str
    accepted = (int, float) if kind is float else (kind,)
    if not isinstance(value, accepted) or (kind is not bool and isinstance(value, bool)):
        raise UsageError(f"{label}: {value!r} is not {_TYPES[kind]}")
    return _from(directory, value) if _takes_paths(option) else value


def _takes_paths(option: Any) -> bool:
    """Return whether an option takes a path, or may be repeated with one each time."""
    annotation = option.type_descriptor.annotation
    # Typer's own `is_path` is False for a list of paths.
    return Path in (annotation, *get_args(annotation))


def _from(directory: Path, path: Any) -> Any:
    """Return a path of the file as it is from the working directory."""
    return str(directory / str(path)) if directory != Path.cwd() else path


def _find(directory: Path) -> _Source | None:
    """Return the nearest file's defaults. ``edgesim.toml`` goes before a ``pyproject.toml`` beside it."""
    for each in (directory, *directory.parents):
        if (path := each / FILE_NAME).is_file():
            return _Source(str(path), _read(path), each)
        if (path := each / "pyproject.toml").is_file():
            tool = _read(path).get("tool")
            table = tool.get("edgesim") if isinstance(tool, dict) else None
            if isinstance(table, dict):
                return _Source(f"{path}: tool.edgesim", table, each)
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(untrusted.read_text(path, untrusted.MIB))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    # ValueError: not TOML, or a number of thousands of digits.
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not TOML: {error}") from error
