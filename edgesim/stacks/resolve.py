"""A stack with all that it names found: the board and its budget, the models, and each service's image by its name."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgesim import profiles
from edgesim.boards.limits import Budget, plan
from edgesim.delivery import contents, symlinks
from edgesim.delivery.deliver import model_mounts
from edgesim.engine.mounts import Mount, VolumeMount
from edgesim.errors import ModelError, StackError
from edgesim.host.emulator import host_architecture
from edgesim.images import serving_image
from edgesim.images.debian import Packages
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import Execution
from edgesim.profiles import DeviceProfile
from edgesim.stacks.stack import Service, Stack
from edgesim.units import format_bytes


@dataclass(frozen=True, kw_only=True)
class Part:
    """One service, with what it is made from.

    Attributes:
        image: its image's name, which `edgesim.stacks.service_images` sees to.
        models: those of edgesim's own server, and `mounts` what brings them in.
        packages: what its image is made of, where it is Debian's.
        memory_bytes, cpus: its own limits, the board's where it has none.
        threads: of one inference.
    """

    name: str
    service: Service
    image: str
    models: Sequence[Model] = ()
    mounts: Sequence[Mount | VolumeMount] = ()
    packages: Packages | None = None
    memory_bytes: int
    cpus: float
    threads: int


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A stack that can be rendered, and brought up.

    `source` is its file; `shortfalls` say in sentences what the board has and a stack on this host does not.
    """

    stack: Stack
    source: Path | None
    profile: DeviceProfile
    budget: Budget
    execution: Execution
    parts: Mapping[str, Part]
    shortfalls: Sequence[str]

    @property
    def name(self) -> str:
        return self.stack.name

    @property
    def overcommit(self) -> str | None:
        """In a sentence, by how much the services' own limits exceed the board's memory; None where they do not."""
        limited = [part for part in self.parts.values() if part.service.memory is not None and not part.service.once]
        together = sum(part.memory_bytes for part in limited)
        if together <= self.budget.memory_bytes:
            return None
        return (
            f"memory: the services' own limits add up to {format_bytes(together)}, "
            f"{format_bytes(together - self.budget.memory_bytes)} more than the board has"
        )


def resolve(
    stack: Stack, *, source: Path | None = None, host_cores: int, host_memory_bytes: int, base: str | None = None
) -> Resolved:
    """Find all that a stack names; nothing is made.

    Args:
        base: the image that the serving image is built on.

    Raises:
        UsageError: a profile, a model or a mounted file is not there, or a service may take more than the board has.
    """
    try:
        return _resolved(stack, source, host_cores, host_memory_bytes, base)
    except StackError as error:
        if source is None:
            raise
        raise StackError(f"{source}: {error.problem}", fix=error.fix) from error


def _resolved(stack: Stack, source: Path | None, host_cores: int, host_memory_bytes: int, base: str | None) -> Resolved:
    board = profiles.load(stack.profile)
    budget = plan(board, host_cores=host_cores, host_memory_bytes=host_memory_bytes)
    shortfalls = [sentence for sentence in budget.shortfalls if not sentence.startswith("storage rate")]
    if any(storage.read_bytes_per_s for storage in board.storage):
        shortfalls.append("storage rate: not limited for a stack")
    if board.network is not None:
        shortfalls.append("network: not limited for a stack")
    budget = replace(budget, read_bytes_per_s=None, storage_device=None, network=None, shortfalls=tuple(shortfalls))
    return Resolved(
        stack=stack,
        source=source,
        profile=board,
        budget=budget,
        execution="native" if board.architecture == host_architecture() else "emulated",
        parts={name: _part(stack, name, board, budget, base) for name in stack.services},
        shortfalls=shortfalls,
    )


def _part(stack: Stack, name: str, board: DeviceProfile, budget: Budget, base: str | None) -> Part:
    service = stack.services[name]
    cpus = _cpus(name, service, board, budget)
    memory_bytes = _memory(name, service, budget)
    _check_mounts(name, service)
    models = [_model(name, service, reference) for reference in service.models or ()]
    packages = _packages(service, board)
    return Part(
        name=name,
        service=service,
        image=_image(stack, name, board, packages, base),
        models=models,
        mounts=_brought_in(service, models, board),
        packages=packages,
        memory_bytes=memory_bytes,
        cpus=cpus,
        threads=min(budget.intra_op_threads, max(1, math.ceil(cpus))),
    )


def _cpus(name: str, service: Service, board: DeviceProfile, budget: Budget) -> float:
    if service.cpus is None:
        return budget.cpus
    if service.cpus > board.cpu.cores:
        raise StackError(
            f"services.{name}.cpus: {service.cpus:g} is more than the board has: {board.cpu.cores}",
            fix="give it less, or none",
        )
    return min(service.cpus, budget.cpus)


def _memory(name: str, service: Service, budget: Budget) -> int:
    if service.memory is None:
        return budget.memory_bytes
    if service.memory > budget.memory_bytes:
        raise StackError(
            f"services.{name}.memory: {format_bytes(service.memory)} is more than the board has: "
            f"{format_bytes(budget.memory_bytes)}",
            fix="give it less, or none",
        )
    return int(service.memory)


def _check_mounts(name: str, service: Service) -> None:
    for mount in service.mounts:
        # The engine could make a directory, and root would own it.
        if mount.bind is not None and not mount.bind.exists():
            raise StackError(f"services.{name}.mounts: {mount.bind}: is not there", fix=f"mkdir -p {mount.bind}")
    if service.build is not None and not (service.build.context / service.build.dockerfile).is_file():
        raise StackError(f"services.{name}.build: {service.build.context / service.build.dockerfile}: no such file")


def _model(name: str, service: Service, reference: str) -> Model:
    try:
        return repository.find(reference, service.repository)
    except ModelError as error:
        raise StackError(f"services.{name}.models: {error.problem}", fix=error.fix) from error


def _packages(service: Service, board: DeviceProfile) -> Packages | None:
    if service.packages is None:
        return None
    places = [mount.at for mount in service.mounts if mount.writable and mount.volume is not None]
    return Packages(architecture=board.architecture, packages=service.packages, places=places)


def _image(stack: Stack, name: str, board: DeviceProfile, packages: Packages | None, base: str | None) -> str:
    service = stack.services[name]
    if packages is not None:
        return packages.reference
    if service.build is not None:
        return f"edgesim/stack:{stack.name}-{name}-{board.architecture}"
    if service.image is not None:
        return service.image
    return serving_image.reference_of(board, base=base)


def _brought_in(service: Service, models: Sequence[Model], board: DeviceProfile) -> Sequence[Mount | VolumeMount]:
    mount_point = board.image.mount_point
    mounts = [mount for each in models for mount in model_mounts(each, mount_point)]
    if service.mount == "bind":
        return symlinks.followed(mounts)
    return [VolumeMount(f"edgesim-{contents.of(mounts, mount_point).digest[:12]}", mount_point)]
