"""A model's configuration in Triton's form: read `config.pbtxt` and the JSON of clients, write the JSON for clients.

This is the part of Triton's message `ModelConfig` that has a meaning for this server. protobuf does the parsing, by a
message type that is made from the tables below.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from .config import (
    BACKEND,
    EXECUTION_MODES,
    MODEL_FILE,
    PLATFORM,
    ConfigError,
    Declared,
    Library,
    ModelConfig,
    Versions,
    suggestion,
)
from .tensor_types import BY_TRITON_NAME, TENSOR_TYPES, TRITON_NAMES, Signature

if TYPE_CHECKING:
    from .protobuf import Enums, Messages  # imports protobuf

# The numbers are those of Triton's model_config.proto (github.com/triton-inference-server/common, protobuf/).
MESSAGES: Messages = {
    "ModelConfig": {
        "name": (1, "string"),
        "platform": (2, "string"),
        "version_policy": (3, "VersionPolicy"),
        "max_batch_size": (4, "int32"),
        "input": (5, "*ModelInput"),
        "output": (6, "*ModelOutput"),
        "instance_group": (7, "*InstanceGroup"),
        "default_model_filename": (8, "string"),
        "dynamic_batching": (11, "DynamicBatching"),
        "optimization": (12, "Optimization"),
        "parameters": (14, "{}Parameter"),
        "backend": (17, "string"),
        "model_operations": (18, "ModelOperations"),
    },
    "VersionPolicy": {"latest": (1, "Latest"), "all": (2, "All"), "specific": (3, "Specific")},
    "Latest": {"num_versions": (1, "uint32")},
    "All": {},
    "Specific": {"versions": (1, "*int64")},
    "ModelInput": {
        "name": (1, "string"),
        "data_type": (2, "DataType"),
        "dims": (4, "*int64"),
    },
    "ModelOutput": {
        "name": (1, "string"),
        "data_type": (2, "DataType"),
        "dims": (3, "*int64"),
        "label_filename": (4, "string"),
    },
    "InstanceGroup": {"name": (1, "string"), "count": (2, "int32"), "kind": (4, "Kind")},
    "DynamicBatching": {"preferred_batch_size": (1, "*int32"), "max_queue_delay_microseconds": (2, "uint64")},
    "Optimization": {"graph": (1, "Graph")},
    "Graph": {"level": (1, "int32")},
    "Parameter": {"string_value": (1, "string")},
    "ModelOperations": {"op_library_filename": (1, "*string")},
}
_DATA_TYPES = ("TYPE_INVALID", *(kind.triton_name for kind in TENSOR_TYPES))
ENUMS: Enums = {
    "DataType": {word: number for number, word in enumerate(_DATA_TYPES)},
    "Kind": {"KIND_AUTO": 0, "KIND_CPU": 2},
}
# Triton's ONNX Runtime backend: -1 is basic, 1 extended; absent is all.
_GRAPH_LEVELS: Mapping[str, int] = {"disable": -2, "basic": -1, "extended": 1, "all": 0}


_NUMBER = re.compile(r"[0-9]{1,9}")


# --- read -------------------------------------------------------------------------------------------------------------


def from_pbtxt(text: str, name: str, *, source: str) -> ModelConfig:
    """Read the text of a `config.pbtxt` of the model `name`; `source` names the file in messages.

    Raises:
        ConfigError: the text is malformed, or has a field or value that this server does not understand.
    """
    from google.protobuf import text_format

    message = _message_type()()
    try:
        text_format.Parse(text, message)
    except (text_format.ParseError, ValueError) as error:  # ValueError: a number out of its type's range
        raise ConfigError(f"{source}: {error}") from error
    return _from_message(message, name, source)


def from_json(text: str, name: str, *, source: str) -> ModelConfig:
    """Read the JSON configuration that a client sends with the request to load a model; raises as `from_pbtxt`."""
    from google.protobuf import json_format

    message = _message_type()()
    try:
        json_format.Parse(text, message)
    except (json_format.ParseError, ValueError) as error:
        raise ConfigError(f"{source}: {error}") from error
    return _from_message(message, name, source)


def _from_message(message: Any, name: str, source: str) -> ModelConfig:
    def refuse(field_name: str, value: Any, expected: str) -> ConfigError:
        return ConfigError(f"{source}: {field_name}: {value!r}; expected {expected}")

    if message.name and message.name != name:
        raise refuse("name", message.name, f"{name!r}, the directory's")
    if message.platform not in ("", PLATFORM):
        raise refuse("platform", message.platform, PLATFORM)
    if message.backend not in ("", BACKEND):
        raise refuse("backend", message.backend, BACKEND)
    if message.default_model_filename not in ("", MODEL_FILE):
        raise refuse("default_model_filename", message.default_model_filename, MODEL_FILE)
    for tensor in (*message.input, *message.output):
        if tensor.data_type >= len(_DATA_TYPES) or tensor.data_type < 0:  # a file may state the number of a type
            raise refuse(f"{tensor.name}.data_type", tensor.data_type, f"one of {', '.join(_DATA_TYPES[1:])}")
    for group in message.instance_group:
        if group.count not in (0, 1):
            raise refuse("instance_group.count", group.count, "1: one instance of a model runs at a time")
    values: dict[str, Any] = {
        "max_batch_size": message.max_batch_size,
        "versions": _versions(message),
        "inputs": tuple(_declared(tensor) for tensor in message.input),
        "outputs": tuple(_declared(tensor) for tensor in message.output),
    }
    if message.max_batch_size < 0:
        raise refuse("max_batch_size", message.max_batch_size, "0 or more")
    if message.HasField("dynamic_batching"):
        batching = message.dynamic_batching
        preferred = max(batching.preferred_batch_size, default=0)
        values["dynamic_batching"] = True
        values["max_queue_delay_us"] = batching.max_queue_delay_microseconds
        values["preferred_batch_size"] = preferred or None
    if message.optimization.HasField("graph"):
        by_level = {level: word for word, level in _GRAPH_LEVELS.items()}
        level = message.optimization.graph.level
        if level not in by_level:
            raise refuse("optimization.graph.level", level, "-1 (basic), 1 (extended), 0 (all) or -2 (none)")
        values["graph_optimization_level"] = by_level[level]
    names = message.model_operations.op_library_filename
    for path in names:
        # Libraries are code: only what is beside the model is loaded.
        if path.startswith("/") or ".." in path.split("/"):
            raise refuse("model_operations.op_library_filename", path, "a file in the model's directory")
    values["libraries"] = tuple(Library(files=(("", path),)) for path in names)
    for key, parameter in message.parameters.items():
        if key not in _PARAMETERS:
            raise ConfigError(f"{source}: parameters: unknown key {key!r}{suggestion(key, _PARAMETERS)}")
        text = parameter.string_value
        if not _NUMBER.fullmatch(text):
            raise refuse(f"parameters.{key}", text, "a whole number")
        field_name, convert = _PARAMETERS[key]
        try:
            values[field_name] = convert(int(text))
        except IndexError:
            raise refuse(f"parameters.{key}", text, "0 or 1") from None
    return ModelConfig(source=source, **values)


def _threads(count: int) -> int | None:
    return count or None  # 0 is the default


# The ONNX Runtime backend's parameters: key → field of ModelConfig, and the conversion of the number in the text.
_PARAMETERS: Mapping[str, Any] = {
    "intra_op_thread_count": ("intra_op_threads", _threads),
    "inter_op_thread_count": ("inter_op_threads", _threads),
    "execution_mode": ("execution_mode", EXECUTION_MODES.__getitem__),
    "enable_mem_arena": ("enable_cpu_mem_arena", (False, True).__getitem__),
    "enable_mem_pattern": ("enable_mem_pattern", (False, True).__getitem__),
}


def _versions(message: Any) -> Versions:
    policy = message.version_policy
    if policy.HasField("latest"):
        return Versions(latest=policy.latest.num_versions or 1)
    if policy.HasField("specific"):
        return Versions(specific=tuple(str(version) for version in policy.specific.versions))
    return Versions()


def _declared(tensor: Any) -> Declared:
    tensor_type = BY_TRITON_NAME.get(_DATA_TYPES[tensor.data_type])  # None for TYPE_INVALID, which is "not declared"
    return Declared(
        name=tensor.name,
        datatype=tensor_type.name if tensor_type is not None else None,
        dims=tuple(tensor.dims) or None,
        label_filename=getattr(tensor, "label_filename", "") or None,  # outputs alone have one
    )


@cache
def _message_type() -> Any:
    from .protobuf import MessageTypes

    return MessageTypes(MESSAGES, ENUMS)["ModelConfig"]


# --- write ------------------------------------------------------------------------------------------------------------


def as_json(
    config: ModelConfig, name: str, inputs: Mapping[str, Signature], outputs: Mapping[str, Signature]
) -> dict[str, Any]:
    """Return the configuration of the model `name` as clients of Triton expect it."""

    def tensors(signatures: Mapping[str, Signature]) -> list[dict[str, Any]]:
        return [
            {
                "name": signature.name,
                "data_type": TRITON_NAMES[signature.datatype],
                "dims": list(config.without_batch(signature)),
            }
            for signature in signatures.values()
        ]

    document: dict[str, Any] = {
        "name": name,
        "platform": PLATFORM,
        "backend": BACKEND,
        "version_policy": {"all": {}},
        "max_batch_size": config.max_batch_size,
        "input": tensors(inputs),
        "output": tensors(outputs),
        "instance_group": [{"name": name, "kind": "KIND_CPU", "count": 1}],
        "default_model_filename": MODEL_FILE,
        "optimization": {"graph": {"level": _GRAPH_LEVELS[config.graph_optimization_level]}},
        "parameters": {
            "execution_mode": {"string_value": str(EXECUTION_MODES.index(config.execution_mode))},
            "enable_mem_arena": {"string_value": str(int(config.enable_cpu_mem_arena))},
            "enable_mem_pattern": {"string_value": str(int(config.enable_mem_pattern))},
        },
    }
    if config.versions.latest is not None:
        document["version_policy"] = {"latest": {"num_versions": config.versions.latest}}
    elif config.versions.specific is not None:
        document["version_policy"] = {"specific": {"versions": [int(v) for v in config.versions.specific]}}
    if config.dynamic_batching:
        document["dynamic_batching"] = {
            "preferred_batch_size": [config.preferred_batch_size] if config.preferred_batch_size else [],
            "max_queue_delay_microseconds": config.max_queue_delay_us,
        }
    return document
