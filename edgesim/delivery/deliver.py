"""How models get into a container: mounted from this host, in a volume of the engine, or inside the image."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesim.delivery import contents, packed_image, readable, symlinks, volumes
from edgesim.delivery.contents import Contents
from edgesim.engine.docker_engine import Engine
from edgesim.engine.mounts import RESULTS, Mount, VolumeMount
from edgesim.errors import UsageError
from edgesim.host import disks
from edgesim.images import debian
from edgesim.images.image import Image
from edgesim.models.repository import FILE_NAME, Model
from edgesim.options import MountMethod
from edgesim.profiles import DeviceProfile
from edgesim.progress import Stages


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """The models to deliver, and the mount method.

    Attributes:
        mounts: what the method ``bind`` mounts; the other methods deliver the same files.
        volume: name of the volume; None means a name derived from its contents.
        results: the directory of this host that the container may write to, at `RESULTS`.
        command: arguments of the server in a packed image; None keeps the image's own.
        machine: the machine that the engine runs on, if another one, which cannot see this host's files.
    """

    method: MountMethod
    profile: DeviceProfile
    models: Sequence[Model]
    mounts: Sequence[Mount]
    volume: str | None = None
    results: Path | None = None
    command: Sequence[str] | None = None
    machine: str | None = None

    def check(self) -> None:
        """Check the options before any work.

        Raises:
            UsageError: the options exclude each other, or the directory for results does not exist.
        """
        if self.volume is not None and self.method != "volume":
            raise UsageError(f"`volume={self.volume}`: needs `mount=volume`")
        if self.machine is not None and (self.method == "bind" or self.results is not None):
            option = "`results`" if self.results is not None else "`mount=bind`"
            raise UsageError(
                f"{option}: {self.machine} cannot see this host's files",
                fix="`mount=volume` or `mount=image`, without `results`",
            )
        if self.results is None:
            return
        if self.method != "bind":
            raise UsageError(
                f"`results`: with `mount={self.method}`, no directory of this host is mounted",
                fix="use `mount=bind`, or omit `results`",
            )
        # The engine could make the directory, which would then belong to root.
        if not self.results.is_dir():
            raise UsageError(f"`results={self.results}`: no such directory", fix=f"mkdir -p {self.results}")
        if not os.access(self.results, os.W_OK):
            raise UsageError(
                f"`results={self.results}`: cannot be written", fix="give a directory that you can write to"
            )


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A delivery whose files are known, and may all be delivered.

    Attributes:
        mounts: what the method ``bind`` mounts, the targets of symbolic links included; empty for another method.
        contents: what the other methods deliver; None for ``bind``.
    """

    delivery: Delivery
    mounts: Sequence[Mount] = ()
    contents: Contents | None = None


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """Delivered models, as a container is started with them.

    Attributes:
        image: the serving image, or the packed image that was made from it.
        volume: name of the volume; None without one.
        user: ``UID:GID`` of the container's process, if files that it writes must belong to a user of this host.
    """

    image: Image
    mounts: Sequence[Mount | VolumeMount]
    volume: str | None = None
    user: str | None = None


def check_files(engine: Engine, delivery: Delivery) -> Checked:
    """Find the files, and check that they can be delivered, before an image is built for them.

    Raises:
        ModelError: a symbolic link leads to where the delivery does not follow it.
        HostError: the container's user may not read the files.
    """
    mount_point = delivery.profile.image.mount_point
    if delivery.method != "bind":
        return Checked(delivery=delivery, contents=contents.of(delivery.mounts, mount_point))
    mounts = symlinks.with_targets(delivery.mounts)
    if delivery.results is not None:
        user = f"{os.getuid()}:{os.getgid()}" if engine.facts.rootless else _file_owner(engine)
    elif delivery.profile.image.reference is None:
        user = debian.USER
    else:  # the user of another image is not known
        return Checked(delivery=delivery, mounts=mounts)
    readable.require(mounts, user, repository=mount_point)
    return Checked(delivery=delivery, mounts=mounts)


def deliver(engine: Engine, checked: Checked, image: Image, stages: Stages) -> Delivered:
    """Deliver models to where a container of `image` looks for them.

    Raises:
        UsageError: a file has changed while it was read, or the volume has other contents.
        HostError: no space is left; DeviceError: the engine failed.
    """
    delivery, files = checked.delivery, checked.contents
    if files is None:
        if delivery.results is None:
            return Delivered(image=image, mounts=checked.mounts)
        writable = Mount(delivery.results.resolve(), RESULTS, writable=True)
        return Delivered(image=image, mounts=[*checked.mounts, writable], user=_file_owner(engine))
    if delivery.method == "volume":
        name = volumes.provide(engine, delivery.volume, files, stages)
        for path in files.files:  # best effort: only root may read the engine's directory
            disks.forget(engine.facts.storage / "volumes" / name / "_data" / path)
        return Delivered(image=image, mounts=[VolumeMount(name, delivery.profile.image.mount_point)], volume=name)
    package = packed_image.Package(
        base=image, profile=delivery.profile, models=delivery.models, contents=files, command=delivery.command
    )
    return Delivered(image=packed_image.build(engine, package, stages), mounts=())


def _file_owner(engine: Engine) -> str:
    """Return UID:GID that owns files written by the container: the user, or the caller of sudo."""
    if engine.facts.rootless:
        return "0:0"  # the engine's root is this user
    if os.getuid() == 0 and "SUDO_UID" in os.environ:
        return f"{os.environ['SUDO_UID']}:{os.environ.get('SUDO_GID', os.environ['SUDO_UID'])}"
    return f"{os.getuid()}:{os.getgid()}"


def model_mounts(model: Model, repository: str) -> list[Mount]:
    """Return the mounts that make one model a repository at `repository` in the container, without any copy.

    The files are mounted one by one, so that a file of any name anywhere becomes ``NAME/VERSION/model.onnx``, with its
    files of weights beside it under the names by which it refers to them, and its configuration in ``NAME``. Where a
    file is a symbolic link, its target is mounted.
    """
    directory = f"{repository}/{model.name}/{model.version}"
    mounts = [Mount(model.path.resolve(), f"{directory}/{FILE_NAME}")]
    for data in model.data_paths:
        mounts.append(Mount(data.resolve(), f"{directory}/{data.relative_to(model.path.parent).as_posix()}"))
    if (configuration := model.configuration) is not None:
        for path in configuration.paths:
            name = path.relative_to(configuration.directory).as_posix()
            mounts.append(Mount(path.resolve(), f"{repository}/{model.name}/{name}"))
    return mounts
