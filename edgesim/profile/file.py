"""Profiles as files: found by their names, read, extended, and refused with the line that is wrong."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from edgesim import resources
from edgesim.errors import ProfileError
from edgesim.profile.schema import DeviceProfile, nearest

# Keys of a file that are no facts of a board.
_EXTENDS = "extends"


def names() -> list[str]:
    """The profiles that come with edgesim."""
    return sorted(path.stem for path in resources.profiles_directory().glob("*.yaml"))


def load(reference: str | DeviceProfile) -> DeviceProfile:
    """The board that `reference` names: ``name``, ``name:mode``, ``path.yaml`` or ``path.yaml:mode``.

    A profile that is loaded already is given back as it is.

    Raises:
        ProfileError: no such profile or mode, or the file is not a valid profile.
    """
    if isinstance(reference, DeviceProfile):
        return reference
    base, mode = _split_mode(reference)
    return read(_find(base)).in_mode(mode)


def _split_mode(reference: str) -> tuple[str, str | None]:
    if Path(reference).is_file():
        return reference, None
    base, separator, mode = reference.rpartition(":")
    return (base, mode) if separator and base and "/" not in mode else (reference, None)


def _find(base: str) -> Path:
    if base.endswith((".yaml", ".yml")) or "/" in base:
        path = Path(base)
        if not path.is_file():
            raise ProfileError(f"{base}: no such profile file", fix="edgesim profiles list")
        return path
    path = resources.profiles_directory() / f"{base}.yaml"
    if not path.is_file():
        raise ProfileError(f"unknown profile {base!r}{nearest(base, names())}", fix="edgesim profiles list")
    return path


def read(path: Path) -> DeviceProfile:
    """Read and validate one profile file, and the one that it extends.

    Raises:
        ProfileError: names the file, the line, the key and the nearest right one.
    """
    document = _document(path)
    facts = _extended(document, path, [path.resolve()])
    try:
        found = DeviceProfile.model_validate(facts)
    except ValidationError as error:
        # A mistyped key is also a missing one: the typo explains both.
        details = sorted(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
        problems = [_explain(document, detail) for detail in details]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ProfileError(
            f"{path}{problems[0]}{more}", fix=f"edit {path}, then: edgesim profiles validate {path}"
        ) from error
    if path.resolve().parent != resources.profiles_directory().resolve():
        found._file = path.resolve()
    return found


def _document(path: Path) -> CommentedMap:
    try:
        document = YAML(typ="rt", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path}: not UTF-8 text", fix="a profile is a YAML file") from error
    except YAMLError as error:
        raise ProfileError(f"{path}: not valid YAML: {_yaml_problem(error)}") from error
    if not isinstance(document, CommentedMap):
        raise ProfileError(f"{path}: a profile is a mapping of keys", fix="edgesim profiles show jetson-nano --yaml")
    if "mode" in document:
        raise ProfileError(f"{path}: unknown key 'mode'{nearest('mode', ['modes', 'default_mode'])}")
    return document


def _extended(document: CommentedMap, path: Path, chain: list[Path]) -> dict[str, Any]:
    """The facts of a document over those of the profile that it extends, if any.

    Mappings are merged key by key, everything else is replaced; sources are added to those that there are, since the
    facts that they tell of are still there.
    """
    facts = dict(document)
    reference = facts.pop(_EXTENDS, None)
    if reference is None:
        return facts
    if not isinstance(reference, str):
        raise ProfileError(f"{path}: extends: is a profile's name or file, not {reference!r}")
    is_file = reference.endswith((".yaml", ".yml")) or "/" in reference
    base = path.parent / reference if is_file else _find(reference)
    if base.resolve() in chain:
        names = " extends ".join(file.name for file in [*chain, base])
        raise ProfileError(f"{path}: extends: goes round in a circle: {names}")
    below = _extended(_document(base), base, [*chain, base.resolve()])
    merged = _merged(below, {key: value for key, value in facts.items() if key != "sources"})
    return merged | {"sources": [*facts.get("sources", []), *below.get("sources", [])]}


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a profile file, for editors."""
    schema = DeviceProfile.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "edgesim device profile"
    schema["properties"].pop("mode")
    schema["properties"][_EXTENDS] = {"type": "string", "description": "A profile, by name or file, to start from."}
    required = schema.pop("required")
    schema["anyOf"] = [{"required": required}, {"required": [_EXTENDS]}]
    return schema


def _yaml_problem(error: YAMLError) -> str:
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)


def _explain(document: CommentedMap, detail: Any) -> str:
    """One line for one pydantic error: ``:LINE: KEY: what is wrong; did you mean …``."""
    location: Sequence[str | int] = detail["loc"]
    key = ".".join(str(part) for part in location)
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        text = f"unknown key {key!r}{nearest(str(location[-1]), _keys_at(location[:-1]))}"
    elif kind == "missing":
        text = f"key {key!r} is missing"
    elif kind == "literal_error":
        allowed = re.findall(r"'([^']+)'", str(context.get("expected", "")))
        text = f"{key}: {detail['input']!r} is not one of {', '.join(allowed)}{nearest(str(detail['input']), allowed)}"
    elif kind == "value_error":
        text = str(context["error"])
        location = text.partition(":")[0].split(".")
    else:
        text = f"{key}: {detail['msg']} (given: {detail['input']!r})"
    line = _line_of(document, location)
    return f":{line}: {text}" if line else f": {text}"


def _keys_at(location: Sequence[str | int]) -> list[str]:
    """The keys that belong at a place in the profile, from the schema itself."""
    schema: Any = DeviceProfile
    for part in location:
        if isinstance(schema, type) and issubclass(schema, BaseModel) and part in schema.model_fields:
            annotation = schema.model_fields[str(part)].annotation
            # The profile's parts stand alone, or in an optional, a tuple or a dictionary of them.
            candidates = [annotation, *get_args(annotation)]
            schema = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), annotation)
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        own = [_EXTENDS] if schema is DeviceProfile else []
        return [name for name in schema.model_fields if name != "mode"] + own
    return []


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
