"""Processor cores: one table with everything that edgesim knows of a core by its design.

A profile, a published figure or a message may write a core in any case: ``Cortex-A57`` is ``cortex-a57``. To add an
arm64 core, add a line here and one in `edgesim/server/introspection.py`; a test compares both tables. A core that is
not in the table is no error in a profile, but `edgesim.predict` declines it unless a calibration corrects the
prediction. A core of the table without a family gets the mean of all families, with a wider band and a note.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

# How a core executes arithmetic. Boards of one family differ as much by their memory, cooling and kernel.
CoreFamily = Literal["in order", "out of order, 128 bits", "out of order, twice 128 bits"]
FAMILIES: tuple[CoreFamily, ...] = ("in order", "out of order, 128 bits", "out of order, twice 128 bits")

Architecture = Literal["arm64", "amd64"]

_ARM, _FUJITSU, _NVIDIA = 0x41, 0x46, 0x4E
_INTEL = "GenuineIntel"


@dataclass(frozen=True, kw_only=True)
class Core:
    """A processor core by its design.

    Attributes:
        title: the vendor's spelling, as reports write the core: ``Cortex-A57``.
        family: how predictions compare the core's arithmetic; None for a core without a published figure.
    """

    architecture: ClassVar[Architecture]

    title: str
    family: CoreFamily | None = None

    @property
    def name(self) -> str:
        """The canonical name, in lower case: ``cortex-a57``."""
        return self.title.lower()


@dataclass(frozen=True, kw_only=True)
class ArmCore(Core):
    """A core of arm64.

    Attributes:
        implementer, part: fields of MIDR_EL1, as /proc/cpuinfo has them ("CPU implementer", "CPU part"). Sources:
            arch/arm64/include/asm/cputype.h of Linux, and sys-utils/lscpu-arm.c of util-linux.
        emulated: whether QEMU has a model of the core, by the core's `name`: `qemu-aarch64 -cpu help` of QEMU 10.0.
    """

    architecture: ClassVar[Architecture] = "arm64"

    implementer: int
    part: int
    emulated: bool = False


@dataclass(frozen=True, kw_only=True)
class X86Core(Core):
    """A core of amd64. No published figure that predictions use is of one.

    Attributes:
        vendor: vendor of CPUID: ``GenuineIntel``.
        cpuid: family and model of CPUID, as /proc/cpuinfo has them ("cpu family", "model"), one pair for each chip with
            the core. A chip with cores of two designs is not listed, since both have one model. Source:
            arch/x86/include/asm/intel-family.h of Linux.
    """

    architecture: ClassVar[Architecture] = "amd64"

    vendor: str
    cpuid: tuple[tuple[int, int], ...]


CORES: tuple[ArmCore, ...] = (
    ArmCore(title="Cortex-A35", implementer=_ARM, part=0xD04, emulated=True, family="in order"),
    ArmCore(title="Cortex-A53", implementer=_ARM, part=0xD03, emulated=True, family="in order"),
    ArmCore(title="Cortex-A55", implementer=_ARM, part=0xD05, emulated=True, family="in order"),
    ArmCore(title="Cortex-A57", implementer=_ARM, part=0xD07, emulated=True, family="out of order, 128 bits"),
    ArmCore(title="Cortex-A72", implementer=_ARM, part=0xD08, emulated=True, family="out of order, 128 bits"),
    ArmCore(title="Cortex-A73", implementer=_ARM, part=0xD09, family="out of order, 128 bits"),
    ArmCore(title="Cortex-A75", implementer=_ARM, part=0xD0A, family="out of order, 128 bits"),
    ArmCore(title="Cortex-A76", implementer=_ARM, part=0xD0B, emulated=True, family="out of order, twice 128 bits"),
    ArmCore(title="Cortex-A77", implementer=_ARM, part=0xD0D, family="out of order, twice 128 bits"),
    ArmCore(title="Cortex-A78", implementer=_ARM, part=0xD41, family="out of order, twice 128 bits"),
    ArmCore(title="Cortex-A78AE", implementer=_ARM, part=0xD42, family="out of order, twice 128 bits"),
    ArmCore(title="Cortex-A710", implementer=_ARM, part=0xD47, emulated=True),
    ArmCore(title="Cortex-X1", implementer=_ARM, part=0xD44, family="out of order, twice 128 bits"),
    ArmCore(title="Neoverse-N1", implementer=_ARM, part=0xD0C, emulated=True, family="out of order, twice 128 bits"),
    ArmCore(title="Neoverse-N2", implementer=_ARM, part=0xD49, emulated=True),
    ArmCore(title="Neoverse-V1", implementer=_ARM, part=0xD40, emulated=True),
    ArmCore(title="Neoverse-V3AE", implementer=_ARM, part=0xD83),
    ArmCore(title="Carmel", implementer=_NVIDIA, part=0x004, family="out of order, twice 128 bits"),
    ArmCore(title="Denver2", implementer=_NVIDIA, part=0x003),
    ArmCore(title="A64FX", implementer=_FUJITSU, part=0x001, emulated=True),
)
X86_CORES: tuple[X86Core, ...] = (
    X86Core(title="Goldmont", vendor=_INTEL, cpuid=((6, 0x5C), (6, 0x5F))),
    X86Core(title="Goldmont Plus", vendor=_INTEL, cpuid=((6, 0x7A),)),
    X86Core(title="Tremont", vendor=_INTEL, cpuid=((6, 0x86), (6, 0x96), (6, 0x9C))),
    X86Core(title="Gracemont", vendor=_INTEL, cpuid=((6, 0xBE),)),
)
_BY_NAME: dict[str, Core] = {core.name: core for core in (*CORES, *X86_CORES)}
_BY_CPUID = {(core.vendor, *cpuid): core for core in X86_CORES for cpuid in core.cpuid}
_BY_MIDR = {(core.implementer, core.part): core for core in CORES}

# The core of a profile that is as fast as whatever host runs it: the profile has limits, and no processor of its own.
HOST = "host"

# The models of a core that QEMU_CPU may name. ``max`` is not a core: it is QEMU's CPU with every feature that QEMU has.
if TYPE_CHECKING:
    QemuCpu = str
else:
    QemuCpu = Literal[tuple(sorted(["max", *(core.name for core in CORES if core.emulated)]))]


def find(name: str) -> Core | None:
    """Return the core of that name in any case; None for a core that is not in the table."""
    return _BY_NAME.get(name.lower())


def of_midr(implementer: int, part: int) -> ArmCore | None:
    """Return the core with these fields of MIDR_EL1; None for a core that is not in the table."""
    return _BY_MIDR.get((implementer, part))


def of_cpuid(vendor: str, family: int, model: int) -> X86Core | None:
    """Return the core of the x86 processors with these fields of CPUID; None for a core that is not in the table."""
    return _BY_CPUID.get((vendor, family, model))


def title(name: str) -> str:
    """Return the vendor's spelling of a core; a name that is not in the table is returned as it is."""
    core = find(name)
    return core.title if core is not None else name


def same(one: str, other: str) -> bool:
    """Return whether two names, each in any case, are of one core."""
    return one.lower() == other.lower()


def family(name: str) -> CoreFamily | None:
    """Return the family of a core; None for a core that is not in the table, or without a published figure."""
    core = find(name)
    return core.family if core is not None else None
