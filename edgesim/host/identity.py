"""Which machine a host is: its cores, their clock, and its own name; and whether the machine is the board of a profile.

Two machines of one architecture can differ twenty times in speed, so that the architecture alone proves nothing: an
arm64 CI runner is no Jetson Nano. A machine is taken for the board only if its cores, their number and its own name are
those of the profile, and if its clock is not another one.
"""

import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgesim.host.architecture import architecture_of
from edgesim.profiles import cores
from edgesim.profiles.device_profile import DeviceProfile
from edgesim.units import format_hz

CPUINFO = "/proc/cpuinfo"
BOARD_NAME = "/proc/device-tree/model"
# The limit in force, which power modes lower (nvpmodel of a Jetson writes it), and the limit of the hardware.
_CLOCK_LIMITS = ("scaling_max_freq", "cpuinfo_max_freq")
# What an identity is read from, as shell patterns.
FILES = (CPUINFO, BOARD_NAME, *(f"/sys/devices/system/cpu/cpu[0-9]*/cpufreq/{name}" for name in _CLOCK_LIMITS))

# Profiles state measured or marketed clocks, which differ by up to 3.3 % for one board (1.43 and 1.479 GHz of a Jetson
# Nano). The power modes of a board, and the boards that share a core, are 12 % apart or more.
_CLOCK_TOLERANCE = 0.05

# Implementers of MIDR_EL1. Source: sys-utils/lscpu-arm.c of util-linux.
_IMPLEMENTERS = {
    0x41: "Arm",
    0x42: "Broadcom",
    0x43: "Cavium",
    0x46: "Fujitsu",
    0x48: "HiSilicon",
    0x4E: "NVIDIA",
    0x50: "Ampere",
    0x51: "Qualcomm",
    0x53: "Samsung",
    0x61: "Apple",
    0x6D: "Microsoft",
    0xC0: "Ampere",
}

# Features by which ONNX Runtime chooses its kernels, as /proc/cpuinfo names them: dot product, half precision, matrix
# products of bytes and of BF16, vectors of variable length; AVX and what came after it. A core with more of them than
# the board's answers from other kernels. Source: onnxruntime/core/mlas/lib/platform.cpp, and KleidiAI's in 1.22.
KERNEL_FEATURES = frozenset(
    (
        *("asimddp", "fphp", "asimdhp", "i8mm", "bf16", "sve", "sve2", "svei8mm", "svebf16", "sme", "sme2"),
        *("avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"),
        *("avx512_bf16", "amx_tile", "amx_int8"),
    )
)


@dataclass(frozen=True, kw_only=True)
class CoreGroup:
    """The cores of a machine that have one design.

    Attributes:
        core: the core's title in the table of cores, such as ``Cortex-A57``; the processor's name (CPUID's brand
            string) on x86; for another core, implementer and part in words.
        count: how many of them are online.
        implementer, part: fields of MIDR_EL1; None on x86.
        clock_hz: the highest clock that the kernel lets them reach; None if the kernel does not report it.
    """

    core: str
    count: int
    implementer: int | None = None
    part: int | None = None
    clock_hz: int | None = None


@dataclass(frozen=True, kw_only=True)
class MachineIdentity:
    """What tells one machine from another.

    Attributes:
        architecture: ``amd64`` or ``arm64``.
        cores: the machine's cores by design, in the order in which the kernel counts them.
        board: the machine's own name, from its device tree; None without one, as on x86 and in most virtual machines.
        features: instruction-set features of the first core, as /proc/cpuinfo names them.
    """

    architecture: str
    cores: tuple[CoreGroup, ...] = ()
    board: str | None = None
    features: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """The number of cores that are online."""
        return sum(group.count for group in self.cores)

    @property
    def clock_hz(self) -> int | None:
        """The highest clock that any core reaches; None if the kernel does not report one."""
        return max((group.clock_hz for group in self.cores if group.clock_hz is not None), default=None)

    def group(self, core: str) -> CoreGroup | None:
        """Return the cores of a design; None if the machine has none."""
        return next((group for group in self.cores if cores.same(group.core, core)), None)

    def __str__(self) -> str:
        """Return the machine in words: ``NVIDIA Jetson Nano Developer Kit: 4 cores Cortex-A57``."""
        groups = ", ".join(f"{g.count} core{'s' if g.count != 1 else ''} {g.core}" for g in self.cores)
        return ": ".join(part for part in (self.board, groups or f"an {self.architecture} machine") if part)


def of_this_host() -> MachineIdentity:
    """Return the identity of the machine that edgesim runs on; what cannot be read is left out."""
    files: dict[str, str] = {}
    for pattern in FILES:
        for path in sorted(Path("/").glob(pattern.lstrip("/"))):
            try:
                files[str(path)] = path.read_text(errors="replace")
            except OSError:
                continue
    return of_files(files, architecture=architecture_of(platform.machine().lower()))


def of_files(files: Mapping[str, str], *, architecture: str) -> MachineIdentity:
    """Return the identity of the machine that has these files.

    Args:
        files: the text of each file of `FILES` that could be read, by its path on the machine.
        architecture: ``amd64`` or ``arm64``.
    """
    cpuinfo = files.get(CPUINFO, "")
    groups: dict[str, CoreGroup] = {}
    for number, processor in _processors(cpuinfo):
        core = _core(processor)
        clocks = [
            hz for hz in (groups[core.core].clock_hz if core.core in groups else None, _clock(files, number)) if hz
        ]
        count = groups[core.core].count + 1 if core.core in groups else 1
        groups[core.core] = replace(core, count=count, clock_hz=max(clocks, default=None))
    # A device tree's strings end in a zero byte.
    board = files.get(BOARD_NAME, "").strip("\0 \n")
    features = next((line.split() for line in _values(cpuinfo, "Features", "flags")), [])
    return MachineIdentity(
        architecture=architecture, cores=tuple(groups.values()), board=board or None, features=tuple(features)
    )


def _processors(cpuinfo: str) -> Iterator[tuple[int, str]]:
    """Yield the number of each processor and its part of /proc/cpuinfo."""
    for part in re.split(r"(?m)^(?=processor\s*:)", cpuinfo):
        if match := re.match(r"processor\s*:\s*(\d+)", part):
            yield int(match[1]), part


def _core(processor: str) -> CoreGroup:
    implementer, part = (
        next((int(value, 16) for value in _values(processor, name)), None) for name in ("CPU implementer", "CPU part")
    )
    if implementer is None or part is None:
        return CoreGroup(core=next(_values(processor, "model name"), "unknown"), count=1)
    known = cores.of_midr(implementer, part)
    vendor = _IMPLEMENTERS.get(implementer)
    name = f"{f'{vendor} core' if vendor else 'core'} of implementer {implementer:#04x}, part {part:#05x}"
    return CoreGroup(
        core=known.title if known is not None else name,
        count=1,
        implementer=implementer,
        part=part,
    )


def _values(text: str, *names: str) -> Iterator[str]:
    """Yield the values of the lines ``NAME : VALUE`` of /proc/cpuinfo."""
    for match in re.finditer(rf"(?m)^(?:{'|'.join(names)})\s*:[ \t]*(\S.*?)[ \t]*$", text):
        yield match[1]


def _clock(files: Mapping[str, str], number: int) -> int | None:
    """Return the highest clock that a processor may reach, in Hz."""
    for name in _CLOCK_LIMITS:
        text = files.get(f"/sys/devices/system/cpu/cpu{number}/cpufreq/{name}", "").strip()
        if text.isdigit() and int(text):
            return 1000 * int(text)  # the kernel writes kHz
    return None


# --- is the machine the board? ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One property of a machine beside that of the board, each in words; None where one is not known.

    Attributes:
        name: ``core``, ``cores``, ``clock``, ``board`` (its name in the device tree), ``processor`` (x86: its name in
            CPUID), or ``other cores``.
        agrees: None if one of both is not known.
    """

    name: str
    host: str | None
    profile: str | None
    agrees: bool | None

    def __str__(self) -> str:
        if self.profile is None:
            return f"{self.name}: the profile does not state it"
        if self.host is None:
            return f"{self.name}: not reported by the machine, the board's is {self.profile}"
        return f"{self.name}: {self.host}, the board's is {self.profile}"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A machine compared with the board of a profile.

    Attributes:
        same_architecture: whether the machine runs the board's programs itself.
        is_the_board: whether the machine has proven to be the board, in the profile's power mode.
        compared: what was compared; empty if the architectures differ.
        remedy: what to do if the machine is the board after all; empty if nothing suggests that.
    """

    same_architecture: bool
    is_the_board: bool
    compared: tuple[Compared, ...] = ()
    remedy: str = ""

    @property
    def differences(self) -> str:
        """What keeps the machine from being the board, in words."""
        if not self.same_architecture:
            return "another architecture"
        return "; ".join(map(str, self.against))

    @property
    def against(self) -> tuple[Compared, ...]:
        """What was compared and keeps the machine from being the board."""
        return tuple(each for each in self.compared if _stands_against(each))


# What virtual machines of any core call themselves. Source: create_fdt in hw/arm/virt.c of QEMU.
_VIRTUAL = frozenset(("linux,dummy-virt",))
# What a machine has to have in common with the board. The clock is not always reported, and the cores beside those that
# run models may be off.
_PROOF = ("core", "cores", "board", "processor")


def _stands_against(each: Compared) -> bool:
    return each.agrees is False or (each.agrees is None and each.name in _PROOF)


def compare(machine: MachineIdentity, profile: DeviceProfile) -> Comparison:
    """Compare a machine with the board of a profile, in the profile's power mode.

    The machine is the board if core, number of cores and the machine's own name agree, and the clock does not
    contradict. On arm64 the name is the device tree's model. An x86 board has no device tree: there it is the
    processor's name, which is one design at one clock.
    """
    if profile.has_core_of_host:
        return Comparison(same_architecture=machine.architecture == profile.architecture, is_the_board=False)
    if machine.architecture != profile.architecture:
        return Comparison(same_architecture=False, is_the_board=False)
    compared = _compared(machine, profile)
    is_the_board = not any(map(_stands_against, compared))
    remedy = "" if is_the_board else _remedy(machine, profile)
    return Comparison(same_architecture=True, is_the_board=is_the_board, compared=compared, remedy=remedy)


def _remedy(machine: MachineIdentity, profile: DeviceProfile) -> str:
    """Return what makes a board that is not recognised agree: another power mode, or its name in the profile."""
    for mode in profile.modes:
        if mode != profile.mode and not any(map(_stands_against, _compared(machine, profile.in_mode(mode)))):
            return f"this is the board in mode {mode}: use {profile.name}:{mode}, or switch the board's power mode"
    if machine.board is None or machine.board in _VIRTUAL:
        return ""
    named = profile.model_copy(update={"device_tree": (machine.board,)})
    if any(map(_stands_against, _compared(machine, named))):
        return ""
    if profile.device_tree:  # another carrier or firmware, or a sibling with the same chip, such as a Raspberry Pi 400
        own = f"one with extends: {profile.name} and device_tree: [{machine.board}]"
        return f"if this is the board under another name, run a profile that says so: {own}"
    return f"if this is the board, add device_tree: [{machine.board}] to its profile"


def _compared(machine: MachineIdentity, profile: DeviceProfile) -> tuple[Compared, ...]:
    return tuple(_on_x86(machine, profile) if profile.architecture == "amd64" else _on_arm(machine, profile))


def _on_arm(machine: MachineIdentity, profile: DeviceProfile) -> Iterator[Compared]:
    cpu, group = profile.cpu, machine.group(profile.cpu.core)
    names = ", ".join(each.core for each in machine.cores) or None
    yield Compared(name="core", host=names, profile=cpu.core, agrees=group is not None if names else None)
    count = group.count if group is not None else machine.count
    yield _cores(count, cpu.cores)
    yield _clock_beside(group.clock_hz if group is not None else machine.clock_hz, cpu.clock_hz, at_most=True)
    # Nothing binds a container to cores: where faster ones are on, too, the scheduler gives heavy threads those.
    may_be_on = {each.core.lower(): each.cores if each.clock_hz <= cpu.clock_hz else 0 for each in cpu.others}
    beside = [each for each in machine.cores if each is not group]
    if group is not None and (may_be_on or beside):
        yield Compared(
            name="other cores",
            host=", ".join(f"{each.count} {each.core}" for each in beside) or None,
            profile=", ".join(f"{may_be_on[each.core.lower()] or 'no'} {each.core}" for each in cpu.others) or "none",
            agrees=all(each.count <= may_be_on.get(each.core.lower(), 0) for each in beside) if beside else None,
        )
    stated = profile.device_tree
    yield Compared(
        name="board",
        host=machine.board,
        profile=" or ".join(stated) or None,
        agrees=any(_begins(machine.board, name) for name in stated) if machine.board and stated else None,
    )


def _on_x86(machine: MachineIdentity, profile: DeviceProfile) -> Iterator[Compared]:
    cpu, brand = profile.cpu, machine.cores[0].core if machine.cores else None
    yield Compared(
        name="processor",
        host=brand,
        profile=cpu.brand,
        agrees=_contains(brand, cpu.brand) if brand and cpu.brand else None,
    )
    yield _cores(machine.count, cpu.cores)
    # The kernel reports the turbo clock, and a profile may state the base clock: only a lower one contradicts.
    yield _clock_beside(machine.clock_hz, cpu.clock_hz, at_most=False)


def _cores(host: int, board: int) -> Compared:
    return Compared(
        name="cores", host=str(host) if host else None, profile=str(board), agrees=host == board if host else None
    )


def _clock_beside(host_hz: int | None, board_hz: int, *, at_most: bool) -> Compared:
    agrees = None
    if host_hz is not None:
        ratio = host_hz / board_hz
        agrees = ratio >= 1 - _CLOCK_TOLERANCE and (ratio <= 1 + _CLOCK_TOLERANCE or not at_most)
    return Compared(
        name="clock",
        host=format_hz(host_hz) if host_hz is not None else None,
        profile=format_hz(board_hz),
        agrees=agrees,
    )


def _begins(name: str, beginning: str) -> bool:
    """Return whether a name begins with these words: Raspberry Pi 400 does not begin with Raspberry Pi 4."""
    return re.match(rf"{re.escape(beginning)}(?!\w)", name) is not None


def _contains(brand: str, name: str) -> bool:
    """Return whether a brand string contains a processor's name as a word: Intel(R) N100 contains N100."""
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", brand, re.IGNORECASE) is not None
