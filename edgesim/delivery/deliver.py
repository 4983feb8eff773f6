"""How models come into a container: mounted from this host, in a volume of the engine's, or inside the image."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesim.delivery import contents, packed_image, symlinks, volumes
from edgesim.engine.docker_engine import Engine
from edgesim.engine.mounts import RESULTS, Mount, VolumeMount
from edgesim.errors import UsageError
from edgesim.host import disks
from edgesim.images.serving_image import Image
from edgesim.models.repository import FILE_NAME, Model
from edgesim.options import MountMethod
from edgesim.profiles import DeviceProfile
from edgesim.progress import Stages


@dataclass(frozen=True, kw_only=True)
class Handover:
    """What is to be handed over, and how.

    Attributes:
        mounts: what a bind mount would be; the other ways carry the same files.
        volume: the name of the volume; without, one is named after what it holds.
        results: the directory of this host that the container may write to, at `RESULTS`.
        command: what a packed image starts its server with; None leaves the image's own.
        machine: another one that the engine runs on, and which has not this host's files; None is this one.
    """

    way: MountMethod
    profile: DeviceProfile
    models: Sequence[Model]
    mounts: Sequence[Mount]
    volume: str | None = None
    results: Path | None = None
    command: Sequence[str] | None = None
    machine: str | None = None

    def check(self) -> None:
        """Before the work: what does not go together.

        Raises:
            UsageError: the options exclude each other, or there is no such directory.
        """
        if self.volume is not None and self.way != "volume":
            raise UsageError(f"--volume {self.volume}: goes with --mount volume")
        if self.machine is not None and (self.way == "bind" or self.results is not None):
            option = "--results" if self.results is not None else "--mount bind"
            raise UsageError(
                f"{option}: {self.machine} has not this host's files",
                fix="--mount volume or image, without --results",
            )
        if self.results is None:
            return
        if self.way != "bind":
            raise UsageError(
                f"--results: with --mount {self.way} nothing of this host is mounted",
                fix="--mount bind, or no --results",
            )
        # The engine could make it, and root would own it.
        if not self.results.is_dir():
            raise UsageError(f"--results {self.results}: no such directory", fix=f"mkdir -p {self.results}")
        if not os.access(self.results, os.W_OK):
            raise UsageError(f"--results {self.results}: cannot be written", fix="give a directory where you can write")


@dataclass(frozen=True, kw_only=True)
class Handed:
    """What a container is started with for it: its image, its mounts, and the user whose files it writes, if any."""

    image: Image
    mounts: Sequence[Mount | VolumeMount]
    volume: str | None = None
    user: str | None = None


def hand_over(engine: Engine, wanted: Handover, built: Image, stages: Stages) -> Handed:
    """Have the models where a container of image `built` finds them.

    Raises:
        UsageError: the files, or the volume, are not what they should be.
        HostError: no space is left; DeviceError: the engine failed.
    """
    mount_point = wanted.profile.image.mount_point
    if wanted.way == "bind":
        mounts = symlinks.followed(wanted.mounts)
        if wanted.results is None:
            return Handed(image=built, mounts=mounts)
        writable = Mount(wanted.results.resolve(), RESULTS, writable=True)
        return Handed(image=built, mounts=[*mounts, writable], user=_user(engine))
    files = contents.of(wanted.mounts, mount_point)
    if wanted.way == "volume":
        name = volumes.provide(engine, wanted.volume, files, stages)
        for path in files.files:  # best effort: only root may look there
            disks.forget(engine.facts.storage / "volumes" / name / "_data" / path)
        return Handed(image=built, mounts=[VolumeMount(name, mount_point)], volume=name)
    package = packed_image.Package(
        base=built, profile=wanted.profile, models=wanted.models, contents=files, command=wanted.command
    )
    return Handed(image=packed_image.ensure(engine, package, stages), mounts=())


def _user(engine: Engine) -> str:
    """Whose the files are that a container writes: of whoever ran edgesim, through sudo or not."""
    if engine.facts.rootless:
        return "0:0"  # the engine's root is this user
    if os.getuid() == 0 and "SUDO_UID" in os.environ:
        return f"{os.environ['SUDO_UID']}:{os.environ.get('SUDO_GID', os.environ['SUDO_UID'])}"
    return f"{os.getuid()}:{os.getgid()}"


def model_mounts(model: Model, repository: str) -> list[Mount]:
    """What makes one model a repository at `repository` inside the container, with nothing copied.

    The files are mounted one by one, so that a file of any name anywhere becomes ``NAME/VERSION/model.onnx``, with its
    files of weights beside it under the names by which it refers to them.
    """
    directory = f"{repository}/{model.name}/{model.version}"
    mounts = [Mount(model.path, f"{directory}/{FILE_NAME}")]
    for data in model.data_paths:
        mounts.append(Mount(data, f"{directory}/{data.relative_to(model.path.parent).as_posix()}"))
    return mounts
