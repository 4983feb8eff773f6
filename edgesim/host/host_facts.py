"""This host, as the result file describes it."""

import os
import platform
from pathlib import Path

import psutil

from edgesim.engine.context import Context
from edgesim.engine.docker_engine import EngineFacts
from edgesim.results.run_result import HostSection
from edgesim.server import introspection


def describe(*, engine: str | None, emulator: str | None) -> HostSection:
    """Processor, memory and kernel, with the engine and the emulator that a run used."""
    cpuinfo = Path("/proc/cpuinfo")
    model = introspection.cpu_model(cpuinfo.read_text(errors="replace")) if cpuinfo.is_file() else None
    return HostSection(
        cpu=model or platform.processor() or platform.machine(),
        cores=cores(),
        memory_bytes=psutil.virtual_memory().total,
        kernel=f"{platform.system()} {platform.release()}",
        engine=engine,
        emulator=emulator,
    )


def of_engine(facts: EngineFacts, context: Context) -> HostSection:
    """Another machine, as far as its engine tells: of the processor it knows the architecture."""
    return HostSection(
        cpu=facts.architecture,
        cores=facts.cores,
        memory_bytes=facts.memory_bytes,
        kernel=f"Linux {facts.kernel}",
        engine=f"Docker {facts.version}",
        context=f"{context} ({facts.name})",
    )


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
