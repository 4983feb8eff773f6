"""Which releases of ONNX Runtime load a model, by its file alone: its IR version, its opsets and its operations.

What each release loads is measured, see `benchmarks.runtime_support`. A file that passes may still not load: kernels
also depend on the types of their inputs, and a custom operation needs its library.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from edgesim.errors import ModelError
from edgesim.models import repository
from edgesim.models.repository import Model

if TYPE_CHECKING:
    import onnx

FILE = Path(__file__).with_name("runtime_support.json")
_DOMAINS = {"": "opset", "ai.onnx": "opset", "ai.onnx.ml": "ml"}
_WORDS = {"opset": "opset", "ml": "opset of ai.onnx.ml", "ir": "IR version"}


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a model asks of a runtime.

    Attributes:
        versions: its IR version and opsets, by ``ir``, ``opset`` and ``ml``.
        operations: domain, name and since-version of each operation that only newer releases have a kernel for, and
            the first such release.
    """

    versions: Mapping[str, int]
    operations: Mapping[tuple[str, str, int], str]

    @classmethod
    def of(cls, model: Model) -> "Needs":
        """Return what a model asks of a runtime; raises as `edgesim.models.repository.parse`."""
        proto = repository.parse(model.path)
        versions = {"ir": proto.ir_version}
        versions |= {_DOMAINS[entry.domain]: entry.version for entry in proto.opset_import if entry.domain in _DOMAINS}
        opsets = {entry.domain: entry.version for entry in proto.opset_import}
        first = {(domain, name, since): release for domain, name, since, release in _facts()["kernels"]}
        used = {_identified(node, opsets) for node in _nodes(proto)}
        return cls(versions=versions, operations={operation: first[operation] for operation in used & first.keys()})

    def refusal(self, release: str) -> str | None:
        """Return why a release does not load the model; None if nothing in the file speaks against it.

        Args:
            release: such as ``1.16.3``; one that was not measured counts as the nearest older one, or the oldest.
        """
        supported = _supported(release)
        for kind, version in self.versions.items():
            if version > supported[kind]:
                return f"{_WORDS[kind]} {version}; it loads up to {supported[kind]}"
        for (domain, name, since), first in sorted(self.operations.items()):
            if key(release)[:2] < key(first)[:2]:
                kind = f"{domain}.{name}" if domain else f"{name} of opset {since}"
                return f"no kernel for {kind}, which {first} is the first to have"
        return None


def refusal(model: Model, release: str) -> str | None:
    """Return why a release does not load a model, by its file; None if it does, or if the file cannot be read."""
    try:
        return Needs.of(model).refusal(release)
    except ModelError:
        return None


def newest() -> str:
    """Return the newest release that was measured."""
    releases: dict[str, Mapping[str, int]] = _facts()["releases"]
    return max(releases, key=key)


def _identified(node: "onnx.NodeProto", opsets: Mapping[str, int]) -> tuple[str, str, int]:
    """Return domain, name and since-version of a node's operation; 1 for an operation that ONNX does not define."""
    from onnx import defs

    domain = "" if node.domain == "ai.onnx" else node.domain
    schema: Any  # its stub lacks two properties
    try:
        schema = defs.get_schema(node.op_type, opsets.get(node.domain, opsets.get(domain, 1)), domain)
    except defs.SchemaError:
        return domain, node.op_type, 1
    # A runtime without a kernel for such an operation computes it by the operations that it is made of.
    made_of_others = schema.has_function or getattr(schema, "has_context_dependent_function", False)
    return domain, node.op_type, 0 if made_of_others else schema.since_version


def _nodes(proto: "onnx.ModelProto") -> Iterator["onnx.NodeProto"]:
    """Yield all nodes of a model, also of branches, loops and functions."""
    graphs: list[onnx.GraphProto | onnx.FunctionProto] = [proto.graph, *proto.functions]
    while graphs:
        graph = graphs.pop()
        for node in graph.node:
            yield node
            for attribute in node.attribute:
                graphs += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


@cache
def _facts() -> dict[str, Any]:
    facts: dict[str, Any] = orjson.loads(FILE.read_bytes())
    return facts


def _supported(release: str) -> Mapping[str, int]:
    releases: dict[str, Mapping[str, int]] = _facts()["releases"]
    older = [version for version in releases if key(version)[:2] <= key(release)[:2]]
    return releases[older[-1] if older else next(iter(releases))]


def key(version: str) -> tuple[int, ...]:
    """Return what releases, and other versions of numbers and dots, are ordered by."""
    return tuple(map(int, version.split(".")))
