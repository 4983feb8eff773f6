"""Profiles as files: found by their names, read, extended, and refused with the line that is wrong."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml.comments import CommentedMap

from edgesim import paths, yaml_files
from edgesim.errors import ProfileError, did_you_mean
from edgesim.profiles.device_profile import DeviceProfile

# Keys of a file that are no facts of a board.
_EXTENDS = "extends"


def names() -> list[str]:
    """The profiles that come with edgesim."""
    return sorted(path.stem for path in paths.profiles_directory().glob("*.yaml"))


def load(reference: str | Path | DeviceProfile) -> DeviceProfile:
    """The board that `reference` names: ``name``, ``name:mode``, ``path.yaml`` or ``path.yaml:mode``.

    A profile that is loaded already is given back as it is.

    Raises:
        ProfileError: no such profile or mode, or the file is not a valid profile.
    """
    if isinstance(reference, DeviceProfile):
        return reference
    base, mode = _split_mode(str(reference))
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
    path = paths.profiles_directory() / f"{base}.yaml"
    if not path.is_file():
        raise ProfileError(f"unknown profile {base!r}{did_you_mean(base, names())}", fix="edgesim profiles list")
    return path


def read(path: Path) -> DeviceProfile:
    """Read and validate one profile file, and the one that it extends.

    Raises:
        ProfileError: names the file, the line, the key and the nearest right one.
    """
    written = _document(path)
    facts = _extended(written, path, [path.resolve()])
    try:
        found = DeviceProfile.model_validate(facts)
    except ValidationError as error:
        raise ProfileError(
            f"{path}{yaml_files.problems(written, DeviceProfile, error, more_keys=[_EXTENDS])}",
            fix=f"edit {path}, then: edgesim profiles validate {path}",
        ) from error
    if path.resolve().parent != paths.profiles_directory().resolve():
        found._file = path.resolve()
    return found


def _document(path: Path) -> CommentedMap:
    found = yaml_files.read(path, "profile", ProfileError, example="edgesim profiles show jetson-nano --yaml")
    if "mode" in found:
        raise ProfileError(f"{path}: unknown key 'mode'{did_you_mean('mode', ['modes', 'default_mode'])}")
    return found


def _extended(written: CommentedMap, path: Path, chain: list[Path]) -> dict[str, Any]:
    """The facts of a document over those of the profile that it extends, if any.

    Mappings are merged key by key, everything else is replaced; sources are added to those that there are, since the
    facts that they tell of are still there.
    """
    facts = dict(written)
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
