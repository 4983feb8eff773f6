"""How one model is to be served: its `config.yaml`, or the understood part of Triton's `config.pbtxt`.

Nothing here is guessed at: a field that this server does not understand is an error that names it.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from .codec import Signature

YAML_NAME = "config.yaml"
PBTXT_NAME = "config.pbtxt"

OPTIMIZATION_LEVELS = ("disable", "basic", "extended", "all")
EXECUTION_MODES = ("sequential", "parallel")


class ConfigError(ValueError):
    """What is wrong with a model's configuration: the file, the field, what is expected."""


@dataclass(frozen=True, kw_only=True)
class Versions:
    """Which versions are served: all, the `latest` so many, or those named. All by default."""

    latest: int | None = None
    specific: tuple[str, ...] | None = None

    def choose(self, there: Sequence[str]) -> list[str]:
        """Of the versions on disk, those to be served, oldest first."""
        ordered = sorted(there, key=int)
        if self.specific is not None:
            return [version for version in ordered if version in self.specific]
        return ordered[-self.latest :] if self.latest is not None else ordered

    def __str__(self) -> str:
        if self.specific is not None:
            return f"version_policy serves {', '.join(self.specific)}"
        return f"version_policy serves the latest {self.latest}" if self.latest is not None else "all are served"


@dataclass(frozen=True, kw_only=True)
class Declared:
    """An input or output as the configuration has it, to be held against the model's own. `dims` without the batch."""

    name: str
    datatype: str | None = None
    dims: tuple[int, ...] | None = None
    label_filename: str | None = None


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """How to make and run a model's session.

    Attributes:
        max_batch_size: the first dimension of all inputs and outputs is the batch, of up to this size; 0 is no batch.
        dynamic_batching: requests are put together into batches.
        max_queue_delay_us: how long the first of a batch waits for others, in microseconds.
        preferred_batch_size: a batch that has grown to this waits no longer; None is `max_batch_size`.
        graph_optimization_level, execution_mode, enable_cpu_mem_arena, enable_mem_pattern: ONNX Runtime's session
            options of these names.
        intra_op_threads, inter_op_threads: threads of one inference, never more than the board's; None is its number
            of cores, and 1 for `inter_op_threads`.
    """

    max_batch_size: int = 0
    dynamic_batching: bool = False
    max_queue_delay_us: int = 0
    preferred_batch_size: int | None = None
    graph_optimization_level: str = "all"
    execution_mode: str = "sequential"
    enable_cpu_mem_arena: bool = True
    enable_mem_pattern: bool = True
    intra_op_threads: int | None = None
    inter_op_threads: int | None = None
    versions: Versions = Versions()
    inputs: tuple[Declared, ...] = ()
    outputs: tuple[Declared, ...] = ()
    # Where it was read, for messages.
    source: str = field(default="the default configuration", compare=False)

    def check(self, inputs: Mapping[str, Signature], outputs: Mapping[str, Signature], board_threads: int) -> None:
        """Hold the configuration against the model and the board.

        Raises:
            ConfigError: it does not fit.
        """
        for name, threads in (("intra_op_threads", self.intra_op_threads), ("inter_op_threads", self.inter_op_threads)):
            if threads is not None and threads > board_threads:
                raise ConfigError(f"{self.source}: {name}: {threads} is more than the board's {board_threads}")
        for kind, declared, found in (("input", self.inputs, inputs), ("output", self.outputs, outputs)):
            for tensor in declared:
                self._check_declared(kind, tensor, found)
        if self.max_batch_size:
            for kind, found in (("input", inputs), ("output", outputs)):
                for signature in found.values():
                    if not signature.shape or signature.shape[0] != -1:
                        raise ConfigError(
                            f"{self.source}: max_batch_size: {kind} {signature.name!r} has shape "
                            f"{list(signature.shape)}; its first dimension must be open (-1) to hold a batch"
                        )

    def _check_declared(self, kind: str, tensor: Declared, found: Mapping[str, Signature]) -> None:
        where = f"{self.source}: {kind} {tensor.name!r}"
        signature = found.get(tensor.name)
        if signature is None:
            raise ConfigError(f"{where}: the model has {', '.join(map(repr, found))}")
        if tensor.datatype is not None and tensor.datatype != signature.datatype:
            raise ConfigError(f"{where}: data_type {tensor.datatype}; the model's is {signature.datatype}")
        if tensor.dims is not None:
            own = signature.shape[1:] if self.max_batch_size else signature.shape
            fits = len(own) == len(tensor.dims) and all(
                -1 in (size, want) or size == want for size, want in zip(own, tensor.dims, strict=True)
            )
            if not fits:
                raise ConfigError(f"{where}: dims {list(tensor.dims)}; the model's are {list(own)}")

    def as_json(self, name: str, inputs: Mapping[str, Signature], outputs: Mapping[str, Signature]) -> dict[str, Any]:
        """The configuration in the form of Triton's, as clients expect it."""

        def tensors(signatures: Mapping[str, Signature]) -> list[dict[str, Any]]:
            return [
                {
                    "name": signature.name,
                    "data_type": _to_triton(signature.datatype),
                    "dims": list(signature.shape[1:] if self.max_batch_size else signature.shape),
                }
                for signature in signatures.values()
            ]

        document: dict[str, Any] = {
            "name": name,
            "platform": "onnxruntime_onnx",
            "backend": "onnxruntime",
            "version_policy": {"all": {}},
            "max_batch_size": self.max_batch_size,
            "input": tensors(inputs),
            "output": tensors(outputs),
            "instance_group": [{"name": name, "kind": "KIND_CPU", "count": 1}],
            "default_model_filename": "model.onnx",
            "optimization": {"graph": {"level": _GRAPH_LEVELS[self.graph_optimization_level]}},
            "parameters": {
                "execution_mode": {"string_value": str(EXECUTION_MODES.index(self.execution_mode))},
                "enable_mem_arena": {"string_value": str(int(self.enable_cpu_mem_arena))},
                "enable_mem_pattern": {"string_value": str(int(self.enable_mem_pattern))},
            },
        }
        if self.versions.latest is not None:
            document["version_policy"] = {"latest": {"num_versions": self.versions.latest}}
        elif self.versions.specific is not None:
            document["version_policy"] = {"specific": {"versions": [int(v) for v in self.versions.specific]}}
        if self.dynamic_batching:
            preferred = [self.preferred_batch_size] if self.preferred_batch_size else []
            document["dynamic_batching"] = {
                "preferred_batch_size": preferred,
                "max_queue_delay_microseconds": self.max_queue_delay_us,
            }
        return document


def read(directory: Path) -> ModelConfig:
    """The configuration beside a model's versions; the default one where there is none.

    Raises:
        ConfigError: it cannot be read, or holds what is not understood.
    """
    yaml_path, pbtxt_path = directory / YAML_NAME, directory / PBTXT_NAME
    try:
        if yaml_path.is_file() and pbtxt_path.is_file():
            raise ConfigError(f"{directory}: both {YAML_NAME} and {PBTXT_NAME}: keep one")
        if yaml_path.is_file():
            return from_yaml(yaml_path.read_text(encoding="utf-8"), source=YAML_NAME)
        if pbtxt_path.is_file():
            return from_pbtxt(pbtxt_path.read_text(encoding="utf-8"), directory.name, source=PBTXT_NAME)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{directory}: its configuration cannot be read: {error}") from error
    return ModelConfig()


def labels(config: ModelConfig, directory: Path) -> dict[str, list[str]]:
    """The names of classes, by output: the lines of its `label_filename`, in the model's directory.

    Raises:
        ConfigError: such a file is not there.
    """
    found = {}
    for output in config.outputs:
        if output.label_filename:
            try:
                text = (directory / output.label_filename).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"{config.source}: label_filename {output.label_filename!r}: {error}") from error
            found[output.name] = text.splitlines()
    return found


# --- config.yaml ------------------------------------------------------------------------------------------------------


def from_yaml(text: str, *, source: str) -> ModelConfig:
    """Read a `config.yaml`.

    Raises:
        ConfigError: names the field, and the nearest right one.
    """
    # Imported when there is such a file: under emulation each import is time until the server is ready.
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        document = YAML(typ="safe", pure=True).load(text) or {}
    except YAMLError as error:
        raise ConfigError(f"{source}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{source}: expected a mapping of fields")
    values: dict[str, Any] = {}
    for key, value in document.items():
        expected = YAML_FIELDS.get(key)
        if expected is None:
            raise ConfigError(f"{source}: unknown field {key!r}{_nearest(key, YAML_FIELDS)}")
        if key == "version_policy":
            values["versions"] = _yaml_versions(value, source)
        elif key == "labels":
            if not isinstance(value, dict) or not all(isinstance(name, str) for name in value.values()):
                raise ConfigError(f"{source}: labels: expected the name of a file for each output")
            values["outputs"] = tuple(Declared(name=str(o), label_filename=name) for o, name in value.items())
        elif isinstance(expected, tuple):
            if value not in expected:
                raise ConfigError(f"{source}: {key}: {value!r} is not one of {', '.join(expected)}")
            values[key] = value
        elif expected is bool:
            if not isinstance(value, bool):
                raise ConfigError(f"{source}: {key}: {value!r}; expected true or false")
            values[key] = value
        else:
            values[key] = _whole(
                value, f"{source}: {key}", least=0 if key in ("max_batch_size", "max_queue_delay_us") else 1
            )
    return _consistent(ModelConfig(source=source, **values))


# What each field holds: one of some words, a bool, or a whole number.
YAML_FIELDS: Mapping[str, Any] = {
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
}


def _yaml_versions(value: Any, source: str) -> Versions:
    where = f"{source}: version_policy"
    if value == "all":
        return Versions()
    if isinstance(value, dict) and list(value) == ["latest"]:
        return Versions(latest=_whole(value["latest"], f"{where}: latest", least=1))
    if isinstance(value, dict) and list(value) == ["specific"] and isinstance(value["specific"], list):
        return Versions(specific=tuple(str(_whole(v, f"{where}: specific", least=0)) for v in value["specific"]))
    raise ConfigError(f"{where}: {value!r}; expected all, {{latest: N}} or {{specific: [N, …]}}")


def _whole(value: Any, where: str, *, least: int) -> int:
    if type(value) is not int or value < least:
        raise ConfigError(f"{where}: {value!r}; expected a whole number of at least {least}")
    return value


def _nearest(word: Any, words: Any) -> str:
    match = difflib.get_close_matches(str(word), list(words), n=1, cutoff=0.5)
    return f"; did you mean {match[0]!r}?" if match else f"; there are {', '.join(words)}"


def _consistent(config: ModelConfig) -> ModelConfig:
    if config.dynamic_batching and config.max_batch_size < 2:
        raise ConfigError(f"{config.source}: dynamic_batching: needs max_batch_size, 2 or more")
    if not config.dynamic_batching and (config.max_queue_delay_us or config.preferred_batch_size):
        raise ConfigError(f"{config.source}: max_queue_delay_us, preferred_batch_size: need dynamic_batching")
    if config.preferred_batch_size is not None and config.preferred_batch_size > config.max_batch_size:
        raise ConfigError(
            f"{config.source}: preferred_batch_size: {config.preferred_batch_size} is more than "
            f"max_batch_size, {config.max_batch_size}"
        )
    return config


# --- config.pbtxt -----------------------------------------------------------------------------------------------------

# The part of Triton's model configuration that has a meaning here: message → field → type; `*` is repeated, `{}` a map.
_MESSAGES: Mapping[str, Mapping[str, str]] = {
    "ModelConfig": {
        "name": "string",
        "platform": "string",
        "backend": "string",
        "default_model_filename": "string",
        "max_batch_size": "int32",
        "version_policy": "VersionPolicy",
        "input": "*Tensor",
        "output": "*Tensor",
        "instance_group": "*InstanceGroup",
        "dynamic_batching": "DynamicBatching",
        "optimization": "Optimization",
        "parameters": "{}Parameter",
    },
    "VersionPolicy": {"latest": "Latest", "all": "All", "specific": "Specific"},
    "Latest": {"num_versions": "uint32"},
    "All": {},
    "Specific": {"versions": "*int64"},
    "Tensor": {"name": "string", "data_type": "DataType", "dims": "*int64", "label_filename": "string"},
    "InstanceGroup": {"name": "string", "kind": "Kind", "count": "int32"},
    "DynamicBatching": {"preferred_batch_size": "*int32", "max_queue_delay_microseconds": "uint64"},
    "Optimization": {"graph": "Graph"},
    "Graph": {"level": "int32"},
    "Parameter": {"string_value": "string"},
}
_ENUMS: Mapping[str, Sequence[str]] = {
    "DataType": (
        "TYPE_INVALID",
        "TYPE_BOOL",
        "TYPE_UINT8",
        "TYPE_UINT16",
        "TYPE_UINT32",
        "TYPE_UINT64",
        "TYPE_INT8",
        "TYPE_INT16",
        "TYPE_INT32",
        "TYPE_INT64",
        "TYPE_FP16",
        "TYPE_FP32",
        "TYPE_FP64",
        "TYPE_STRING",
        "TYPE_BF16",
    ),
    "Kind": ("KIND_AUTO", "KIND_CPU"),
}
# Triton's ONNX Runtime backend: -1 is basic, 1 extended; absent is all.
_GRAPH_LEVELS: Mapping[str, int] = {"disable": -2, "basic": -1, "extended": 1, "all": 0}


def _to_triton(datatype: str) -> str:
    return "TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}"


def from_pbtxt(text: str, name: str, *, source: str) -> ModelConfig:
    """Read a `config.pbtxt` of the model `name`.

    Raises:
        ConfigError: it is malformed, or holds a field that this server does not understand.
    """
    from google.protobuf import text_format

    message = _message_type()()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise ConfigError(f"{source}: {error}") from error
    return _from_message(message, name, source)


def from_json(text: str, name: str, *, source: str) -> ModelConfig:
    """Read the configuration that a client sends when it has a model loaded; raises as `from_pbtxt`."""
    from google.protobuf import json_format

    message = _message_type()()
    try:
        json_format.Parse(text, message)
    except json_format.ParseError as error:
        raise ConfigError(f"{source}: {error}") from error
    return _from_message(message, name, source)


def _from_message(message: Any, name: str, source: str) -> ModelConfig:
    def refuse(field_name: str, value: Any, expected: str) -> ConfigError:
        return ConfigError(f"{source}: {field_name}: {value!r}; expected {expected}")

    if message.name and message.name != name:
        raise refuse("name", message.name, f"{name!r}, the directory's")
    if message.platform not in ("", "onnxruntime_onnx"):
        raise refuse("platform", message.platform, "onnxruntime_onnx")
    if message.backend not in ("", "onnxruntime"):
        raise refuse("backend", message.backend, "onnxruntime")
    if message.default_model_filename not in ("", "model.onnx"):
        raise refuse("default_model_filename", message.default_model_filename, "model.onnx")
    for group in message.instance_group:
        if group.count not in (0, 1):
            raise refuse("instance_group.count", group.count, "1: one instance of a model runs at a time")
    values: dict[str, Any] = {
        "max_batch_size": message.max_batch_size,
        "versions": _pbtxt_versions(message),
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
    for key, parameter in message.parameters.items():
        if key not in _PARAMETERS:
            raise ConfigError(f"{source}: parameters: unknown key {key!r}{_nearest(key, _PARAMETERS)}")
        text = parameter.string_value
        if not text.isdigit():
            raise refuse(f"parameters.{key}", text, "a whole number")
        field_name, convert = _PARAMETERS[key]
        try:
            values[field_name] = convert(int(text))
        except IndexError:
            raise refuse(f"parameters.{key}", text, "0 or 1") from None
    return _consistent(ModelConfig(source=source, **values))


def _threads(count: int) -> int | None:
    return count or None  # 0 is the default


_PARAMETERS: Mapping[str, Any] = {
    "intra_op_thread_count": ("intra_op_threads", _threads),
    "inter_op_thread_count": ("inter_op_threads", _threads),
    "execution_mode": ("execution_mode", EXECUTION_MODES.__getitem__),
    "enable_mem_arena": ("enable_cpu_mem_arena", (False, True).__getitem__),
    "enable_mem_pattern": ("enable_mem_pattern", (False, True).__getitem__),
}


def _pbtxt_versions(message: Any) -> Versions:
    policy = message.version_policy
    if policy.HasField("latest"):
        return Versions(latest=policy.latest.num_versions or 1)
    if policy.HasField("specific"):
        return Versions(specific=tuple(str(version) for version in policy.specific.versions))
    return Versions()


def _declared(tensor: Any) -> Declared:
    type_name = _ENUMS["DataType"][tensor.data_type]
    return Declared(
        name=tensor.name,
        datatype=None if tensor.data_type == 0 else {"TYPE_STRING": "BYTES"}.get(type_name, type_name[5:]),
        dims=tuple(tensor.dims) or None,
        label_filename=tensor.label_filename or None,
    )


@cache
def _message_type() -> Any:
    """The protocol buffer message `ModelConfig`, made from the tables above; protobuf then does the parsing."""
    from .protobuf import message_type

    # Numbers matter in the binary form alone, which is never read here.
    numbered = {
        message: {name: (number, kind) for number, (name, kind) in enumerate(fields.items(), start=1)}
        for message, fields in _MESSAGES.items()
    }
    return message_type("ModelConfig", numbered, _ENUMS)
