"""Diagnose this host: what a run needs, what is missing, and the exact fix."""

import contextlib
import errno
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgesim import paths, profiles
from edgesim.boards import limit_probes
from edgesim.boards.limits import limits_of
from edgesim.counting import emulator as counting_emulator
from edgesim.engine import buildx, compose_project, docker_command, docker_engine, emulation, machine
from edgesim.engine.context import Context
from edgesim.engine.delegation import remedy
from edgesim.engine.engine_facts import EngineFacts
from edgesim.errors import BaseUnavailable, EdgesimError, EmulatorMissing, HostError, UsageError
from edgesim.host import binfmt, cache, cores, emulator, identity, proxies
from edgesim.host.identity import MachineIdentity
from edgesim.host.scratch import scratch_directory
from edgesim.images import rootfs, serving_image
from edgesim.jobs import worker_resources
from edgesim.profiles import DeviceProfile
from edgesim.progress import Stages
from edgesim.units import format_bytes

Status = Literal["ok", "optional", "problem"]

_OPTIONAL = {"counting": "edgesim count"}  # and the one command that needs each

# An arm64 image is 0.3 GB; building it holds the base, the packages and the layers at the same time.
_SPACE_NEEDED_BYTES = 2 << 30
_CONTAINERD = Path("/var/lib/containerd")  # its own root, where images are if containerd is a service of the system


@dataclass(frozen=True)
class Diagnosis:
    """One thing that a run needs, and its state on this host; `fix` is empty if nothing is missing.

    What is `optional` is missing, and one command alone needs it.
    """

    name: str
    status: Status
    finding: str
    fix: str = ""


def diagnose(context: Context) -> list[Diagnosis]:
    """Return all diagnoses, in the order in which a run needs the things."""
    checks: dict[str, Callable[[], str | None]] = {
        "system": lambda: commands_of(platform.system()),
        "cache": lambda: _cache(),
        "scratch": lambda: _scratch(),
        "cores": lambda: _cores(context),
        "engine": lambda: _engine(context),
        "machine": lambda: _machine(context),
        "limits": lambda: _limits(context),
        "docker": lambda: _docker_command(),
        "buildx": lambda: buildx.version(),
        "compose": lambda: f"{compose_project.version()}, for stacks",
        "emulation": lambda: _emulation(context),
        "counting": lambda: f"{counting_emulator.find()} instructions, for edgesim count",
        "base": lambda: _base(),
        "proxies": lambda: _proxies(),
        "worker": lambda: worker_command(context),
    }
    tried = (_try(name, check) for name, check in checks.items())
    return [*(diagnosis for diagnosis in tried if diagnosis is not None), _space(context)]


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
    directory = cache.made(paths.cache_directory())
    limits = limits_of(
        profile, host_cores=engine.facts.cores, host_memory_bytes=engine.facts.memory_bytes, files=[directory]
    )
    built = serving_image.build(engine, profile, stages)
    prober = limit_probes.Prober(engine, image=built.id, platform=f"linux/{profile.architecture}", limits=limits)
    findings = prober.probe(stages)
    limit_probes.record(engine.facts.title, limits, findings)
    return findings


def _try(name: str, check: Callable[[], str | None]) -> Diagnosis | None:
    """Return the diagnosis of one check; None if the check has nothing to look at, which another diagnosis reports."""
    try:
        finding = check()
    except EdgesimError as error:
        if name in _OPTIONAL:
            return Diagnosis(name, "optional", f"{error.problem}; {_OPTIONAL[name]} needs it", error.fix)
        return Diagnosis(name, "problem", error.problem, error.fix)
    return Diagnosis(name, "ok", finding) if finding is not None else None


def commands_of(system: str) -> str:
    """Return which commands run on an operating system, as `platform.system` names it."""
    if system == "Linux":
        return "Linux: every command runs here"
    name = {"Darwin": "macOS"}.get(system, system)
    return (
        f"{name}: predict, gate RESULT, report, compare, history, recommend, profiles and models run here; run, check, "
        "serve and gate of two models with an engine in a virtual machine, whose limits the server reads inside its "
        "container; up, stack and count need Linux"
    )


def _cache() -> str:
    directory = cache.made(paths.cache_directory())
    if not os.access(directory, os.W_OK | os.X_OK):
        raise cache.explain(PermissionError(errno.EACCES, os.strerror(errno.EACCES)), directory)
    return str(directory)


def _scratch() -> str:
    with scratch_directory() as directory:
        return str(Path(directory).parent)


def _cores(context: Context) -> str:
    own = f"{cores.usable()} for edgesim"
    try:
        return f"{own}, {docker_engine.Engine(context).facts.cores} for the engine's containers"
    except EdgesimError:  # the diagnosis of the engine reports it
        return own


def _engine(context: Context) -> str:
    facts = docker_engine.Engine(context).facts
    if facts.product != "Docker":
        raise HostError(
            f"{facts.title} in place of Docker: runs images that it has, and builds none, since it has no BuildKit",
            fix="bring edgesim's images: edgesim build PROFILE with Docker, on any machine; docker save IMAGE | podman "
            "load; or use a Docker Engine (DOCKER_HOST), or `engine=local`",
        )
    words = [facts.title, *([f"of {facts.setting}"] if facts.setting else []), *(["without root"] * facts.rootless)]
    if context.machine is not None:
        words[0] += f" on {facts.name}, {facts.architecture}"
    elif facts.own is not None:
        words.append("edgesim runs in a container of it: models are copied into volumes")
    elif not facts.on_this_host:
        words.append(f"in another machine or container ({facts.name})")
    return ", ".join([*words, f"{facts.cores} cores", format_bytes(facts.memory_bytes)])


def worker_command(context: Context, scheduler: str = worker_resources.ANY_SCHEDULER) -> str:
    """Return the command that starts a worker of Dask on this machine, which declares what the machine has."""
    boards: list[DeviceProfile] = []
    with contextlib.suppress(EdgesimError):  # without an engine, another machine tells nothing of itself
        boards = _boards(_identity(context))
    return worker_resources.command_line(
        worker_resources.of_host(context, {profile.name for profile in boards}), scheduler
    )


def _identity(context: Context) -> MachineIdentity:
    if context.machine is None:
        return identity.of_this_host()
    return machine.identity_of(engine := docker_engine.Engine(context), lambda: _any_image(engine))


def _boards(host: MachineIdentity) -> list[DeviceProfile]:
    """Return the profiles, in each power mode, whose board a machine is."""
    return [
        profile
        for name in profiles.names()
        for profile in _in_all_modes(profiles.load(name))
        if identity.compare(host, profile).is_the_board
    ]


def _machine(context: Context) -> str:
    """Return which machine runs boards, and the board that it is, if it is one."""
    host = _identity(context)
    boards = [profile.reference for profile in _boards(host)]
    if boards:
        return f"{host}; it is the board of {', '.join(boards)}, whose times are measured here"
    return f"{host}; no board of edgesim's profiles, so no board's time is measured here"


def _in_all_modes(profile: DeviceProfile) -> Iterator[DeviceProfile]:
    yield profile
    yield from (profile.in_mode(mode) for mode in profile.modes if mode != profile.mode)


def _any_image(engine: docker_engine.Engine) -> str | None:
    """Return a serving image for the engine's machine, if the engine has one."""
    for name in profiles.names():
        profile = profiles.load(name)
        if profile.architecture == engine.facts.architecture:
            reference = serving_image.reference_of(profile)
            if engine.images.id(reference) is not None:
                return reference
    return None


def _limits(context: Context) -> str | None:
    try:
        facts = docker_engine.Engine(context).facts
    except EdgesimError:
        return None
    return limits_of_engine(facts)


def limits_of_engine(facts: EngineFacts) -> str:
    """Return what an engine can limit.

    Raises:
        HostError: it lacks a limit, and something can be done.
    """
    limited = "memory, swap, CPU time and processes can be limited"
    if facts.unlimited == ("storage rates",) and not facts.rootless:  # of its kernel, and no run depends on them
        return f"{limited}, storage rates cannot; edgesim doctor --probe PROFILE tries them"
    if facts.unlimited:
        raise HostError(f"the engine cannot limit {', '.join(facts.unlimited)} on its host", fix=remedy(facts))
    return f"{limited}; edgesim doctor --probe PROFILE tries them"


def _docker_command() -> str | None:
    program = shutil.which("docker")
    if program is None:
        return None
    docker_command.require_scratch_seen()
    return program


def _emulation(context: Context) -> str:
    """Say by which emulator arm64 boards run in the engine's containers; without an engine, on this host."""
    try:
        engine = docker_engine.Engine(context)
    except EdgesimError:
        running = emulator.require("arm64")
    else:
        try:
            running = emulation.require(engine, "arm64")
        except EmulatorMissing:
            if context.machine is None:
                raise
            return f"not needed: {context} runs only {engine.facts.architecture} boards"
        if running is None and context.machine is not None:
            return f"not needed: {context} runs only {engine.facts.architecture} boards"
    if running is None:
        return "not needed: this host is arm64"
    if running.origin == "unknown":  # as a container of the engine tells
        return f"arm64 through {running} in the engine's containers"
    installed = emulator.installed_version()
    stale = f" (QEMU {installed} is installed but not registered)" if installed not in (None, running.version) else ""
    registration = binfmt.registration("arm64")
    # The kernel shows the path that the program had when it was registered: that of a file inside an image, too.
    by = " by a container image" if running.origin == "image" else ""
    registered = f", registered{by} as {registration}" if registration is not None else ""
    return f"arm64 through {running}{registered}{stale}"


def _base() -> str:
    if buildx.registry_has(serving_image.DEFAULT_BASE):
        return f"{serving_image.DEFAULT_BASE} from a registry"
    if shutil.which("mmdebstrap"):
        return f"no registry answers: Debian {rootfs.SUITE} packages through mmdebstrap"
    raise BaseUnavailable(
        "no registry answers, and mmdebstrap is not installed", fix=f"sudo {paths.engine_script()} install"
    )


def _proxies() -> str:
    """Say which proxies are set: downloads and builds use them, boards, health checks and loads never do."""
    own, configured = proxies.of(), docker_command.proxies()
    words = [f"{name}={url}" for name, url in own.items()]
    words += [f"docker's configuration sets {name}={url}" for name, url in configured.items() if name.isupper()]
    if not words:
        return "none"
    return f"{', '.join(words)}; for downloads and builds: no board, health check or load uses a proxy"


def _space(context: Context) -> Diagnosis:
    directories = []
    with contextlib.suppress(EdgesimError):  # the diagnoses of the cache and of the engine report it
        directories.append(paths.cache_directory())
    with contextlib.suppress(EdgesimError):
        if context.machine is None:
            facts = docker_engine.Engine(context).facts
            directories += [facts.storage, *([_CONTAINERD] if facts.in_containerd else [])]
    free, existing = min(
        (shutil.disk_usage(path).free, path) for path in map(_nearest_existing, directories or [Path.cwd()])
    )
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
