"""The kernels that each release of ONNX Runtime has for a processor: operations, operator sets and types of tensors.

``runtime_kernels.json`` has them as the releases themselves list them, see `benchmarks.runtime_support`. The kernels
are those of the wheels for x86; those for arm64 have some more, of FP16.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson

FILE = Path(__file__).with_name("runtime_kernels.json")


@dataclass(frozen=True, kw_only=True)
class Use:
    """An operation as a model uses it.

    Attributes:
        domain: empty for ONNX's own operations.
        since: the operator set that defines the operation as the model means it; 1 where ONNX does not define it.
        types: of the node's tensors as far as they are known, such as ``float16``, by the name of the type constraint
            and by the name of the input or output.
        is_composed: whether a runtime without a kernel computes the operation by others that it is made of.
    """

    domain: str
    name: str
    since: int
    types: tuple[tuple[str, str], ...] = ()
    is_composed: bool = False

    def __str__(self) -> str:
        return f"{self.domain}.{self.name}" if self.domain else f"{self.name} of opset {self.since}"


@dataclass(frozen=True)
class _Kernel:
    """A kernel: for operations of the operator sets from `since` to `last`, with these types by type constraint.

    `first` is the first release with the kernel, and `until` the first one without it again.
    """

    since: int
    last: int | None
    types: Mapping[str, frozenset[str]]
    first: str
    until: str | None

    def is_in(self, release: str) -> bool:
        return _key(self.first) <= _key(release) and (self.until is None or _key(release) < _key(self.until))

    def defines(self, since: int) -> bool:
        """Whether the kernel is for an operation of this operator set: an open-ended one is for its own alone."""
        return self.since == since or (self.last is not None and self.since <= since <= self.last)

    def refused(self, use: Use) -> Iterator[str]:
        """Yield the types of a use that the kernel does not take."""
        for name, kind in use.types:
            if name in self.types and kind not in self.types[name]:
                yield kind


@dataclass(frozen=True)
class _Table:
    kernels: Mapping[str, tuple[_Kernel, ...]]
    signatures: Mapping[str, tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]]


def refusal(use: Use, release: str) -> str | None:
    """Return why a release has no kernel for a use; None if it has one, or takes the operation apart."""
    kernels = _table().kernels.get(_full_name(use), ())
    if use.is_composed or _has(kernels, use, release):
        return None
    ours = [kernel for kernel in kernels if kernel.defines(use.since) and kernel.is_in(release)]
    refused = [set(kernel.refused(use)) for kernel in ours]
    # What no kernel takes, or all that some kernel does not take together with the rest.
    kinds = sorted(set.intersection(*refused) or set.union(*refused)) if refused else []
    what = f"{use} with {' and '.join(kinds)}" if kinds else f"{use}"
    firsts = {kernel.first for kernel in kernels if _has((kernel,), use, kernel.first)}
    return f"no kernel for {what}, {first_to_have(first for first in firsts if _key(first) > _key(release))}"


def first_to_have(releases: Iterable[str]) -> str:
    """Return which of the releases that have something is the first, as the end of a sentence."""
    first = min(releases, key=_key, default=None)
    return f"which {first} is the first to have" if first is not None else "which no release has"


def signature(domain: str, name: str) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """Return names and type constraints of the inputs and outputs of an operation that ONNX does not define."""
    return _table().signatures.get(f"{domain}.{name}", ((), ()))


def domains() -> frozenset[str]:
    """Return the domains that ONNX Runtime has operations of."""
    return frozenset(name.rpartition(".")[0] for name in _table().kernels)


def _has(kernels: tuple[_Kernel, ...], use: Use, release: str) -> bool:
    ours = [kernel for kernel in kernels if kernel.defines(use.since) and kernel.is_in(release)]
    # Without a kernel of FP16, ONNX Runtime computes in FP32, between casts.
    return any(not any(kernel.refused(each)) for each in (use, _in_fp32(use)) for kernel in ours)


def _in_fp32(use: Use) -> Use:
    types = tuple((name, "float" if kind == "float16" else kind) for name, kind in use.types)
    return Use(domain=use.domain, name=use.name, since=use.since, types=types)


def _full_name(use: Use) -> str:
    return f"{use.domain}.{use.name}" if use.domain else use.name


@cache
def _table() -> _Table:
    document: dict[str, Any] = orjson.loads(FILE.read_bytes())
    sets = [frozenset(words.split()) for words in document["types"]]
    return _Table(
        kernels={
            name: tuple(
                _Kernel(since, last, {key: sets[number] for key, number in types.items()}, first, until)
                for since, last, types, first, until in rows
            )
            for name, rows in document["kernels"].items()
        },
        signatures={
            name: tuple(tuple((each, kind) for each, kind in ends) for ends in both)  # type: ignore[misc]  # two ends
            for name, both in document["signatures"].items()
        },
    )


def _key(version: str) -> tuple[int, ...]:
    """Return major and minor version: patches have the kernels of their minor version."""
    return tuple(map(int, version.split(".")[:2]))
