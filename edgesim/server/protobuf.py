"""Make protocol buffer message types from a table: protobuf parses the messages, and no generated code is needed.

Why no generated code: it runs with releases of protobuf that are as new as its generator or newer, and images have one
of several releases, by their Python. protobuf itself is installed with ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# message → field → its number and its type, which is the name of a scalar, an enum or a message. A leading ``*`` is
# repeated, a leading ``{}`` a map from strings, a leading ``?`` one of several fields of which a message has one.
Messages = Mapping[str, Mapping[str, tuple[int, str]]]
# enum → word → its number
Enums = Mapping[str, Mapping[str, int]]

_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _FIELD.TYPE_STRING,
    "bytes": _FIELD.TYPE_BYTES,
    "bool": _FIELD.TYPE_BOOL,
    "int32": _FIELD.TYPE_INT32,
    "int64": _FIELD.TYPE_INT64,
    "uint32": _FIELD.TYPE_UINT32,
    "uint64": _FIELD.TYPE_UINT64,
    "float": _FIELD.TYPE_FLOAT,
    "double": _FIELD.TYPE_DOUBLE,
}
_CHOICE = "choice"  # the name of the oneof, which has no meaning on the wire


class MessageTypes:
    """The message types of a table, each made when it is first used."""

    def __init__(self, messages: Messages, enums: Enums) -> None:
        file = descriptor_pb2.FileDescriptorProto(name="table.proto", package="edgesim", syntax="proto3")
        for enum_name, words in enums.items():
            enum = file.enum_type.add(name=enum_name)
            for word, number in words.items():
                enum.value.add(name=word, number=number)
        for message_name, fields in messages.items():
            message = file.message_type.add(name=message_name)
            for field_name, (number, kind) in fields.items():
                _add_field(message, field_name, number, kind, enums)
        self._pool = descriptor_pool.DescriptorPool()
        self._pool.Add(file)
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        """Return the class of the message `name`."""
        if name not in self._made:
            descriptor = self._pool.FindMessageTypeByName(f"edgesim.{name}")
            self._made[name] = message_factory.GetMessageClass(descriptor)
        return self._made[name]


def _add_field(message: Any, name: str, number: int, kind: str, enums: Enums) -> None:
    field = message.field.add(name=name, number=number, label=_FIELD.LABEL_OPTIONAL)
    if kind.startswith("{}"):
        entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
        entry.options.map_entry = True
        _add_field(entry, "key", 1, "string", enums)
        _add_field(entry, "value", 2, kind[2:], enums)
        kind = f"*{message.name}.{entry.name}"
    if kind.startswith("?"):
        if not message.oneof_decl:
            message.oneof_decl.add(name=_CHOICE)
        field.oneof_index, kind = 0, kind[1:]
    if kind.startswith("*"):
        field.label, kind = _FIELD.LABEL_REPEATED, kind[1:]
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = _FIELD.TYPE_ENUM if kind in enums else _FIELD.TYPE_MESSAGE
        field.type_name = f".edgesim.{kind}"
