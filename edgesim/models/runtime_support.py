"""Which releases of ONNX Runtime load a model, by its file alone: its IR version, opsets, types and operations.

What each release loads is measured, see `benchmarks.runtime_support`. A file that passes may still not load: the types
that come out of operations of com.microsoft are known only where the file states them, and a kernel may refuse an
attribute.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from edgesim.errors import ModelError
from edgesim.models import custom_libraries, operation_uses, repository, runtime_kernels
from edgesim.models.operation_uses import Misuse
from edgesim.models.repository import Model
from edgesim.models.runtime_kernels import Use

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
        uses: its operations, with the types of their tensors.
        types: types of its tensors, as far as they are known.
        bits: widths of the weights of `MatMulNBits`.
        misuse: why no release loads it, whatever the release has; empty if nothing is wrong.
    """

    versions: Mapping[str, int]
    uses: tuple[Use, ...] = ()
    types: frozenset[str] = frozenset()
    bits: frozenset[int] = frozenset()
    misuse: str = ""

    @classmethod
    def of(cls, model: Model) -> "Needs":
        """Return what a model asks of a runtime; raises as `edgesim.models.repository.parse`."""
        return cls._of(model, repository.parse(model.path))

    @classmethod
    def _of(cls, model: Model, proto: "onnx.ModelProto") -> "Needs":
        uses = list(operation_uses.of_model(proto))
        has_library = _has_library(model)
        wrong = (use.words for use in uses if isinstance(use, Misuse) and not (use.is_foreign and has_library))
        known = tuple(use for use in uses if isinstance(use, Use))
        return cls(
            versions=_versions(proto),
            uses=known,
            types=operation_uses.types_of(proto) | {kind for use in known for _, kind in use.types},
            bits=operation_uses.bits_of(proto),
            misuse=next(wrong, ""),
        )

    def refusal(self, release: str) -> str | None:
        """Return why a release does not load the model; None if nothing in the file speaks against it.

        Args:
            release: such as ``1.16.3``; one that was not measured counts as the nearest older one, or the oldest.
        """
        if (why := _newer(self.versions, release)) is not None:
            return why
        supported = _supported(release)
        for kind in sorted(self.types & set(_facts()["types"])):
            if kind not in supported["types"]:
                return f"tensors of {kind}, {_first_with('types', kind)}"
        if self.misuse:
            return self.misuse
        for use in sorted(self.uses, key=str):
            if (why := runtime_kernels.refusal(use, release)) is not None:
                return why
        for bits in sorted(self.bits):
            if bits not in supported["bits"]:
                return f"MatMulNBits of {bits} bits, {_first_with('bits', bits)}"
        return None

    def first(self) -> str | None:
        """Return the oldest measured release from which on nothing speaks against the file; None if there is none."""
        firsts = itertools.takewhile(lambda release: self.refusal(release) is None, reversed(releases()))
        return min(firsts, key=key, default=None)


def _versions(proto: "onnx.ModelProto") -> dict[str, int]:
    opsets = {_DOMAINS[entry.domain]: entry.version for entry in proto.opset_import if entry.domain in _DOMAINS}
    return {"ir": proto.ir_version} | opsets


def _newer(versions: Mapping[str, int], release: str) -> str | None:
    supported = _supported(release)
    for kind, version in versions.items():
        if version > supported[kind]:
            return f"{_WORDS[kind]} {version}; it loads up to {supported[kind]}"
    return None


def _first_with(fact: str, value: str | int) -> str:
    releases: dict[str, Mapping[str, Any]] = _facts()["releases"]
    return runtime_kernels.first_to_have(release for release, facts in releases.items() if value in facts[fact])


def _has_library(model: Model) -> bool:
    """Whether a library with custom operations is named for a model, on the board or on this host."""
    try:
        return bool(model.host_libraries) or any(True for _ in custom_libraries.files(model, "arm64"))
    except ModelError:  # of the configuration, which is told elsewhere
        return False


def newer(model: Model, release: str) -> str | None:
    """Return why a release is too old for a model's IR version or opsets; None if it is not, or nobody can tell."""
    try:
        return _newer(_versions(repository.parse(model.path)), release)
    except ModelError:
        return None


def refusal(model: Model, release: str) -> str | None:
    """Return why a release does not load a model, by its file; None if it does, or if the file cannot be read."""
    try:
        proto = repository.parse(model.path)
        # The types of tensors take a while in a large graph, and most refusals need none.
        return _newer(_versions(proto), release) or Needs._of(model, proto).refusal(release)
    except ModelError:
        return None


def first(model: Model) -> str | None:
    """Return the oldest measured release from which on nothing speaks against a model's file; None if none is known."""
    try:
        return Needs.of(model).first()
    except ModelError:
        return None


def releases() -> tuple[str, ...]:
    """Return the releases that were measured, oldest first."""
    return tuple(_facts()["releases"])


def newest() -> str:
    """Return the newest release that was measured."""
    return releases()[-1]


@cache
def _facts() -> dict[str, Any]:
    facts: dict[str, Any] = orjson.loads(FILE.read_bytes())
    return facts


def _supported(release: str) -> Mapping[str, Any]:
    releases: dict[str, Mapping[str, Any]] = _facts()["releases"]
    older = [version for version in releases if key(version)[:2] <= key(release)[:2]]
    return releases[older[-1] if older else next(iter(releases))]


def key(version: str) -> tuple[int, ...]:
    """Return what releases, and other versions of numbers and dots, are ordered by."""
    return tuple(map(int, version.split(".")))
