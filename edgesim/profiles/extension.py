"""Extension of profiles: the facts of a profile, and of a profile that extends another.

A file that extends a profile states some facts, and inherits all others. A fact that the file states with another value
than the inherited one is *overridden*. An overridden fact takes along the inherited facts that held only with the
former value (`TAKES_ALONG`), applies in the inherited power modes, and loses the sources that were of the former value.

Facts are kept flat here: the value of each key that is no mapping, by its path. A list is one value, and so is an empty
mapping.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ByteSize, TypeAdapter, ValidationError

from edgesim.profiles import cores

FactPath = tuple[Any, ...]  # the keys that lead to a fact: ("memory", "visible_bytes")
Facts = dict[FactPath, Any]

# The origin of the facts that the user's own file states.
OWN = "yours"
_SOURCES = "sources"
# Keys in each other of the deepest fact (cpu.caches.l2_bytes), and one more. A mapping below is one value.
_DEEPEST = 4

# Facts that hold only together with the fact before them. Where a file overrides that fact, the extended profile's
# facts are not inherited; a file that has them states them itself. A star is any key.
TAKES_ALONG: Mapping[str, tuple[str, ...]] = {
    # A board with another name or other hardware does not call itself what the extended board does: else a Jetson Nano
    # would pass for each board whose profile extends jetson-nano.
    "name": ("device_tree",),
    "title": ("device_tree",),
    # Another architecture is another processor on another chip.
    "architecture": (
        "soc",
        "device_tree",
        "cpu",
        "memory.kind",
        "memory.bandwidth_bytes_per_s",
        "accelerators",
        "power",
        "thermal",
        "default_mode",
        "modes",
        "emulation",
    ),
    # The core, its number and its clock are often those of another chip as well; what was measured on a chip, or is the
    # choice of its vendor, is not.
    "soc": (
        "device_tree",
        "cpu.brand",
        "cpu.features",
        "cpu.caches",
        "cpu.bandwidth",
        "cpu.others",
        "memory.kind",
        "memory.bandwidth_bytes_per_s",
        "accelerators",
        "power",
        "thermal",
        "default_mode",
        "modes",
        "emulation.others",
        "emulation.wrong",
    ),
    "cpu.core": (
        "device_tree",
        "cpu.brand",
        "cpu.clock_hz",
        "cpu.features",
        "cpu.caches",
        "cpu.fp32_flops_per_cycle",
        "cpu.bandwidth",
        "power.load_w",
        "thermal",
        "default_mode",
        "modes",
        "emulation.qemu_cpu",
        "emulation.wrong",
    ),
    "cpu.cores": ("device_tree", "power.load_w"),
    "cpu.clock_hz": ("power.load_w", "thermal"),
    "memory.marketed_bytes": ("device_tree", "memory.visible_bytes", "memory.usable_bytes"),
    "memory.visible_bytes": ("memory.usable_bytes",),
    "memory.kind": ("memory.bandwidth_bytes_per_s", "cpu.bandwidth", "modes.*.memory_bandwidth_bytes_per_s"),
    "memory.bandwidth_bytes_per_s": ("memory.kind", "cpu.bandwidth", "modes.*.memory_bandwidth_bytes_per_s"),
    "accelerators": ("modes.*.accelerators",),
    "system.name": (
        "system.glibc",
        "system.kernel",
        "system.python",
        "system.runtime",
        "system.vendor_runtime",
        "memory.usable_bytes",
    ),
    "emulation.qemu_cpu": ("emulation.wrong",),
}
# Facts of which a profile has one: each excludes the other, even where the extended profile does not state the former.
_ALTERNATIVES: Mapping[str, tuple[str, ...]] = {
    "image.dockerfile": ("image.reference", "image.port", "image.grpc_port", "image.health_path", "image.mount_point"),
    "image.reference": ("image.dockerfile",),
}

# Of the single keys that `TAKES_ALONG` drops, the one that is required in an optional section. Without the key, the
# section stays, even if empty: the profile is then refused for the missing key, and does not lose the section silently.
_REQUIRED_IN_OPTIONAL: FactPath = ("emulation", "qemu_cpu")


@dataclass(frozen=True)
class Dropped:
    """A fact that a profile did not inherit.

    Attributes:
        fact: dotted key of the fact, or of the section with several such facts.
        origin: the profile that states the fact.
        because: dotted key of the overridden fact that takes the fact along.
    """

    fact: str
    origin: str
    because: str


@dataclass(frozen=True)
class Extended:
    """The facts of a profile before they are validated.

    Attributes:
        facts: the value of each fact by its path, without `sources`.
        origins: the profile that states the fact, by the same paths: `OWN`, or the name after ``extends``.
        sources: the entries of `sources`, the user's own first.
        dropped: what was not inherited.
    """

    facts: Facts
    origins: dict[FactPath, str]
    sources: Any
    dropped: tuple[Dropped, ...] = ()

    @classmethod
    def stated(cls, document: Mapping[Any, Any], origin: str) -> "Extended":
        """Return the facts of a document that extends no profile, or that are yet to be put on top of one."""
        facts = dict(_flat({key: value for key, value in document.items() if key != _SOURCES}))
        return cls(facts, dict.fromkeys(facts, origin), document.get(_SOURCES, []))

    def document(self) -> dict[Any, Any]:
        """Return the facts and sources as one nested mapping."""
        document: dict[Any, Any] = {}
        for path, value in self.facts.items():
            section = document
            for key in path[:-1]:
                section = section.setdefault(key, {})
            section[path[-1]] = value
        if any(entry.fact == dotted(_REQUIRED_IN_OPTIONAL) for entry in self.dropped):
            document.setdefault(_REQUIRED_IN_OPTIONAL[0], {})
        return document | {_SOURCES: self.sources}

    def extended_by(self, own: "Extended", origin: str) -> "Extended":
        """Return these facts with those of a file on top that extends this profile.

        Args:
            own: what the file states. A value of null, or an empty mapping, removes what would be inherited.
            origin: what the file is called in `origins`.
        """
        return _Extension(self, own.facts, origin).result(own.sources)


class _Extension:
    """One file's facts on top of the profile that the file extends; each step changes `facts`."""

    def __init__(self, below: Extended, own: Facts, origin: str) -> None:
        self.below, self.own, self.origin = below, own, origin
        self.inheritable, stated = _Paths(below.facts), _Paths(own)
        self.overridden = _Paths(path for path, value in own.items() if self._is_overridden(path, value))
        self.facts = {path: value for path, value in below.facts.items() if not stated.touch(path)}
        self.dropped: list[Dropped] = []
        # Inherited modes' own keys that have the file's value: no longer the extended profile's.
        self.in_modes: Facts = {}

    def result(self, own_sources: Any) -> Extended:
        self._drop_what_overridden_facts_take_along()
        self._follow_in_modes()
        inherited = set(self.facts)
        order = [*self.below.facts, *self.own]
        removed = {path for path, value in self.own.items() if value is None and self.inheritable.touch(path)}
        own = {path: value for path, value in self.own.items() if path not in removed}
        values = {**self.facts, **own, **self.in_modes}
        facts = {path: values[path] for path in dict.fromkeys(order) if path in values}
        origins = {path: self.below.origins[path] if path in inherited else self.origin for path in facts}
        touched = [*self.own, *self.in_modes, *(path for path in self.below.facts if path not in facts)]
        sources = own_sources
        if isinstance(own_sources, list) and isinstance(self.below.sources, list):
            sources = [*own_sources, *_narrowed(self.below.sources, order, _Paths(touched))]
        return Extended(facts, origins, sources, (*self._still_dropped(), *self.dropped))

    def _is_overridden(self, path: FactPath, value: Any) -> bool:
        if path in self.below.facts:
            return not _same(path, self.below.facts[path], value)
        return self.inheritable.touch(path)

    def _still_dropped(self) -> Iterator[Dropped]:
        """Yield what the extended profile did not inherit, and this file does not state."""
        # In lower case, since a core among the keys may be in any.
        stated = {dotted(prefix).lower() for prefix in _prefixes(self.own)}
        yield from (entry for entry in self.below.dropped if entry.fact.lower() not in stated)

    def _drop(self, section: FactPath, because: FactPath) -> None:
        paths = [path for path in self.facts if _is_within(_case_blind(path), _case_blind(section))]
        if paths:
            origins = ", ".join(dict.fromkeys(self.below.origins[path] for path in paths))
            self.dropped.append(Dropped(dotted(section), origins, dotted(because)))
        for path in paths:
            del self.facts[path]

    def _drop_what_overridden_facts_take_along(self) -> None:
        stated = _Paths(path for path, value in self.own.items() if value is not None)
        for table, paths in ((TAKES_ALONG, self.overridden), (_ALTERNATIVES, stated)):
            for key, sections in table.items():
                fact = tuple(key.split("."))
                if paths.touch(fact):
                    for section in sections:
                        self._drop(tuple(section.split(".")), fact)

    def _follow_in_modes(self) -> None:
        """Apply overridden cores and clocks in the inherited modes; drop a mode whose core is no longer there."""
        others = ("cpu", "others")
        for mode in dict.fromkeys(path[:2] for path in self.facts if path[0] == "modes" and len(path) > 2):
            core = self.own.get((*mode, "core"), self.facts.get((*mode, "core")))
            if core is None or _same_core(core, self._value(("cpu", "core"))):
                after: Mapping[str, Any] = {key: self._value(("cpu", key)) for key in ("cores", "clock_hz")}
                changed = [key for key in after if self.overridden.touch(("cpu", key))]
            elif not self.overridden.touch(others):
                continue
            else:
                former = _cluster(self.below.facts.get(others), core)
                after = _cluster(self.own.get(others), core)
                changed = [key for key in ("cores", "clock_hz") if after.get(key) != former.get(key)]
                if not after:
                    self._drop(mode, others)
                    self._drop(("emulation", "others", core), others)
            for key in changed:
                if (*mode, key) in self.facts and after.get(key) is not None:
                    del self.facts[(*mode, key)]
                    self.in_modes[(*mode, key)] = after[key]
        default = self.facts.get(("default_mode",))
        remain = {path[1] for path in (*self.facts, *self.own, *self.in_modes) if path[0] == "modes" and len(path) > 2}
        if isinstance(default, str) and default not in remain:
            self._drop(("default_mode",), ("modes", default))

    def _value(self, path: FactPath) -> Any:
        return self.own.get(path, self.facts.get(path))


def dotted(path: FactPath) -> str:
    """Return a path as `sources` and messages write it: ``memory.visible_bytes``."""
    return ".".join(str(key) for key in path)


def _flat(values: Mapping[Any, Any], prefix: FactPath = ()) -> Iterator[tuple[FactPath, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value and len(prefix) < _DEEPEST:
            yield from _flat(value, (*prefix, key))
        else:
            yield (*prefix, key), value


def _prefixes(paths: Iterable[FactPath]) -> dict[FactPath, None]:
    """Return the paths and those of all sections that contain them, without duplicates, in order."""
    return dict.fromkeys(path[:length] for path in paths for length in range(1, len(path) + 1))


class _Paths:
    """A set of paths that is asked for the sections above and below them, whatever the case of cores in the paths."""

    def __init__(self, paths: Iterable[FactPath]) -> None:
        self.paths = set(map(_case_blind, paths))
        self.sections = _prefixes(self.paths)

    def contain(self, path: FactPath) -> bool:
        """Return whether the path, or a section that contains it, is in the set."""
        path = _case_blind(path)
        return any(path[:length] in self.paths for length in range(1, len(path) + 1))

    def touch(self, path: FactPath) -> bool:
        """Return whether the set contains the path or has a path within the section at that path."""
        return _case_blind(path) in self.sections or self.contain(path)


def _case_blind(path: FactPath) -> FactPath:
    """Return a path with the core in it, which is a key of `emulation.others`, in lower case."""
    if path[:2] != ("emulation", "others") or len(path) < 3:
        return path
    return (*path[:2], str(path[2]).lower(), *path[3:])


def _is_within(path: FactPath, section: FactPath) -> bool:
    """Return whether a path is that of a section or of a fact in it; a star in the section's path is any key."""
    return len(path) >= len(section) and all(key in ("*", other) for key, other in zip(section, path, strict=False))


def _same_core(one: Any, other: Any) -> bool:
    """Return whether two values, which may be anything before they are validated, name one core."""
    return isinstance(one, str) and isinstance(other, str) and cores.same(one, other)


_SIZE = TypeAdapter(ByteSize)


def _same(path: FactPath, one: Any, other: Any) -> bool:
    """Return whether two values of a fact are the same; ``4 GB`` is 4000000000, ``cortex-a57`` is ``Cortex-A57``."""
    if one == other:
        return True
    if path[-1] == "core":
        return _same_core(one, other)
    if not str(path[-1]).endswith(("_bytes", "_per_s")):
        return False
    try:
        return _SIZE.validate_python(one) == _SIZE.validate_python(other)
    except ValidationError:
        return False


def _cluster(others: Any, core: Any) -> Mapping[str, Any]:
    """Return the cluster of a core among `cpu.others`, which may be anything before it is validated."""
    clusters = others if isinstance(others, list) else []
    return next((one for one in clusters if isinstance(one, Mapping) and _same_core(one.get("core"), core)), {})


def _narrowed(sources: Sequence[Any], known: Iterable[FactPath], touched: _Paths) -> Iterator[Any]:
    """Yield the sources of the extended profile, each for the facts alone that are still that profile's.

    A source of ``memory`` becomes one of ``memory.kind`` and so on where a file overrides ``memory.visible_bytes``.

    Args:
        known: the paths of all facts.
        touched: the facts that are no longer the extended profile's.
    """
    below: dict[FactPath, list[FactPath]] = {}
    for path in _prefixes(known):
        below.setdefault(path[:-1], []).append(path)
    paths = {dotted(path): path for path in _prefixes(known)}

    def remaining(path: FactPath) -> list[str]:
        """Return the keys of the largest sections at and below the path in which no fact is touched."""
        if not touched.touch(path):
            return [dotted(path)]
        if touched.contain(path):
            return []
        return [fact for section in below.get(path, []) for fact in remaining(section)]

    for source in sources:
        if not isinstance(source, Mapping) or not isinstance(source.get("facts"), list):
            yield source
            continue
        facts = [
            rest for fact in source["facts"] for rest in (remaining(paths[str(fact)]) if str(fact) in paths else [fact])
        ]
        if facts:
            yield {**source, "facts": facts}
