"""Processor cores: one table with everything that edgesim knows of a core by its design.

A profile, a published figure or a message may write a core in any case: ``Cortex-A57`` is ``cortex-a57``. To add a
core, add a line here and one in `edgesim/server/introspection.py`; a test compares both tables. A core that is not in
the table is no error in a profile, but `edgesim.predict` declines it unless a calibration corrects the prediction. A
core of the table without a family gets the mean of all families, with a wider band and a note.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

# How a core executes arithmetic. Boards of one family differ as much by their memory, cooling and kernel.
CoreFamily = Literal["in order", "out of order, 128 bits", "out of order, twice 128 bits"]
FAMILIES: tuple[CoreFamily, ...] = ("in order", "out of order, 128 bits", "out of order, twice 128 bits")

_ARM, _FUJITSU, _NVIDIA = 0x41, 0x46, 0x4E


@dataclass(frozen=True, kw_only=True)
class Core:
    """A processor core by its design.

    Attributes:
        title: the vendor's spelling, as reports write the core: ``Cortex-A57``.
        implementer, part: fields of MIDR_EL1, as /proc/cpuinfo has them ("CPU implementer", "CPU part"). Sources:
            arch/arm64/include/asm/cputype.h of Linux, and sys-utils/lscpu-arm.c of util-linux.
        emulated: whether QEMU has a model of the core, by the core's `name`: `qemu-aarch64 -cpu help` of QEMU 10.0.
        family: how predictions compare the core's arithmetic; None for a core without a published figure.
    """

    title: str
    implementer: int
    part: int
    emulated: bool = False
    family: CoreFamily | None = None

    @property
    def name(self) -> str:
        """The canonical name, in lower case: ``cortex-a57``."""
        return self.title.lower()


CORES: tuple[Core, ...] = (
    Core(title="Cortex-A35", implementer=_ARM, part=0xD04, emulated=True, family="in order"),
    Core(title="Cortex-A53", implementer=_ARM, part=0xD03, emulated=True, family="in order"),
    Core(title="Cortex-A55", implementer=_ARM, part=0xD05, emulated=True, family="in order"),
    Core(title="Cortex-A57", implementer=_ARM, part=0xD07, emulated=True, family="out of order, 128 bits"),
    Core(title="Cortex-A72", implementer=_ARM, part=0xD08, emulated=True, family="out of order, 128 bits"),
    Core(title="Cortex-A73", implementer=_ARM, part=0xD09, family="out of order, 128 bits"),
    Core(title="Cortex-A75", implementer=_ARM, part=0xD0A, family="out of order, 128 bits"),
    Core(title="Cortex-A76", implementer=_ARM, part=0xD0B, emulated=True, family="out of order, twice 128 bits"),
    Core(title="Cortex-A77", implementer=_ARM, part=0xD0D, family="out of order, twice 128 bits"),
    Core(title="Cortex-A78", implementer=_ARM, part=0xD41, family="out of order, twice 128 bits"),
    Core(title="Cortex-A78AE", implementer=_ARM, part=0xD42, family="out of order, twice 128 bits"),
    Core(title="Cortex-A710", implementer=_ARM, part=0xD47, emulated=True),
    Core(title="Cortex-X1", implementer=_ARM, part=0xD44, family="out of order, twice 128 bits"),
    Core(title="Neoverse-N1", implementer=_ARM, part=0xD0C, emulated=True, family="out of order, twice 128 bits"),
    Core(title="Neoverse-N2", implementer=_ARM, part=0xD49, emulated=True),
    Core(title="Neoverse-V1", implementer=_ARM, part=0xD40, emulated=True),
    Core(title="Carmel", implementer=_NVIDIA, part=0x004, family="out of order, twice 128 bits"),
    Core(title="Denver2", implementer=_NVIDIA, part=0x003),
    Core(title="A64FX", implementer=_FUJITSU, part=0x001, emulated=True),
)
_BY_NAME = {core.name: core for core in CORES}
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


def of_midr(implementer: int, part: int) -> Core | None:
    """Return the core with these fields of MIDR_EL1; None for a core that is not in the table."""
    return _BY_MIDR.get((implementer, part))


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
