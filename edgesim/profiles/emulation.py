"""How QEMU emulates a board."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator

from edgesim.profiles import cores
from edgesim.profiles.cores import QemuCpu
from edgesim.profiles.cpu import CoreName
from edgesim.profiles.part import Part


class Emulation(Part):
    """How QEMU emulates the board.

    Attributes:
        qemu_cpu: the core that QEMU emulates (its QEMU_CPU).
        others: the same for the other clusters, by the names of their cores.
        wrong: in what the emulated core differs from the board's.
    """

    qemu_cpu: QemuCpu
    others: dict[CoreName, QemuCpu] = Field(default_factory=dict)
    wrong: tuple[str, ...] = ()

    @field_validator("others", mode="before")
    @classmethod
    def _each_core_once(cls, others: Any) -> Any:
        """Refuse two names of one core, of which a mapping would keep the last alone."""
        by_lower: dict[str, str] = {}
        for name in others if isinstance(others, Mapping) else ():
            other = by_lower.setdefault(str(name).lower(), name)
            if other != name:
                raise ValueError(f"emulation.others.{name}: differs from core {other!r} only in upper and lower case")
        return others

    def of(self, core: str) -> QemuCpu:
        """Return the core that QEMU emulates for a cluster."""
        return next((emulated for name, emulated in self.others.items() if cores.same(name, core)), self.qemu_cpu)
