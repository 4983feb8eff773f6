"""The profile of a machine from what `edgesim.host.machine_probe` read and measured there."""

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from edgesim import profiles
from edgesim.host import identity, machine_probe
from edgesim.host.architecture import architecture_of
from edgesim.host.identity import CoreGroup, MachineIdentity
from edgesim.profiles import DeviceProfile, cores
from edgesim.version import __version__

_Value = TypeVar("_Value")

_DEVICE_TREE = "/sys/firmware/devicetree/base"
# Sizes in which memory is sold, in GiB; larger ones are multiples of 64.
_SOLD_GIB = (0.25, 0.5, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
# The x86 flags that add instructions with which libraries compute; the kernel lists more than a hundred.
_X86_COMPUTES = re.compile(
    r"sse\d?|sse4_[12]|ssse3|pni|popcnt|aes|pclmulqdq|sha_ni|avx\w*|amx\w*|f16c|fma4?|bmi[12]|gfni|vaes|vpclmulqdq"
)
# More programs than this beside the probe, and the bandwidth is theirs as well.
_QUIET_LOAD = 0.5

# What no program can read, with where to find it.
_WHERE = {
    "cpu.clock_hz": "the kernel of this machine reports no clock; the processor's data sheet has it",
    "cpu.features": "/proc/cpuinfo of this machine lists none",
    "cpu.caches": "the kernel of this machine does not report them; the processor's data sheet has them",
    "cpu.fp32_flops_per_cycle": "the core's manual: 8 for each 128-bit multiply-add that the core starts in a cycle",
    "memory.kind": "the data sheet",
    "memory.bandwidth_bytes_per_s": "the data sheet: transfers per second times the width of the bus in bytes",
    "storage": "the disk could not be read",
    "device_tree": "this machine has no device tree that names it, so nothing proves that a machine is the board",
    "cpu.brand": "/proc/cpuinfo of this machine has no model name",
    "system": "this machine has no /etc/os-release",
    "power": "the data sheet, or a meter",
    "modes": "the vendor's power modes (nvpmodel on a Jetson)",
}


@dataclass(frozen=True, kw_only=True)
class MachineProfile:
    """A profile file as it was measured.

    Attributes:
        document: the facts, as a profile file has them.
        text: the file itself, with comments.
        not_read: where to find each fact that could not be read, by dotted key.
        problem: what keeps the file from being a valid profile; None if it is one.
    """

    document: Mapping[str, Any]
    text: str
    not_read: Mapping[str, str]
    problem: str | None = None


def machine_profile(survey: Mapping[str, Any], *, name: str | None, date: str) -> MachineProfile:
    """Return the profile file of a machine.

    Args:
        survey: as `machine_probe.survey` returns it.
        name: of the profile; None means the machine's own name, in lower case.
        date: when the machine was measured, for the sources: ``2026-01-31``.
    """
    return _Measured(survey, name, date).profile()


class _Measured:
    """The parts of the profile, each from its texts."""

    def __init__(self, survey: Mapping[str, Any], name: str | None, date: str) -> None:
        self._survey, self._name, self._date = survey, name, date
        self._files: Mapping[str, str] = survey["files"]
        self._machine = _identity(survey)
        # Models run on the fastest cores.
        groups = sorted(self._machine.cores, key=self._speed, reverse=True)
        self._main, *self._others = groups or [CoreGroup(core="unknown", count=1)]
        self._like = _profile_with_core(self._core(self._main), self._machine.architecture)
        self._not_read: dict[str, str] = {}

    def profile(self) -> MachineProfile:
        document = {key: value for key, value in self._sections() if value}
        document["sources"] = self._sources(document)
        for key in ("memory.kind", "memory.bandwidth_bytes_per_s", "power", "modes"):
            self._or_lack(key)
        return MachineProfile(document=document, text=self._text(document), not_read=dict(self._not_read))

    def _or_lack(self, key: str, value: _Value | None = None) -> _Value | None:
        """Return a value; note the fact as not read if there is none."""
        if not value:
            self._not_read[key] = _WHERE[key]
        return value

    def _sections(self) -> Iterator[tuple[str, Any]]:
        title = self._machine.board or self._main.core
        yield "name", self._name or re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "machine"
        yield "title", title
        yield "soc", self._soc()
        yield "architecture", self._machine.architecture
        if self._machine.architecture == "arm64":
            board = self._machine.board
            yield "device_tree", self._or_lack("device_tree", [board] if board else None)
        yield "cpu", self._cpu()
        yield "memory", self._memory()
        yield "storage", self._storage()
        yield "system", self._system()
        if self._machine.architecture == "arm64":
            yield "emulation", self._emulation()
        yield "image", {"dockerfile": "Dockerfile.jetson"}

    def _soc(self) -> str:
        compatible = self._files.get(f"{_DEVICE_TREE}/compatible", "").strip("\0").split("\0")
        return compatible[-1] or self._main.core

    def _core(self, group: CoreGroup) -> str:
        if group.implementer is not None:
            return group.core
        fields = (_field(self._files, key) for key in ("vendor_id", "cpu family", "model"))
        vendor, family, model = fields
        known = cores.of_cpuid(vendor, int(family), int(model)) if family.isdigit() and model.isdigit() else None
        return known.title if known is not None else group.core

    def _speed(self, group: CoreGroup) -> tuple[int, int]:
        return group.clock_hz or 0, self._bandwidth_of(group).get("copy_bytes_per_s", 0)

    def _cpu(self) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        if self._machine.architecture == "amd64":
            facts["brand"] = self._or_lack("cpu.brand", _field(self._files, "model name"))
        facts |= self._cluster(self._main)
        features = self._machine.features
        if self._machine.architecture == "amd64":
            features = tuple(feature for feature in features if _X86_COMPUTES.fullmatch(feature))
        facts["features"] = self._or_lack("cpu.features", list(features))
        flops = self._like.cpu.fp32_flops_per_cycle if self._like is not None else None
        facts["fp32_flops_per_cycle"] = self._or_lack("cpu.fp32_flops_per_cycle", flops)
        facts["others"] = [self._cluster(group) for group in self._others]
        return {key: value for key, value in facts.items() if value}

    def _cluster(self, group: CoreGroup) -> dict[str, Any]:
        clock_hz = group.clock_hz or _current_clock(self._files)
        self._or_lack("cpu.clock_hz", clock_hz)
        if clock_hz is not None and group.clock_hz is None:
            self._not_read["cpu.clock_hz"] = (
                "the highest; the kernel of this machine reports only what the clock is now"
            )
        facts = {
            "core": self._core(group),
            "cores": group.count,
            "clock_hz": clock_hz,
            "caches": self._or_lack("cpu.caches", self._caches(group)),
            "bandwidth": {
                key: f"{round(value / 1e6)} MB"
                for key, value in self._bandwidth_of(group).items()
                if key.endswith("_per_s")
            },
        }
        return {key: value for key, value in facts.items() if value}

    def _numbers(self, group: CoreGroup) -> list[int]:
        """Return the numbers of a group's cores, as the kernel counts."""
        parts = re.split(r"(?m)^(?=processor\s*:)", self._files.get(identity.CPUINFO, ""))
        numbers = []
        for part in parts:
            one = identity.of_files({identity.CPUINFO: part}, architecture=self._machine.architecture)
            if (number := re.match(r"processor\s*:\s*(\d+)", part)) and one.group(group.core) is not None:
                numbers.append(int(number[1]))
        return numbers

    def _bandwidth_of(self, group: CoreGroup) -> Mapping[str, int]:
        numbers = self._numbers(group)
        return next((each for each in self._survey["bandwidth"] if each["core"] in numbers), {})

    def _caches(self, group: CoreGroup) -> dict[str, Any]:
        numbers = self._numbers(group)
        facts: dict[str, Any] = {}
        for index in range(10):
            base = f"/sys/devices/system/cpu/cpu{numbers[0] if numbers else 0}/cache/index{index}"
            level, kind = (self._files.get(f"{base}/{key}", "").strip() for key in ("level", "type"))
            size = machine_probe.cache_bytes(self._files.get(f"{base}/size", ""))
            key = {("1", "Instruction"): "l1i", ("1", "Data"): "l1d", ("2", "Unified"): "l2", ("3", "Unified"): "l3"}
            if size and (short := key.get((level, kind))):
                facts[f"{short}_bytes"] = f"{size >> 10} KiB"
                if short == "l2":
                    facts["l2_cores"] = _count(self._files.get(f"{base}/shared_cpu_list", "")) or None
        return {key: value for key, value in facts.items() if value}

    def _memory(self) -> dict[str, Any]:
        meminfo = self._files.get("/proc/meminfo", "")
        total, available = (re.search(rf"(?m)^{key}:\s*(\d+) kB", meminfo) for key in ("MemTotal", "MemAvailable"))
        if total is None:
            return {}
        facts = {"marketed_bytes": _sold(int(total[1]) * 1024), "visible_bytes": f"{total[1]} KiB"}
        return facts | ({"usable_bytes": f"{available[1]} KiB"} if available else {})

    def _storage(self) -> list[dict[str, Any]] | None:
        storage = self._survey["storage"]
        if storage["kind"] is None:
            self._or_lack("storage")
            return None
        facts = {"kind": storage["kind"]}
        if storage["read_bytes_per_s"] is not None:
            facts["read_bytes_per_s"] = f"{round(storage['read_bytes_per_s'] / 1e6)} MB"
        else:
            self._not_read["storage.0.read_bytes_per_s"] = f"the disk could not be read: {storage['problem']}"
        return [facts]

    def _system(self) -> dict[str, Any] | None:
        text = self._files.get("/etc/os-release") or self._files.get("/usr/lib/os-release") or ""
        name = re.search(r'(?m)^PRETTY_NAME="?(.*?)"?$', text)
        if name is None:
            self._or_lack("system")
            return None
        kernel = re.match(r"\d+\.\d+", self._survey["kernel"])
        facts = {
            "name": name[1],
            "glibc": self._survey["glibc"],
            "kernel": kernel[0] if kernel else None,
            "python": self._survey["python"],
        }
        return {key: value for key, value in facts.items() if value}

    def _emulation(self) -> dict[str, Any]:
        core = cores.find(self._main.core)
        if isinstance(core, cores.ArmCore) and core.emulated:
            return {"qemu_cpu": core.name}
        if self._like is not None and self._like.emulation is not None:
            return {"qemu_cpu": self._like.emulation.qemu_cpu, "wrong": list(self._like.emulation.wrong)}
        return {
            "qemu_cpu": "max",
            "wrong": [f"no {self._main.core} in QEMU: max has every feature that QEMU has, and the core has not"],
        }

    def _sources(self, document: Mapping[str, Any]) -> list[dict[str, Any]]:
        sizes = {each["buffer_bytes"] >> 20 for each in self._survey["bandwidth"]}
        buffers = f"{max(sizes)} MiB" if sizes else "no"
        how = f"measured on the machine by edgesim {__version__} on {self._date}"
        measured = ["soc", "architecture", "device_tree", "storage", "system"]
        measured += [f"cpu.{key}" for key in document["cpu"] if key != "fp32_flops_per_cycle"]
        measured += [f"memory.{key}" for key in document.get("memory", {}) if key != "marketed_bytes"]
        entries = [
            {
                "facts": [fact for fact in measured if "." in fact or fact in document],
                "source": f"{how}: /proc, /sys and /etc; bandwidth by memcpy, memset and memchr of the C library, as "
                f"tinymembench's libc tests, on one core over two buffers of {buffers}, the best of a second; the disk "
                "by 128 MiB past the page cache",
                "confidence": "strong" if self._survey["load"] <= _QUIET_LOAD else "medium",
            },
            {"facts": ["memory.marketed_bytes"], "source": "the next size that is sold", "confidence": "weak"},
        ]
        taken = ["cpu.fp32_flops_per_cycle"] if "fp32_flops_per_cycle" in document["cpu"] else []
        taken += ["emulation"] if "emulation" in document else []
        if taken:
            like = f"the profile {self._like.name}, which has the same core" if self._like else "QEMU"
            entries.append({"facts": taken, "source": f"as {like}", "confidence": "medium"})
        return [entry for entry in entries if entry["facts"]]

    def _text(self, document: Mapping[str, Any]) -> str:
        lines = [f"# Measured on the machine itself by edgesim {__version__}, {self._date}."]
        if self._survey["load"] > _QUIET_LOAD:
            lines.append(
                f"# Other programs ran ({self._survey['load']:.1f} on average): bandwidth and usable memory are less "
                "than on a quiet machine."
            )
        yaml = YAML(typ="rt", pure=True)
        yaml.width = 10_000
        yaml.indent(mapping=2, sequence=4, offset=2)
        stream = io.StringIO()
        yaml.dump(_laid_out(document), stream)
        lines += [re.sub(r"(?m)^(?=(cpu|memory|storage|system|emulation|image|sources):)", "\n", stream.getvalue())]
        lines += ["# What could not be read on the machine; state it where you know it:"]
        lines += [f"#   {key}: {where}" for key, where in sorted(self._not_read.items())]
        return "\n".join(lines) + "\n"


def _laid_out(value: Any) -> Any:
    """Return a document as people write one: sections on lines of their own, and small mappings and lists in one."""
    if isinstance(value, Mapping):
        laid_out = CommentedMap({key: _laid_out(each) for key, each in value.items()})
        if all(isinstance(each, (str, int)) for each in value.values()) and len(value) > 1 and "source" not in value:
            laid_out.fa.set_flow_style()
        return laid_out
    if isinstance(value, list):
        sequence = CommentedSeq(map(_laid_out, value))
        if all(isinstance(each, str) for each in value):
            sequence.fa.set_flow_style()
        return sequence
    return value


def _identity(survey: Mapping[str, Any]) -> MachineIdentity:
    files = dict(survey["files"])
    files[identity.BOARD_NAME] = files.get(f"{_DEVICE_TREE}/model", "")
    return identity.of_files(files, architecture=architecture_of(survey["architecture"]))


def _profile_with_core(core: str, architecture: str) -> DeviceProfile | None:
    """Return a profile that comes with edgesim whose models run on this core; its arithmetic is the core's."""
    for name in profiles.names():
        profile = profiles.load(name)
        if profile.architecture == architecture and cores.same(profile.cpu.core, core):
            return profile
    return None


def _field(files: Mapping[str, str], name: str) -> str:
    match = re.search(rf"(?m)^{name}\s*:\s*(.+?)\s*$", files.get(identity.CPUINFO, ""))
    return match[1] if match else ""


def _current_clock(files: Mapping[str, str]) -> int | None:
    """Return the highest clock that any x86 core has now, in Hz; other kernels do not print it in /proc/cpuinfo."""
    clocks = re.findall(r"(?m)^cpu MHz\s*:\s*([\d.]+)", files.get(identity.CPUINFO, ""))
    return max((round(float(clock)) * 1_000_000 for clock in clocks), default=None)


def _count(cpu_list: str) -> int:
    """Return how many cores a list of the kernel has: ``0-3,8`` has 5."""
    spans = [span.split("-") for span in cpu_list.strip().split(",") if span]
    return sum(int(span[-1]) - int(span[0]) + 1 for span in spans)


def _sold(visible_bytes: int) -> str:
    """Return the smallest size of memory that is sold and not smaller than what Linux sees."""
    gib = next((size for size in _SOLD_GIB if size * 2**30 >= visible_bytes), None)
    gib = gib if gib is not None else -(-visible_bytes // (64 << 30)) * 64
    # Vendors write GB and MB of memory where they mean GiB and MiB, and a profile has their words.
    return f"{gib:g} GB" if gib >= 1 else f"{gib * 1024:g} MB"
