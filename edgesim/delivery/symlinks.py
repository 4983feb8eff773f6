"""Symbolic links in a directory that is mounted: what else has to be mounted for them to lead where they lead here."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from edgesim.engine.mounts import Mount
from edgesim.errors import ModelError

# What a container has itself, and needs: nothing of the host goes in its place.
_OWN = {"bin", "boot", "dev", "etc", "lib", "lib64", "opt", "proc", "root", "run", "sbin", "sys", "tmp", "usr", "var"}
_CLOSED = {"dev", "proc", "sys"}


def followed(mounts: Sequence[Mount]) -> list[Mount]:
    """These mounts, and one for each place outside them that a symbolic link in them leads to.

    A link is a path, and inside the container the same path is another place. It is followed as the container will: an
    absolute one from its root, a relative one from where the link is there. One that leads nowhere here does not there.

    Raises:
        ModelError: a link leads to where the container has files of its own.
    """
    found = {mount.target: mount for mount in mounts}
    waiting = [mount for mount in mounts if mount.source.is_dir()]
    while waiting:
        mount = waiting.pop()
        for link in _links(mount.source):
            inside = PurePosixPath(mount.target) / link.relative_to(mount.source).as_posix()
            leads_to = os.path.normpath(inside.parent / link.readlink())
            if not link.exists() or _is_there(leads_to, found):
                continue
            if not _is_free(leads_to):
                raise ModelError(
                    f"{link}: a symbolic link to {leads_to}, where the container has files of its own",
                    fix="put the file itself there, or --mount volume, which copies it",
                )
            further = Mount(link.resolve(), leads_to)
            found[leads_to] = further
            if further.source.is_dir():
                waiting.append(further)
    return list(found.values())


def _links(directory: Path) -> list[Path]:
    found = []
    for parent, directories, files in os.walk(directory):  # does not go through links
        found += [path for name in (*directories, *files) if (path := Path(parent) / name).is_symlink()]
    return found


def _is_there(path: str, mounted: dict[str, Mount]) -> bool:
    return any(PurePosixPath(path).is_relative_to(target) for target in mounted)


def _is_free(path: str) -> bool:
    _, *parts = PurePosixPath(path).parts
    return bool(parts) and parts[0] not in _CLOSED and not (len(parts) == 1 and parts[0] in _OWN)
