"""Files, directories and volumes that the engine mounts into a container."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker.types

from edgesim.errors import UsageError


@dataclass(frozen=True)
class Mount:
    """A file or directory of the host at `target` in the container, read-only unless `writable`."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True)
class VolumeMount:
    """A named volume of the engine, read-only at `target` in the container."""

    volume: str
    target: str


RESULTS = "/results"  # in the container: the one directory of the host that the container may write to


def engine_mounts(mounts: Iterable[Mount | VolumeMount], *, relabel: bool) -> dict[str, Any]:
    """Return mounts as the arguments `mounts` and `volumes` of the docker package.

    A bind mount in `mounts` refuses a missing source. `volumes` would create a missing source as root, but only
    `volumes` can have the option ``z``, which gives files the SELinux label that lets several containers read them.

    Args:
        relabel: whether files need the SELinux label.

    Raises:
        UsageError: a source is missing, or has a colon in its name where ``z`` is needed.
    """
    plain: list[Any] = []
    relabelled: list[str] = []
    for mount in mounts:
        if isinstance(mount, VolumeMount):
            plain.append(docker.types.Mount(mount.target, mount.volume, type="volume", read_only=True, no_copy=True))
        elif relabel:
            if not mount.source.exists():
                raise UsageError(f"{mount.source}: no such file or directory to mount")
            if ":" in f"{mount.source}{mount.target}":
                raise UsageError(
                    f"{mount.source}: the name has a colon, which a mount under SELinux cannot have",
                    fix="rename it, or use `mount=volume`",
                )
            relabelled.append(f"{mount.source}:{mount.target}:{'rw' if mount.writable else 'ro'},z")
        else:
            plain.append(docker.types.Mount(mount.target, str(mount.source), type="bind", read_only=not mount.writable))
    return {"mounts": plain, "volumes": relabelled}
