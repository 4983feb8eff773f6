"""Make protocol buffer message types from a table: protobuf parses the messages, and no generated code is needed.

protobuf itself is installed with ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# message → field → its number and its type, which is the name of a scalar, an enum or a message; a leading ``*`` is
# repeated, a leading ``{}`` a map from strings.
Messages = Mapping[str, Mapping[str, tuple[int, str]]]

_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _FIELD.TYPE_STRING,
    "int32": _FIELD.TYPE_INT32,
    "int64": _FIELD.TYPE_INT64,
    "uint32": _FIELD.TYPE_UINT32,
    "uint64": _FIELD.TYPE_UINT64,
}


def message_type(name: str, messages: Messages, enums: Mapping[str, Sequence[str]]) -> Any:
    """Return the class of the message `name` of a table; `enums` are the words of each enum, numbered from 0."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package="edgesim", syntax="proto3")
    for enum_name, words in enums.items():
        enum = file.enum_type.add(name=enum_name)
        for number, word in enumerate(words):
            enum.value.add(name=word, number=number)
    for message_name, fields in messages.items():
        message = file.message_type.add(name=message_name)
        for field_name, (number, kind) in fields.items():
            _add_field(message, field_name, number, kind, enums)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"edgesim.{name}"))


def _add_field(message: Any, name: str, number: int, kind: str, enums: Mapping[str, Sequence[str]]) -> None:
    field = message.field.add(name=name, number=number, label=_FIELD.LABEL_OPTIONAL)
    if kind.startswith("{}"):
        entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
        entry.options.map_entry = True
        _add_field(entry, "key", 1, "string", enums)
        _add_field(entry, "value", 2, kind[2:], enums)
        kind = f"*{message.name}.{entry.name}"
    if kind.startswith("*"):
        field.label, kind = _FIELD.LABEL_REPEATED, kind[1:]
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = _FIELD.TYPE_ENUM if kind in enums else _FIELD.TYPE_MESSAGE
        field.type_name = f".edgesim.{kind}"
