"""Reading of YAML files that people write; an error names each line that is wrong."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from edgesim import untrusted
from edgesim.errors import UsageError, did_you_mean, field_problem
from edgesim.server import bounded_yaml
from edgesim.units import counted

_Value = TypeVar("_Value")

_MOST_PROBLEMS = 10  # that one message lists: more lines push the first ones off the screen
_MOST_LETTERS = 80  # of a value in a message
_KEY = re.compile(r"[\w. /-]{1,60}")


def read(path: Path, kind: str, error: type[UsageError], *, example: str) -> CommentedMap:
    """Return the mapping that a file contains.

    Args:
        kind: what the file is, in a word: ``profile``.
        error: the class of the error to raise.
        example: a fix that shows a correct file.

    Raises:
        UsageError: of the class `error`: the file cannot be read, is not YAML, or is not a mapping.
    """
    document = load(path, kind, error, example=example)
    if not isinstance(document, CommentedMap):
        raise error(f"{path}: a {kind} must be a mapping of keys", fix=example)
    return document


def load(path: Path, kind: str, error: type[UsageError], *, example: str) -> Any:
    """Return whatever a file contains; the arguments are those of `read`.

    Raises:
        UsageError: of the class `error`: the file cannot be read, is not YAML, or is out of bounds.
    """
    try:
        return bounded_yaml.load(untrusted.read_text(path, bounded_yaml.MOST_BYTES), kind="rt")
    except OSError as reason:
        fix = untrusted.fix_of(reason, example)
        raise error(f"{path}: {reason.strerror}", fix=fix) from reason
    except YAMLError as reason:
        raise error(f"{path}: not valid YAML: {bounded_yaml.problem(reason)}") from reason


def problems(
    path: Path,
    document: CommentedMap,
    model: type[BaseModel],
    error: ValidationError,
    *,
    more_keys: Sequence[str] = (),
    inherited: Mapping[str, str] | None = None,
    not_inherited: Mapping[str, tuple[str, str]] | None = None,
) -> list[str]:
    """Return a line for each problem of a file, in the file's order: ``PATH:LINE: KEY: …``.

    Args:
        model: the schema that the file does not match.
        error: what pydantic found wrong. A validator may raise a `ValueError` with several texts, each ``KEY: …``.
        more_keys: keys that the top of the file may have in addition to the model's.
        inherited: keys that are another file's and not this one's, each with the name of that file.
        not_inherited: keys that another file has and this one did not inherit, each with the key that is the cause and
            the reason in words.
    """
    details = error.errors()
    found: list[tuple[int | None, str]] = []
    for detail in details:
        if detail["type"] == "missing" and _is_mistyped(detail, details):
            continue  # the unknown key explains the missing one
        for location, text in _explain(model, detail, more_keys, not_inherited or {}):
            origin = _nearest(location, inherited or {})
            found.append((_line_of(document, location), f"{text} (stated by {origin})" if origin else text))
    found.sort(key=lambda problem: (problem[0] is None, problem[0]))
    lines = [f"{path}:{line}: {text}" if line else f"{path}: {text}" for line, text in found]
    more = len(lines) - _MOST_PROBLEMS
    return lines[:_MOST_PROBLEMS] + ([f"{path}: {more} more problems"] if more > 0 else [])


def _is_mistyped(missing: Any, details: Sequence[Any]) -> bool:
    """Return whether an unknown key of the same section is similar to the missing key."""
    *section, key = missing["loc"]
    unknown = [d["loc"][-1] for d in details if d["type"] == "extra_forbidden" and [*d["loc"][:-1]] == section]
    return any(did_you_mean(str(word), [str(key)]) for word in unknown)


def _explain(
    model: type[BaseModel], detail: Any, more_keys: Sequence[str], not_inherited: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[Sequence[str | int], str]]:
    """Yield the location of the cause in the file, and ``KEY: what is wrong``, for one pydantic error."""
    location: Sequence[str | int] = detail["loc"]
    key = ".".join(str(part) for part in location)
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        text = f"unknown key {_name(key)}{_meant(model, location, more_keys)}"
    elif kind == "missing":
        cause = _nearest(location, not_inherited)
        text = f"key {key!r} is missing" + (f": {cause[1]}" if cause else "")
        location = cause[0].split(".") if cause else location
    elif kind == "literal_error":
        allowed = re.findall(r"'([^']+)'", str(context.get("expected", "")))
        nearest = did_you_mean(str(detail["input"]), allowed)
        text = f"{key}: {shown(detail['input'])} is not one of {', '.join(allowed)}{nearest}"
    elif kind == "value_error":
        yield from ((str(text).partition(":")[0].split("."), str(text)) for text in context["error"].args)
        return
    elif detail["input"] is None:
        text = f"{key}: has no value"
    else:
        text = f"{key}: {field_problem(detail)} (given: {shown(detail['input'])})"
    yield location, text


def _name(key: str) -> str:
    """Return an unknown key for a message: only what may be a key, since the file may be another one, with secrets."""
    return repr(key) if _KEY.fullmatch(key) else f"in the place of one: a text of {counted(len(key), 'letter')}"


def shown(value: object) -> str:
    """Return a value of a file for a message: as Python writes the value, and short."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits
        return "a value too long to show"
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}…"


def _nearest(location: Sequence[str | int], by_key: Mapping[str, _Value]) -> _Value | None:
    """Return the value of a key, or else of the nearest section above that has one."""
    for length in range(len(location), 0, -1):
        value = by_key.get(".".join(str(part) for part in location[:length]))
        if value is not None:
            return value
    return None


def _meant(model: type[BaseModel], location: Sequence[str | int], more_keys: Sequence[str]) -> str:
    """Return what an unknown key may stand for, to be appended to a message.

    A schema may have `other_names`: keys of other programs' files, each with its own key of the same meaning.
    """
    schema, word = _schema_at(model, location[:-1]), str(location[-1])
    if schema is None:
        return ""
    other_names: Mapping[str, str] = getattr(schema, "other_names", {})
    keys = [name for name in schema.model_fields if name != "mode"] + (list(more_keys) if schema is model else [])
    return did_you_mean(other_names.get(word, word), keys)


def _schema_at(model: type[BaseModel], location: Sequence[str | int]) -> type[BaseModel] | None:
    """Return the schema of a section of the file; None if the schema does not know it."""
    schema: Any = model
    for part in location:
        if isinstance(schema, type) and issubclass(schema, BaseModel) and part in schema.model_fields:
            schema = schema.model_fields[str(part)].annotation
        # A section is the annotation itself, or is inside an optional, a tuple or a dictionary.
        candidates = [schema, *_inner(schema)]
        schema = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), schema)
    return schema if isinstance(schema, type) and issubclass(schema, BaseModel) else None


def _inner(annotation: Any) -> list[Any]:
    """Return the type arguments of an annotation, at any depth."""
    return [inner for argument in get_args(annotation) for inner in (argument, *_inner(argument))]


def _line_of(document: CommentedMap, location: Sequence[str | int]) -> int | None:
    """Return the line of a key, or else of the nearest section above that the file has."""
    node: Any = document
    line: int | None = None
    rest = list(location)
    while rest:
        # A key may contain dots, as the mode "1.4" does: the longest key that the file has is taken.
        lengths = range(len(rest), 0, -1) if isinstance(node, CommentedMap) else (1,)
        keys = ((length, rest[0] if length == 1 else ".".join(map(str, rest[:length]))) for length in lengths)
        for length, key in keys:
            try:
                position = node.lc.key(key) if isinstance(node, CommentedMap) else node.lc.item(key)
                line, node = position[0] + 1, node[key]
            except (AttributeError, KeyError, IndexError, TypeError):
                continue
            rest = rest[length:]
            break
        else:
            return line
    return line
