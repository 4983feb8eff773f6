"""Diagnose this host: what a run needs, what is missing, and the exact fix."""

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgesim import paths
from edgesim.boards import limit_probes
from edgesim.boards.limits import limits_of
from edgesim.engine import buildx, compose_project, docker_engine, emulation
from edgesim.engine.context import Context
from edgesim.errors import EdgesimError, UsageError
from edgesim.host import binfmt, emulator
from edgesim.images import rootfs, serving_image
from edgesim.profiles import DeviceProfile
from edgesim.progress import Stages
from edgesim.units import format_bytes

Status = Literal["ok", "problem"]

# An arm64 image is 0.3 GB; building it holds the base, the packages and the layers at the same time.
_SPACE_NEEDED_BYTES = 2 << 30


@dataclass(frozen=True)
class Diagnosis:
    """One thing that a run needs, and its state on this host; `fix` is empty if nothing is wrong."""

    name: str
    status: Status
    finding: str
    fix: str = ""


def diagnose(context: Context) -> list[Diagnosis]:
    """Return all diagnoses, in the order in which a run needs the things."""
    return [
        _try("engine", lambda: _engine(context)),
        _try("buildx", lambda: buildx.version()),
        _try("compose", lambda: f"{compose_project.version()}, for stacks"),
        _try("emulation", _emulation if context.machine is None else lambda: _not_emulated(context)),
        _base(),
        _space(context),
    ]


def probe(profile: DeviceProfile, context: Context, stages: Stages) -> list[limit_probes.Finding]:
    """Try whether this host enforces a board's limits, and remember the findings for the results of later runs.

    Raises:
        UsageError: the engine is on another machine.
        HostError: there is no engine or no emulator; DeviceError: the image cannot be built.
    """
    if context.machine is not None:
        raise UsageError(f"probing tries the limits of this host; {context} is another machine", fix="run it there")
    engine = docker_engine.Engine(context)
    core = profile.emulation.qemu_cpu if profile.emulation is not None else None
    emulation.require(engine, profile.architecture, core)
    cache = paths.cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    limits = limits_of(
        profile, host_cores=engine.facts.cores, host_memory_bytes=engine.facts.memory_bytes, files=[cache]
    )
    built = serving_image.build(engine, profile, stages)
    prober = limit_probes.Prober(engine, image=built.id, platform=f"linux/{profile.architecture}", limits=limits)
    findings = prober.probe(stages)
    limit_probes.record(f"Docker {engine.facts.version}", limits, findings)
    return findings


def _try(name: str, check: Callable[[], str]) -> Diagnosis:
    try:
        return Diagnosis(name, "ok", check())
    except EdgesimError as error:
        return Diagnosis(name, "problem", error.problem, error.fix)


def _engine(context: Context) -> str:
    facts = docker_engine.Engine(context).facts
    machine = f" on {facts.name}, {facts.architecture}" if context.machine is not None else ""
    return f"Docker {facts.version}{machine}, {facts.cores} cores, {format_bytes(facts.memory_bytes)}"


def _not_emulated(context: Context) -> str:
    return f"not needed: {context} runs only {docker_engine.Engine(context).facts.architecture} boards"


def _emulation() -> str:
    running = emulator.require("arm64")
    if running is None:
        return "not needed: this host is arm64"
    installed = emulator.installed_version()
    stale = f" (QEMU {installed} is installed but not registered)" if installed not in (None, running.version) else ""
    registration = binfmt.registration("arm64")
    # The kernel shows the path that the program had when it was registered: that of a file inside an image, too.
    by = " by a container image" if running.origin == "image" else ""
    registered = f", registered{by} as {registration}" if registration is not None else ""
    return f"arm64 through {running}{registered}{stale}"


def _base() -> Diagnosis:
    if buildx.registry_has(serving_image.DEFAULT_BASE):
        return Diagnosis("base", "ok", f"{serving_image.DEFAULT_BASE} from a registry")
    if shutil.which("mmdebstrap"):
        return Diagnosis("base", "ok", f"no registry answers: Debian {rootfs.SUITE} packages through mmdebstrap")
    return Diagnosis(
        "base",
        "problem",
        "no registry answers, and mmdebstrap is not installed",
        f"sudo {paths.engine_script()} install",
    )


def _space(context: Context) -> Diagnosis:
    directories = [paths.cache_directory()]
    with contextlib.suppress(EdgesimError):  # the diagnosis of the engine reports it
        if context.machine is None:
            directories.append(docker_engine.Engine(context).facts.storage)
    free, existing = min((shutil.disk_usage(path).free, path) for path in map(_nearest_existing, directories))
    if free < _SPACE_NEEDED_BYTES:
        needed = format_bytes(_SPACE_NEEDED_BYTES)
        return Diagnosis(
            "disk",
            "problem",
            f"{format_bytes(free)} free at {existing}; building an image takes up to {needed}",
            f"free some space: df -h {existing}; docker system df",
        )
    return Diagnosis("disk", "ok", f"{format_bytes(free)} free at {existing}")


def _nearest_existing(path: Path) -> Path:
    return next(candidate for candidate in (path, *path.parents) if candidate.exists())
