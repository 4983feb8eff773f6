"""Profile files: finds them by name, reads, extends and validates them. An error names each wrong line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml.comments import CommentedMap

from edgesim import links_in_git, paths, yaml_files
from edgesim.errors import ProfileError, did_you_mean
from edgesim.profiles import accelerator, bits
from edgesim.profiles.device_profile import DeviceProfile
from edgesim.profiles.extension import OWN, Extended, dotted

# The key of a file that is not a fact of the board: the profile to start from.
_EXTENDS = "extends"
_SUFFIXES = (".yaml", ".yml")


def names() -> list[str]:
    """Return the names of the profiles that come with edgesim."""
    return sorted(path.stem for path in paths.profiles_directory().glob("*.yaml"))


def shipped() -> tuple[DeviceProfile, ...]:
    """Return the profiles that come with edgesim, each in no power mode: with all of its board's cores."""
    return tuple(read(paths.profiles_directory() / f"{name}.yaml") for name in names())


def load(reference: str | Path | DeviceProfile, *, model: object = None) -> DeviceProfile:
    """Load the profile that `reference` names: ``name``, ``name:mode``, ``path.yaml`` or ``path.yaml:mode``.

    Names of profiles and of modes may be in any case: ``Jetson-Nano:5W``.

    A loaded profile is returned unchanged.

    Args:
        model: the model that the caller names beside the profile; the error says if the two are swapped.

    Raises:
        ProfileError: no such profile or mode, or the file is not a valid profile.
    """
    if isinstance(reference, DeviceProfile):
        return reference
    base, mode = _split_mode(str(reference))
    try:
        path = _find(base)
    except ProfileError as error:
        if isinstance(model, str | Path) and is_profile(model):
            raise ProfileError(
                f"profile and model are swapped: {str(model)!r} is a profile, and {str(reference)!r} is not",
                fix=f"name the profile first, then the model: {model} {reference}",
            ) from error
        raise
    return read(path).in_mode(mode)


def is_profile(reference: str | Path) -> bool:
    """Return whether `reference` names a profile of edgesim, or an existing YAML file, with or without a mode."""
    base, _ = _split_mode(str(reference))
    if base.endswith(_SUFFIXES):
        return paths.is_file(base)
    return base.lower() in names()


def _split_mode(reference: str) -> tuple[str, str | None]:
    if paths.is_file(reference):
        return reference, None
    base, separator, mode = reference.rpartition(":")
    return (base, mode) if separator and base and "/" not in mode else (reference, None)


def _find(base: str) -> Path:
    if base.endswith(_SUFFIXES) or "/" in base:
        path = Path(base)
        if not paths.is_file(path):
            raise ProfileError(f"{base}: no such profile file", fix="edgesim profiles list")
        return path
    # All names of profiles are in lower case.
    path = paths.profiles_directory() / f"{base.lower()}.yaml"
    if not paths.is_file(path):
        if bits.names_32_bits(base):
            raise ProfileError(f"unknown profile {base!r}: {bits.REASON}", fix=bits.FIX)
        raise ProfileError(f"unknown profile {base!r}{did_you_mean(base, names())}", fix="edgesim profiles list")
    return path


def read(path: str | Path) -> DeviceProfile:
    """Read and validate a profile file, and the profile that it extends.

    Raises:
        ProfileError: names the file, the line, the wrong key and the nearest right one.
    """
    path = Path(path)
    links_in_git.require_none_out(path, ProfileError)
    written = _document(path)
    extended = _extended(written, path, [path.resolve()], OWN)
    try:
        profile = DeviceProfile.model_validate(extended.document())
    except ValidationError as error:
        raise ProfileError(
            yaml_files.problems(
                path,
                written,
                DeviceProfile,
                error,
                more_keys=[_EXTENDS],
                inherited={dotted(fact): origin for fact, origin in extended.origins.items() if origin != OWN},
                not_inherited=_not_inherited(extended),
            ),
            fix=f"edit {path}, then: edgesim profiles validate {path}",
        ) from error
    if path.resolve().parent != paths.profiles_directory().resolve():
        profile._file = path.resolve()
    if _EXTENDS in written:
        profile._origins = {dotted(fact): origin for fact, origin in extended.origins.items()}
        profile._dropped = extended.dropped
    return profile


def of_facts(facts: Mapping[str, Any], where: str) -> DeviceProfile:
    """Return the profile with these facts, as a file that edgesim wrote has them; power mode included.

    Raises:
        ProfileError: the facts are not those of a board; the error begins with `where`.
    """
    try:
        return DeviceProfile.model_validate(dict(facts))
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"])[:200]
        raise ProfileError(f"{where}: {at + ': ' if at else ''}{first['msg']}") from error


def _not_inherited(extended: Extended) -> dict[str, tuple[str, str]]:
    """Return for each fact that was not inherited the fact that took it along, and the reason in words."""
    return {
        entry.fact: (
            entry.because,
            f"{entry.origin}'s goes with {entry.because}, which this profile overrides; state both",
        )
        for entry in extended.dropped
    }


def _document(path: Path) -> CommentedMap:
    document = yaml_files.read(path, "profile", ProfileError, example="edgesim profiles show jetson-nano --json")
    if "mode" in document:
        raise ProfileError(f"{path}: unknown key 'mode'{did_you_mean('mode', ['modes', 'default_mode'])}")
    return document


def _extended(written: CommentedMap, path: Path, chain: list[Path], origin: str) -> Extended:
    """Return the facts of a document, on top of the facts of the profile that it extends.

    Args:
        chain: the files that extend each other up to this document.
        origin: what the document is called in `Extended.origins`.
    """
    own = Extended.stated(_facts(written), origin)
    reference = written.get(_EXTENDS)
    if reference is None:
        return own
    if not isinstance(reference, str):
        raise ProfileError(f"{path}: extends: must be a profile's name or file, not {reference!r}")
    base = _extended_file(reference, path)
    if base.resolve().parent != paths.profiles_directory().resolve() and links_in_git.lead_out(path, base):
        raise ProfileError(
            f"{path}: extends: {reference!r} is outside of the file's git repository; edgesim does not read it",
            fix="copy the profile into the repository",
        )
    if base.resolve() in chain:
        names = " extends ".join(file.name for file in [*chain, base])
        raise ProfileError(f"{path}: extends: the profiles extend each other in a circle: {names}")
    return _extended(_document(base), base, [*chain, base.resolve()], reference).extended_by(own, origin)


def _extended_file(reference: str, path: Path) -> Path:
    """Return the file of the profile that `path` extends: named, or relative to the directory of `path`."""
    name, mode = _split_mode(reference)
    if mode is not None and not paths.is_file(path.parent / reference):
        raise ProfileError(
            f"{path}: extends: {reference!r} is a power mode, and a profile can only extend a profile",
            fix=f"extends: {name}, and default_mode: {mode} for the mode",
        )
    is_file = reference.endswith(_SUFFIXES) or "/" in reference
    return path.parent / reference if is_file else _find(reference)


def _facts(written: CommentedMap) -> dict[Any, Any]:
    """Return what a document states of the board; the text ``accelerator`` of an older profile as `accelerators`."""
    facts = {key: value for key, value in written.items() if key != _EXTENDS}
    former, present = "accelerator", "accelerators"
    if former not in facts or present in facts:
        return facts
    facts = {
        present if key == former else key: accelerator.from_text(value) if key == former else value
        for key, value in facts.items()
    }
    sources = facts.get("sources")
    if isinstance(sources, list):
        facts["sources"] = [
            {**source, "facts": [present if fact == former else fact for fact in source["facts"]]}
            if isinstance(source, Mapping) and isinstance(source.get("facts"), list)
            else source
            for source in sources
        ]
    return facts


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a profile file, for editors.

    A file that extends a profile may state any part of a section, and null to remove what it would inherit. All keys
    are required of another file alone.
    """
    schema = DeviceProfile.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "edgesim device profile"
    schema["properties"].pop("mode")
    required = {}
    for name, section in schema["$defs"].items():
        if name not in _IN_LISTS:
            keys = required[f"#/$defs/{name}"] = section.pop("required", [])
            section["properties"] |= {k: _or_null(v) for k, v in section["properties"].items() if k not in keys}
    properties: dict[str, Any] = schema["properties"]
    sections = {key: {"required": required[part]} for key, value in properties.items() if (part := _part(value))}
    modes = {"additionalProperties": {"required": required["#/$defs/Mode"]}}
    schema["if"] = {"not": {"required": [_EXTENDS]}}
    schema["then"] = {"required": schema.pop("required"), "properties": {**sections, "modes": modes}}
    properties["modes"]["additionalProperties"] = _or_null(properties["modes"]["additionalProperties"])
    properties |= {k: _or_null(v) for k, v in properties.items() if k not in schema["then"]["required"]}
    properties["accelerator"] = {
        "type": ["string", "null"],
        "deprecated": True,
        "description": "The former form of `accelerators`: one accelerator by its title alone.",
    }
    properties[_EXTENDS] = {"type": "string", "description": "The profile to start from: a name or a file."}
    return schema


# The parts of a profile that are entries of lists, which an extending file replaces as a whole.
_IN_LISTS = ("Accelerator", "Cluster", "Runtime", "Source", "Storage")


def _part(value: dict[str, Any]) -> str | None:
    """Return the reference to the section that a key has, optional or not; None for another value."""
    return next((choice["$ref"] for choice in [value, *value.get("anyOf", [])] if "$ref" in choice), None)


def _or_null(value: dict[str, Any]) -> dict[str, Any]:
    null = {"type": "null"}
    return value if null in value.get("anyOf", []) else {"anyOf": [value, null]}
