"""Facts of the machine that runs the board: processor, memory, kernel, engine and emulator."""

import platform
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from edgesim.host.cores import count as count_cores
from edgesim.host.identity import Compared, Comparison
from edgesim.server import introspection


@dataclass(frozen=True, kw_only=True)
class HostFacts:
    """The machine that runs the board.

    Attributes:
        cpu: name of the processor, or its architecture if the name is not known.
        cores: number of cores that the board may be given: the engine's, or without one those that edgesim may use.
        kernel: name and release, such as ``Linux 6.8.0``.
        engine: name and version of the engine; None without one.
        emulator: name and version of the emulator that ran the board; None without one.
        context: docker context and machine name, if the machine is another one than the one that measured.
        same_architecture: whether the machine runs the board's programs itself; None if nothing was compared.
        is_the_board: whether the machine has proven to be the board.
        compared: each property of the machine that was compared with the board's.
    """

    cpu: str
    cores: int
    memory_bytes: int
    kernel: str
    engine: str | None = None
    emulator: str | None = None
    context: str | None = None
    same_architecture: bool | None = None
    is_the_board: bool | None = None
    compared: tuple[Compared, ...] = ()

    def beside(self, board: Comparison) -> "HostFacts":
        """Return these facts with the machine's comparison with a board."""
        return replace(
            self,
            same_architecture=board.same_architecture,
            is_the_board=board.is_the_board,
            compared=board.compared,
        )


def describe(*, engine: str | None, emulator: str | None, cores: int | None = None) -> HostFacts:
    """Return the facts of this machine, with the engine and the emulator that a run used.

    Args:
        cores: the engine's; None means those that edgesim may use itself.
    """
    cpuinfo = Path("/proc/cpuinfo")
    model = introspection.cpu_model(cpuinfo.read_text(errors="replace")) if cpuinfo.is_file() else None
    return HostFacts(
        cpu=model or platform.processor() or platform.machine(),
        cores=cores if cores is not None else count_cores(),
        memory_bytes=psutil.virtual_memory().total,
        kernel=f"{platform.system()} {platform.release()}",
        engine=engine,
        emulator=emulator,
    )
