"""What the ONNX parser of each release of TensorRT takes, by its own documentation.

``tensorrt_support.json`` has the facts with their sources: operators with the types of tensors that they take, from the
release on that first lists them so, and restrictions of operators with the releases that they hold for.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson

FILE = Path(__file__).with_name("tensorrt_support.json")


@dataclass(frozen=True, kw_only=True)
class Restriction:
    """What an operator must keep to. One of the conditions is set, or none where only people can tell.

    Attributes:
        words: what is wrong with a node that does not keep to it.
        inputs: positions of inputs that must be constants, or constants of `most` at most.
        attribute: name of an attribute that must have one of `values`, `lengths` values, `all_of` these, or a text
            `without` these.
        outputs, inputs_most: the most outputs and inputs.
        zero_point: position of an input that must be 0 and signed, if it is there.
        rank: allowed numbers of dimensions of the first input.
        static: whether the first input must have a fixed shape.
        distinct: whether no index may occur twice in a term of an equation.
        doubt: whether a node that does not keep to it may run all the same.
    """

    words: str
    inputs: tuple[int, ...] = ()
    most: int | None = None
    attribute: str | None = None
    values: tuple[str | int, ...] = ()
    lengths: tuple[int, ...] = ()
    all_of: tuple[int, ...] = ()
    without: tuple[str, ...] = ()
    outputs: int | None = None
    inputs_most: int | None = None
    zero_point: int | None = None
    rank: tuple[int, ...] = ()
    static: bool = False
    distinct: bool = False
    doubt: bool = False


@dataclass(frozen=True, kw_only=True)
class TensorRt:
    """The facts of one release.

    Attributes:
        version: of the release that was asked for; `documented` is the release whose facts these are.
        opset, oldest_opset: the range of ONNX's operator sets that the parser is documented for.
        tensor_types: types of tensors; `narrowed` are those that it takes as another, `io_types` those that only
            inputs and outputs of a network may have.
        takes_functions: whether models may have functions of their own.
        operators: the types of tensors that each operator takes.
        unknown: operators of which no source says whether this release takes them.
    """

    version: str
    documented: str
    opset: int
    oldest_opset: int
    tensor_types: frozenset[str]
    io_types: frozenset[str]
    narrowed: Mapping[str, str]
    takes_functions: bool
    operators: Mapping[str, frozenset[str]]
    unknown: frozenset[str]
    source: str

    @classmethod
    def of(cls, version: str) -> "TensorRt | None":
        """Return the facts of a release: those of the newest documented one that is not newer; None if all are."""
        document = _document()
        older = [release for release in document["releases"] if _key(release) <= _key(version)]
        if not older:
            return None
        facts = document["releases"][older[-1]]
        operators: dict[str, frozenset[str]] = {}
        for since, added in document["operators"].items():
            if _key(since) <= _key(version):
                operators |= {name: frozenset(types.split()) for types, names in added.items() for name in names}
        unknown = (
            name for since, names in document["unknown"].items() if _key(since) <= _key(version) for name in names
        )
        return cls(
            version=version,
            documented=older[-1],
            opset=facts["opset"],
            oldest_opset=facts["oldest_opset"],
            tensor_types=frozenset(facts["types"].split()),
            io_types=frozenset(facts["io_types"].split()),
            narrowed=facts["narrowed"],
            takes_functions=facts["functions"],
            operators=operators,
            unknown=frozenset(unknown) - operators.keys(),
            source=facts["source"],
        )

    def restrictions(self, operator: str) -> Iterator[Restriction]:
        """Yield what nodes of an operator must keep to in this release."""
        for entry in _document()["restrictions"]:
            if operator in entry["operators"] and _holds(entry, self.version):
                yield _restriction(entry)


def plugins() -> frozenset[str]:
    """Return operators that TensorRT does not parse and that plugins which come with it run."""
    return frozenset(_document()["plugins"])


def releases() -> tuple[str, ...]:
    """Return the documented releases, the oldest first."""
    return tuple(_document()["releases"])


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(FILE.read_bytes())
    return document


def _holds(entry: Mapping[str, Any], version: str) -> bool:
    return _key(entry["since"]) <= _key(version) and ("until" not in entry or _key(version) < _key(entry["until"]))


def _restriction(entry: Mapping[str, Any]) -> Restriction:
    facts: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    places = " and ".join(map(str, entry.get("inputs", ())))
    facts.setdefault("words", f"its input {places} must be a constant")
    for name in ("operators", "since", "until", "must"):  # `must` is for readers of the file
        facts.pop(name, None)
    return Restriction(**facts)


def _key(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
