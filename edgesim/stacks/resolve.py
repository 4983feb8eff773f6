"""Resolve a stack: its profile and limits, its models, and the name of each service's image."""

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgesim import paths, profiles
from edgesim.boards import placement
from edgesim.boards.limits import Limits, limits_of
from edgesim.delivery import contents, readable, symlinks
from edgesim.delivery.deliver import model_mounts
from edgesim.engine import build_context
from edgesim.engine.mounts import Mount, VolumeMount
from edgesim.errors import ModelError, StackError, UsageError
from edgesim.host import identity
from edgesim.host.emulator import host_architecture
from edgesim.host.identity import Comparison
from edgesim.images import debian, pins, rootfs, runtime_releases, serving_image
from edgesim.images.debian import Packages
from edgesim.images.edgesim_image import EdgesimImage
from edgesim.images.runtime_releases import RuntimeRelease
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import Execution
from edgesim.profiles import DeviceProfile
from edgesim.stacks import gpu_services
from edgesim.stacks.service import ME, Build, Service
from edgesim.stacks.stack import Stack
from edgesim.units import format_bytes


@dataclass(frozen=True, kw_only=True)
class ResolvedService:
    """One service, with everything that it needs.

    Attributes:
        spec: the service as the stack file has it.
        architecture: the board's; the host's for a service beside the board.
        execution: the board's; ``host`` for a service beside the board.
        image: name of the image, which `edgesim.stacks.service_images` builds or finds.
        models: models of edgesim's own server; `mounts` bring them into the container.
        packages: the Debian packages that the image consists of; None for another image.
        runtime: the release of ONNX Runtime in edgesim's serving image; None for another image.
        memory_bytes, cpus: the service's own limits, or the board's; or the host's for a service beside the board.
        threads: threads of one inference.
        board_cores: the most threads that a model's configuration may ask for.
        gpus: whether the container is to have the GPUs of the machine.
        precision: in which edgesim's own server runs models on a GPU; None means the processor.
    """

    name: str
    spec: Service
    architecture: str
    execution: Execution
    image: str
    models: Sequence[Model] = ()
    mounts: Sequence[Mount | VolumeMount] = ()
    packages: Packages | None = None
    runtime: RuntimeRelease | None = None
    memory_bytes: int
    cpus: float
    threads: int
    board_cores: int
    gpus: bool = False
    precision: str | None = None


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A stack that can be rendered and brought up.

    Attributes:
        source: the stack file; None for a stack that was made in Python.
        comparison: this host, on which stacks run, beside the board.
        shortfalls: sentences that say what the board has and a stack on this host has not.
    """

    stack: Stack
    source: Path | None
    profile: DeviceProfile
    limits: Limits
    execution: Execution
    comparison: Comparison
    services: Mapping[str, ResolvedService]
    shortfalls: Sequence[str]

    @property
    def name(self) -> str:
        return self.stack.name

    @property
    def on_board(self) -> Mapping[str, ResolvedService]:
        """The services on the board, in the order of their starts."""
        return {name: self.services[name] for name in self.stack.order if not self.services[name].spec.beside}

    @property
    def beside(self) -> Mapping[str, ResolvedService]:
        """The services beside the board, in the order of their starts."""
        return {name: self.services[name] for name in self.stack.order if self.services[name].spec.beside}

    @property
    def overcommit(self) -> str | None:
        """A sentence that says by how much the services' own limits exceed the board's memory; None if they do not."""
        limited = [
            service for service in self.on_board.values() if service.spec.memory is not None and not service.spec.once
        ]
        total_bytes = sum(service.memory_bytes for service in limited)
        if total_bytes <= self.limits.memory_bytes:
            return None
        return (
            f"memory: the services' own limits add up to {format_bytes(total_bytes)}, "
            f"{format_bytes(total_bytes - self.limits.memory_bytes)} more than the board has"
        )


def resolve(
    stack: Stack, *, source: Path | None = None, host_cores: int, host_memory_bytes: int, base: str | None = None
) -> Resolved:
    """Resolve a stack without building or starting anything.

    Args:
        base: the image that the serving image is built on.

    Raises:
        UsageError: a profile, a model or a mounted file does not exist, or a service's limit exceeds the board's.
        HostError: the container's user may not read a model.
    """
    try:
        return _resolved(stack, source, host_cores, host_memory_bytes, base)
    except StackError as error:
        if source is None:
            raise
        raise StackError(f"{source}: {error.problem}", fix=error.fix) from error


def _resolved(stack: Stack, source: Path | None, host_cores: int, host_memory_bytes: int, base: str | None) -> Resolved:
    board = profiles.load(stack.profile)
    limits = limits_of(board, host_cores=host_cores, host_memory_bytes=host_memory_bytes)
    shortfalls = list(limits.without_shortfall("storage rate").shortfalls)
    if any(storage.read_bytes_per_s for storage in board.storage):
        shortfalls.append("storage rate: not limited for a stack")
    if board.network is not None:
        shortfalls.append("network: not limited for a stack")
    comparison = placement.compare(board, identity.of_this_host, engine_architecture=host_architecture())
    limits = replace(limits, read_bytes_per_s=None, storage_device=None, network=None, shortfalls=tuple(shortfalls))
    execution = placement.by_itself(board, comparison)
    on_board = _Machine(
        words="the board",
        architecture=board.architecture,
        execution=execution,
        cores=board.cpu.cores,
        cpus=limits.cpus,
        memory_bytes=limits.memory_bytes,
        threads=limits.intra_op_threads,
    )
    beside = _Machine(
        words="this host",
        architecture=host_architecture(),
        execution="host",
        cores=host_cores,
        cpus=host_cores,
        memory_bytes=host_memory_bytes,
        threads=host_cores,
    )
    return Resolved(
        stack=stack,
        source=source,
        profile=board,
        limits=limits,
        execution=execution,
        comparison=comparison,
        services={
            name: _resolve_service(stack, name, board, beside if service.beside else on_board, base)
            for name, service in stack.services.items()
        },
        shortfalls=shortfalls,
    )


@dataclass(frozen=True, kw_only=True)
class _Machine:
    """What runs a service: the simulated board, or this host for a service beside the board.

    Attributes:
        words: the machine in a message.
        cores: the cores that the machine itself has.
        cpus, memory_bytes: the most that a service gets.
        threads: the most threads of one inference.
    """

    words: str
    architecture: str
    execution: Execution
    cores: int
    cpus: float
    memory_bytes: int
    threads: int


def _resolve_service(
    stack: Stack, name: str, board: DeviceProfile, machine: _Machine, base: str | None
) -> ResolvedService:
    service = stack.services[name]
    cpus = _cpus(name, service, machine)
    memory_bytes = _memory(name, service, machine)
    _check_mounts(name, service)
    models = [_model(name, service, reference) for reference in service.models or ()]
    packages, runtime = _packages(service, machine), _runtime(name, service, board)
    has_gpus = gpu_services.has_gpus(name, service, board)
    return ResolvedService(
        name=name,
        spec=service,
        architecture=machine.architecture,
        execution=machine.execution,
        image=_image(stack, name, board, machine, packages, base, runtime),
        models=models,
        mounts=_model_mounts(service, models, board),
        packages=packages,
        runtime=runtime,
        memory_bytes=memory_bytes,
        cpus=cpus,
        threads=min(machine.threads, max(1, math.ceil(cpus))),
        board_cores=math.ceil(service.cpus) if service.cpus is not None else machine.cores,
        gpus=has_gpus,
        precision=gpu_services.precision(service, board) if has_gpus else None,
    )


def _cpus(name: str, service: Service, machine: _Machine) -> float:
    if service.cpus is None:
        return machine.cpus
    if service.cpus > machine.cores:
        raise StackError(
            f"services.{name}.cpus: {service.cpus:g} is more than {machine.words} has: {machine.cores}",
            fix="give the service less, or no limit",
        )
    return min(service.cpus, machine.cpus)


def _memory(name: str, service: Service, machine: _Machine) -> int:
    if service.memory is None:
        return machine.memory_bytes
    if service.memory > machine.memory_bytes:
        raise StackError(
            f"services.{name}.memory: {format_bytes(service.memory)} is more than {machine.words} has: "
            f"{format_bytes(machine.memory_bytes)}",
            fix="give the service less, or no limit",
        )
    return int(service.memory)


def _check_mounts(name: str, service: Service) -> None:
    for mount in (*service.mounts, *((service.watch,) if service.watch is not None else ())):
        # The engine would create a missing directory, owned by root.
        if mount.bind is not None and not paths.exists(mount.bind):
            key = "watch" if mount is service.watch else "mounts"
            raise StackError(f"services.{name}.{key}: {mount.bind}: does not exist", fix=f"mkdir -p {mount.bind}")
    if service.build is None:
        return
    for file in (service.build.dockerfile, service.build.requirements):
        if file is not None and not paths.is_file(service.build.context / file):
            raise StackError(f"services.{name}.build: {service.build.context / file}: no such file")


def _model(name: str, service: Service, reference: str) -> Model:
    try:
        return repository.find(reference, service.repository)
    except ModelError as error:
        raise StackError(f"services.{name}.models: {error.problem}", fix=error.fix) from error


def _packages(service: Service, machine: _Machine) -> Packages | None:
    if service.packages is None:
        return None
    directories = [mount.at for mount in service.mounts if mount.writable and mount.volume is not None]
    return Packages(architecture=machine.architecture, packages=service.packages, writable=directories)


def _runtime(name: str, service: Service, board: DeviceProfile) -> RuntimeRelease | None:
    if not service.has_server_image:
        return None
    try:
        return runtime_releases.of_board(board, service.runtime).release
    except UsageError as error:
        raise StackError(f"services.{name}.runtime: {error.problem}", fix=error.fix) from error


def _image(
    stack: Stack,
    name: str,
    board: DeviceProfile,
    machine: _Machine,
    packages: Packages | None,
    base: str | None,
    runtime: RuntimeRelease | None,
) -> str:
    service = stack.services[name]
    if packages is not None:
        return packages.reference
    if service.build is not None:
        digest = _digest(name, service.build, machine.architecture)
        return f"edgesim/stack:{stack.name}-{name}-{machine.architecture}-{digest[:12]}"
    if service.image is not None:
        return service.image
    return serving_image.reference_of(board, architecture=machine.architecture, base_image=base, runtime=runtime)


def edgesim_image(name: str, build: Build, architecture: str) -> EdgesimImage | None:
    """Return edgesim's own image that a service's image is built on; None if it is built on another one.

    Raises:
        StackError: edgesim has no such extra.
    """
    if build.edgesim is None:
        return None
    try:
        extras = pins.parse_extras(",".join(build.edgesim)) if build.edgesim else ()
    except UsageError as error:
        raise StackError(f"services.{name}.build.edgesim: {error.problem}", fix=error.fix) from error
    return EdgesimImage(architecture=architecture, extras=extras)


def _digest(name: str, build: Build, architecture: str) -> str:
    """Return the digest of all that decides what is built: a service is built again when the digest is another one."""
    try:
        context = build_context.digest(build.context, build.dockerfile)
    except OSError as error:
        raise StackError(f"services.{name}.build: {error.filename}: {error.strerror}") from error
    own = edgesim_image(name, build, architecture)
    on = own.reference if own is not None else None
    facts = (
        context,
        str(build.dockerfile),
        sorted(build.args.items()),
        build.base,
        build.requirements,
        architecture,
        on,
    )
    return hashlib.sha256(repr((facts, rootfs.SUITE, rootfs.LAYOUT)).encode()).hexdigest()


def _model_mounts(service: Service, models: Sequence[Model], board: DeviceProfile) -> Sequence[Mount | VolumeMount]:
    mount_point = board.image.mount_point
    mounts = [mount for each in models for mount in model_mounts(each, mount_point)]
    if service.watch is not None and service.watch.bind is not None:
        mounts = [Mount(service.watch.bind, mount_point)]
    if service.mount == "bind":
        with_targets = symlinks.with_targets(mounts)
        user = f"{os.getuid()}:{os.getgid()}" if service.user == ME else service.user or debian.USER
        if user.partition(":")[0] != "0":  # in a rootless engine, user 0 is the one who runs edgesim
            readable.require(with_targets, user, repository=mount_point)
        return with_targets
    return [VolumeMount(f"edgesim-{contents.of(mounts, mount_point).digest[:12]}", mount_point)]
