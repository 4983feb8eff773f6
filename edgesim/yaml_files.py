"""Reading of YAML files that people write; an error names the line that is wrong."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from edgesim.errors import UsageError, did_you_mean


def read(path: Path, kind: str, error: type[UsageError], *, example: str) -> CommentedMap:
    """Return the mapping that a file contains.

    Args:
        kind: what the file is, in a word: ``profile``.
        error: the class of the error to raise.
        example: a fix that shows a correct file.

    Raises:
        UsageError: of the class `error`: the file cannot be read, is not YAML, or is not a mapping.
    """
    try:
        document = YAML(typ="rt", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as reason:
        raise error(f"{path}: {reason.strerror}") from reason
    except UnicodeDecodeError as reason:
        raise error(f"{path}: not UTF-8 text", fix=f"a {kind} is a YAML file") from reason
    except YAMLError as reason:
        raise error(f"{path}: not valid YAML: {_yaml_problem(reason)}") from reason
    if not isinstance(document, CommentedMap):
        raise error(f"{path}: a {kind} is a mapping of keys", fix=example)
    return document


def problems(
    document: CommentedMap, model: type[BaseModel], error: ValidationError, *, more_keys: Sequence[str] = ()
) -> str:
    """Return the text that follows the file's name in a message: the first problem, its line, and how many more.

    Args:
        model: the schema that the file does not match.
        error: what pydantic found wrong.
        more_keys: keys that the top of the file may have in addition to the model's.
    """
    # A mistyped key is reported as unknown and as missing: the unknown key comes first, since the typo explains both.
    details = sorted(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
    texts = [_explain(document, model, detail, more_keys) for detail in details]
    return texts[0] + (f" (and {len(texts) - 1} more)" if len(texts) > 1 else "")


def _yaml_problem(error: YAMLError) -> str:
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)


def _explain(document: CommentedMap, model: type[BaseModel], detail: Any, more_keys: Sequence[str]) -> str:
    """Return one line for one pydantic error: ``:LINE: KEY: what is wrong; did you mean …``."""
    location: Sequence[str | int] = detail["loc"]
    key = ".".join(str(part) for part in location)
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        text = f"unknown key {key!r}{did_you_mean(str(location[-1]), _keys_at(model, location[:-1], more_keys))}"
    elif kind == "missing":
        text = f"key {key!r} is missing"
    elif kind == "literal_error":
        allowed = re.findall(r"'([^']+)'", str(context.get("expected", "")))
        nearest = did_you_mean(str(detail["input"]), allowed)
        text = f"{key}: {detail['input']!r} is not one of {', '.join(allowed)}{nearest}"
    elif kind == "value_error":
        text = str(context["error"])
        location = text.partition(":")[0].split(".")
    else:
        text = f"{key}: {detail['msg']} (given: {detail['input']!r})"
    line = _line_of(document, location)
    return f":{line}: {text}" if line else f": {text}"


def _keys_at(model: type[BaseModel], location: Sequence[str | int], more_keys: Sequence[str]) -> list[str]:
    """Return the keys that the schema allows at a location in the file."""
    schema: Any = model
    for part in location:
        if isinstance(schema, type) and issubclass(schema, BaseModel) and part in schema.model_fields:
            schema = schema.model_fields[str(part)].annotation
        # A section is the annotation itself, or is inside an optional, a tuple or a dictionary.
        candidates = [schema, *_inner(schema)]
        schema = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), schema)
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        own = list(more_keys) if schema is model else []
        return [name for name in schema.model_fields if name != "mode"] + own
    return []


def _inner(annotation: Any) -> list[Any]:
    """Return the type arguments of an annotation, at any depth."""
    return [inner for argument in get_args(annotation) for inner in (argument, *_inner(argument))]


def _line_of(document: CommentedMap, location: Sequence[str | int]) -> int | None:
    node: Any = document
    line: int | None = None
    for part in location:
        try:
            position = node.lc.key(part) if isinstance(node, CommentedMap) else node.lc.item(part)
            line, node = position[0] + 1, node[part]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return line
