"""Every check of a run, beforehand: what this host can do, and the exact fix for what it cannot."""

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgesim import paths
from edgesim.boards import limit_probes
from edgesim.boards import limits as budget
from edgesim.engine import buildx, compose_project, docker_engine
from edgesim.engine.context import Context
from edgesim.errors import EdgesimError, UsageError
from edgesim.host import emulator
from edgesim.images import rootfs, serving_image
from edgesim.profiles import DeviceProfile
from edgesim.progress import Stages
from edgesim.units import format_bytes

Status = Literal["ok", "problem"]

# An arm64 image is 0.3 GB; building it holds the base, the packages and the layers at the same time.
_SPACE_NEEDED_BYTES = 2 << 30


@dataclass(frozen=True)
class Check:
    """One finding. `fix` is empty where nothing is wrong."""

    name: str
    status: Status
    finding: str
    fix: str = ""


def examine(where: Context) -> list[Check]:
    """All checks, in the order in which a run would meet them."""
    return [
        _try("engine", lambda: _engine(where)),
        _try("buildx", lambda: buildx.version()),
        _try("compose", lambda: f"{compose_project.version()}, for stacks"),
        _try("emulation", _emulation if where.machine is None else lambda: _not_emulated(where)),
        _base(),
        _space(where),
    ]


def probe(profile: DeviceProfile, where: Context, stages: Stages) -> list[limit_probes.Finding]:
    """Try whether a board's limits hold on this host, and remember it for the results of later runs.

    Raises:
        UsageError: the engine is on another machine.
        HostError: there is no engine or no emulator; DeviceError: the image cannot be built.
    """
    if where.machine is not None:
        raise UsageError(f"--probe: tries the limits of this host; {where} is another", fix="run it there")
    engine = docker_engine.Engine(where)
    core = profile.emulation.qemu_cpu if profile.emulation is not None else None
    emulator.require(profile.architecture, core, native=engine.facts.architecture)
    cache = paths.cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    limits = budget.plan(
        profile, host_cores=engine.facts.cores, host_memory_bytes=engine.facts.memory_bytes, files=[cache]
    )
    built = serving_image.ensure(engine, profile, stages)
    prober = limit_probes.Prober(engine, image=built.id, platform=f"linux/{profile.architecture}", budget=limits)
    findings = prober.probe(stages)
    limit_probes.record(f"Docker {engine.facts.version}", limits, findings)
    return findings


def _try(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, "ok", check())
    except EdgesimError as error:
        return Check(name, "problem", error.problem, error.fix)


def _engine(where: Context) -> str:
    facts = docker_engine.Engine(where).facts
    there = f" on {facts.name}, {facts.architecture}" if where.machine is not None else ""
    return f"Docker {facts.version}{there}, {facts.cores} cores, {format_bytes(facts.memory_bytes)}"


def _not_emulated(where: Context) -> str:
    return f"not needed: {where} runs {docker_engine.Engine(where).facts.architecture} boards, and no others"


def _emulation() -> str:
    found = emulator.require("arm64")
    if found is None:
        return "not needed: this host is arm64"
    installed = emulator.installed_version()
    stale = f" (QEMU {installed} is installed but not registered)" if installed not in (None, found.version) else ""
    return f"arm64 through {found}{stale}"


def _base() -> Check:
    if buildx.registry_has(serving_image.DEFAULT_BASE):
        return Check("base", "ok", f"{serving_image.DEFAULT_BASE} from a registry")
    if shutil.which("mmdebstrap"):
        return Check("base", "ok", f"no registry answers: Debian {rootfs.SUITE} packages through mmdebstrap")
    return Check(
        "base",
        "problem",
        "no registry answers, and mmdebstrap is not installed",
        f"sudo {paths.engine_script()} install",
    )


def _space(where: Context) -> Check:
    places = [paths.cache_directory()]
    with contextlib.suppress(EdgesimError):  # the engine's own check says it
        if where.machine is None:
            places.append(docker_engine.Engine(where).facts.storage)
    free, existing = min((shutil.disk_usage(path).free, path) for path in map(_nearest_existing, places))
    if free < _SPACE_NEEDED_BYTES:
        needed = format_bytes(_SPACE_NEEDED_BYTES)
        return Check(
            "disk",
            "problem",
            f"{format_bytes(free)} free at {existing}; building an image takes up to {needed}",
            f"free some space: df -h {existing}; docker system df",
        )
    return Check("disk", "ok", f"{format_bytes(free)} free at {existing}")


def _nearest_existing(path: Path) -> Path:
    return next(candidate for candidate in (path, *path.parents) if candidate.exists())
