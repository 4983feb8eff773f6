"""Read a model's `config.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ruamel.yaml.error import YAMLError

from . import bounded_yaml
from .config import (
    ARCHITECTURES,
    EXECUTION_MODES,
    OPTIMIZATION_LEVELS,
    PACKAGES,
    ConfigError,
    Declared,
    Library,
    ModelConfig,
    Versions,
    suggestion,
)

# The value of each field: one of some words, a bool, a whole number, or a form of its own.
FIELDS: Mapping[str, Any] = {
    "max_batch_size": int,
    "dynamic_batching": bool,
    "max_queue_delay_us": int,
    "preferred_batch_size": int,
    "graph_optimization_level": OPTIMIZATION_LEVELS,
    "execution_mode": EXECUTION_MODES,
    "enable_cpu_mem_arena": bool,
    "enable_mem_pattern": bool,
    "intra_op_threads": int,
    "inter_op_threads": int,
    "version_policy": Versions,
    "labels": dict,
    "libraries": list,
}
_MAY_BE_ZERO = ("max_batch_size", "max_queue_delay_us")


def from_yaml(text: str, *, source: str) -> ModelConfig:
    """Read the text of a `config.yaml`; `source` names the file in messages.

    Raises:
        ConfigError: the text is not YAML, or a field or its value is wrong; for an unknown field the message names the
            nearest known one.
    """
    try:
        document = bounded_yaml.load(text) or {}
    except YAMLError as error:
        raise ConfigError(f"{source}: not YAML: {bounded_yaml.problem(error)}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{source}: expected a mapping of fields")
    values: dict[str, Any] = {}
    for key, value in document.items():
        expected = FIELDS.get(key)
        if expected is None:
            raise ConfigError(f"{source}: unknown field {key!r}{suggestion(key, FIELDS)}")
        if key == "version_policy":
            values["versions"] = _versions(value, source)
        elif key == "labels":
            if not isinstance(value, dict) or not all(isinstance(name, str) for name in value.values()):
                raise ConfigError(f"{source}: labels: expected the name of a file for each output")
            values["outputs"] = tuple(Declared(name=str(o), label_filename=name) for o, name in value.items())
        elif key == "libraries":
            values["libraries"] = _libraries(value, f"{source}: libraries")
        elif isinstance(expected, tuple):
            if value not in expected:
                raise ConfigError(f"{source}: {key}: {value!r} is not one of {', '.join(expected)}")
            values[key] = value
        elif expected is bool:
            if not isinstance(value, bool):
                raise ConfigError(f"{source}: {key}: {value!r}; expected true or false")
            values[key] = value
        else:
            values[key] = _whole_number(value, f"{source}: {key}", least=0 if key in _MAY_BE_ZERO else 1)
    return ModelConfig(source=source, **values)


def _versions(value: Any, source: str) -> Versions:
    where = f"{source}: version_policy"
    if value == "all":
        return Versions()
    if isinstance(value, dict) and list(value) == ["latest"]:
        return Versions(latest=_whole_number(value["latest"], f"{where}: latest", least=1))
    if isinstance(value, dict) and list(value) == ["specific"] and isinstance(value["specific"], list):
        return Versions(specific=tuple(str(_whole_number(v, f"{where}: specific", least=0)) for v in value["specific"]))
    raise ConfigError(f"{where}: {value!r}; expected all, {{latest: N}} or {{specific: [N, …]}}")


def _libraries(value: Any, where: str) -> tuple[Library, ...]:
    if not isinstance(value, list):
        raise ConfigError(f"{where}: {value!r}; expected a list")
    libraries = []
    for entry in value:
        if isinstance(entry, str) and entry in PACKAGES:
            libraries.append(Library(package=entry))
            continue
        files = {"": entry} if isinstance(entry, str) else entry
        if not isinstance(files, dict) or not files or not all(isinstance(path, str) for path in files.values()):
            raise ConfigError(f"{where}: {entry!r}; expected a file, {{arm64: FILE, amd64: FILE}}, or {PACKAGES[0]}")
        if unknown := [name for name in files if name not in ("", *ARCHITECTURES)]:
            raise ConfigError(f"{where}: {unknown[0]!r}{suggestion(unknown[0], ARCHITECTURES)}")
        for path in files.values():
            # Libraries are code: only what is beside the model is loaded.
            if not path or path.startswith("/") or ".." in path.split("/"):
                raise ConfigError(f"{where}: {path!r}: not in the model's directory")
        libraries.append(Library(files=tuple(files.items())))
    return tuple(libraries)


def _whole_number(value: Any, where: str, *, least: int) -> int:
    if type(value) is not int or value < least:
        raise ConfigError(f"{where}: {value!r}; expected a whole number of at least {least}")
    return value
