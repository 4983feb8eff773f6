"""Doubts about a profile: facts that are beyond what a part of the named kind is known to do.

A profile with a doubt is valid, since parts get faster, and a vendor may overclock a part. But predictions use such a
fact, so a typing error, such as 900 GB for 9.00 GB, would describe a fast board.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from edgesim.profiles import cores
from edgesim.profiles.cpu import Cluster
from edgesim.profiles.device_profile import DeviceProfile
from edgesim.profiles.memory import Memory


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """A fact, by its dotted key, and why it is doubtful."""

    fact: str
    reason: str

    def __str__(self) -> str:
        return f"{self.fact}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class _Standard:
    """The highest rate of a kind of memory, in transfers per second, and the document that has it."""

    rate: float
    source: str


# JEDEC's standards with their extensions: LPDDR3E, LPDDR4X at 4266, LPDDR5X at 8533 (JESD209-5B).
_STANDARDS = {
    "DDR3": _Standard(rate=2133e6, source="JESD79-3"),
    "DDR3L": _Standard(rate=2133e6, source="JESD79-3"),
    "DDR4": _Standard(rate=3200e6, source="JESD79-4"),
    "DDR5": _Standard(rate=8800e6, source="JESD79-5C"),
    "LPDDR2": _Standard(rate=1066e6, source="JESD209-2"),
    "LPDDR3": _Standard(rate=2133e6, source="JESD209-3"),
    "LPDDR4": _Standard(rate=4266e6, source="JESD209-4"),
    "LPDDR4X": _Standard(rate=4266e6, source="JESD209-4-1"),
    "LPDDR5": _Standard(rate=6400e6, source="JESD209-5"),
    "LPDDR5X": _Standard(rate=8533e6, source="JESD209-5B"),
}
_FASTEST = max(_STANDARDS, key=lambda kind: _STANDARDS[kind].rate)
# The widest bus of the boards that come with edgesim, Jetson AGX, for a profile that does not state the width.
_WIDEST_BITS = 256
# Vendors round: LPDDR4X-4267 with 32 bits is sold as 17.1 GB/s.
_ROUNDING = 1.02

_KIND = re.compile(r"\b((?:LP)?DDR\d[A-Z]*)(?:-(\d{3,5})(?!\d|\s?MHz))?", re.IGNORECASE)
_SEVERAL = re.compile(
    r"\b(\w{1,9})(?:[- ](?:channels?|chips?|modules?|(?:SO-?)?DIMMs?)(?: of)?|\s?[x×])\s?(\d{1,5})[- ]?bits?\b",
    re.IGNORECASE,
)
_ONE = re.compile(r"\b(\d{1,5})[- ]?bits?\b", re.IGNORECASE)
_NUMBERS = {"one": 1, "single": 1, "two": 2, "dual": 2, "three": 3, "four": 4, "quad": 4, "six": 6, "eight": 8}


def of(profile: DeviceProfile, known: Iterable[DeviceProfile]) -> tuple[Doubt, ...]:
    """Return the doubts about a profile.

    Args:
        profile: in no power mode, so that its clusters have all their cores.
        known: profiles whose facts have sources: what is compared are boards with the same SoC or the same core.
    """
    known = tuple(known)
    return (*_of_memory(profile), *_of_one_core(profile), *_of_cores(profile, known))


def _of_memory(profile: DeviceProfile) -> Iterator[Doubt]:
    most, words = _most_bytes_per_s(profile.memory)
    if most is None:
        return
    stated = {"memory.bandwidth_bytes_per_s": profile.memory.bandwidth_bytes_per_s}
    stated |= {
        f"modes.{name}.memory_bandwidth_bytes_per_s": mode.memory_bandwidth_bytes_per_s
        for name, mode in profile.modes.items()
    }
    for fact, value in stated.items():
        if value is not None and value > most * _ROUNDING:
            yield Doubt(fact=fact, reason=f"{_rate(value)} is more than {words}")


def _most_bytes_per_s(memory: Memory) -> tuple[float | None, str]:
    """Return what a memory carries at most, and the words for it; None for a kind without a known limit."""
    match = _KIND.search(memory.kind or "")
    if memory.kind and match is None:
        return None, ""
    kind = match[1].upper() if match else _FASTEST
    if kind not in _STANDARDS:
        return None, ""
    standard = _STANDARDS[kind]
    rate, why = standard.rate, f"JEDEC {standard.source}"
    if match and match[2]:
        rate, why = 1e6 * int(match[2]), "memory.kind"
    bits = _bits(memory.kind or "")
    most = rate * (bits or _WIDEST_BITS) / 8
    fastest = "" if match else ", the fastest kind,"
    words = f"the {_rate(most)} that {kind}{fastest} carries with {bits or _WIDEST_BITS} bits at {rate / 1e6:.0f} MT/s"
    words += f" ({why})"
    if bits is None:
        words += f"; for a wider bus, state its width: memory.kind: '{memory.kind or _FASTEST}, 512 bits'"
    return most, words


def _bits(kind: str) -> int | None:
    """Return the width of a memory's bus as its kind states it; None where it does not, or not clearly."""
    if several := _SEVERAL.search(kind):
        count = int(several[1]) if several[1].isdigit() else _NUMBERS.get(several[1].lower())
        return count * int(several[2]) if count else None
    widths = _ONE.findall(kind)
    in_several = re.search(r"channel|dimm|dual|quad", kind, re.IGNORECASE)
    return int(widths[0]) or None if len(widths) == 1 and not in_several else None


def _of_one_core(profile: DeviceProfile) -> Iterator[Doubt]:
    """Yield what one core is said to move, and the memory cannot. A copy reads and writes each byte."""
    memory = profile.memory.bandwidth_bytes_per_s
    for key, cluster in _clusters(profile):
        for name, times in (("copy_bytes_per_s", 2), ("fill_bytes_per_s", 1), ("read_bytes_per_s", 1)):
            value = getattr(cluster.bandwidth, name)
            if memory is not None and value is not None and times * value > memory * _ROUNDING:
                twice = ", twice since a copy reads and writes," if times == 2 else ""
                yield Doubt(
                    fact=f"{key}.bandwidth.{name}",
                    reason=f"{_rate(value)}{twice} is more than memory.bandwidth_bytes_per_s, {_rate(memory)}",
                )


def _of_cores(profile: DeviceProfile, known: Sequence[DeviceProfile]) -> Iterator[Doubt]:
    siblings = [each for each in known if _same_soc(each.soc, profile.soc)]
    for key, cluster in _clusters(profile):
        board, most = _most(siblings, cluster.core, "cores")
        if board is not None and cluster.cores > most:
            reason = f"{cluster.cores} cores {cluster.core}, and {board.soc} has {most} (profile {board.name})"
            yield Doubt(fact=f"{key}.cores", reason=reason)
        board, most = _most(known, cluster.core, "fp32_flops_per_cycle")
        if board is not None and (cluster.fp32_flops_per_cycle or 0) > most:
            reason = f"{cluster.fp32_flops_per_cycle}, and a {cluster.core} does {most} (profile {board.name})"
            yield Doubt(fact=f"{key}.fp32_flops_per_cycle", reason=reason)


def _most(known: Sequence[DeviceProfile], core: str, fact: str) -> tuple[DeviceProfile | None, int]:
    """Return the profile that states the highest value of a fact of a core, and the value; None without one."""
    found = [
        (value, profile)
        for profile in known
        for _, cluster in _clusters(profile)
        if cores.same(cluster.core, core) and (value := getattr(cluster, fact)) is not None
    ]
    most, board = max(found, key=lambda pair: pair[0], default=(0, None))
    return board, most


def _same_soc(one: str, other: str) -> bool:
    """Return whether two names are of one SoC: the same text, or a designation of letters and digits in common."""
    return one.lower() == other.lower() or bool(_designations(one) & _designations(other))


def _designations(soc: str) -> frozenset[str]:
    """Return the words such as ``rk3399`` or ``t210``: of letters and digits, long enough for one SoC alone."""
    words = re.findall(r"[a-z0-9]{4,}", soc.lower())
    return frozenset(word for word in words if re.search("[a-z]", word) and re.search("[0-9]", word))


def _clusters(profile: DeviceProfile) -> Iterator[tuple[str, Cluster]]:
    yield "cpu", profile.cpu
    for index, cluster in enumerate(profile.cpu.others):
        yield f"cpu.others.{index}", cluster


def _rate(bytes_per_s: float) -> str:
    return f"{bytes_per_s / 1e9:.4g} GB/s"
