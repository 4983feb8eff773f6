"""What the engine mounts into a container."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker.errors
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


RESULTS = "/results"  # in the container: the one place on the host that it may write to


def mounted(mounts: Iterable[Mount | VolumeMount], *, relabel: bool) -> dict[str, Any]:
    """The engine's words for mounts.

    A bind mount through `mounts` refuses a missing source; `volumes` would create it as root, but has the only word
    for SELinux: files that containers may share are given the label for it (``z``), or the container may not read them.

    Raises:
        UsageError: a source is missing, or has a colon in its name where that word is needed.
    """
    told: list[Any] = []
    relabelled: list[str] = []
    for mount in mounts:
        if isinstance(mount, VolumeMount):
            told.append(docker.types.Mount(mount.target, mount.volume, type="volume", read_only=True, no_copy=True))
        elif relabel:
            if not mount.source.exists():
                raise UsageError(f"{mount.source}: is not there to be mounted")
            if ":" in f"{mount.source}{mount.target}":
                raise UsageError(
                    f"{mount.source}: has a colon in its name, which a mount under SELinux cannot have",
                    fix="rename it, or --mount volume",
                )
            relabelled.append(f"{mount.source}:{mount.target}:{'rw' if mount.writable else 'ro'},z")
        else:
            told.append(docker.types.Mount(mount.target, str(mount.source), type="bind", read_only=not mount.writable))
    return {"mounts": told, "volumes": relabelled}
