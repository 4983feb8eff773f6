"""Symbolic links in a mounted directory: further mounts that let the links lead to the same files in the container."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from edgesim.delivery.repository_links import LinkCheck
from edgesim.engine.mounts import Mount
from edgesim.errors import ModelError

# Directories that the container has itself and needs: no file of the host may replace one.
_CONTAINER_OWN = {
    "bin",
    "boot",
    "dev",
    "etc",
    "lib",
    "lib64",
    "opt",
    "proc",
    "root",
    "run",
    "sbin",
    "sys",
    "tmp",
    "usr",
    "var",
}
# Directories in which nothing can be mounted.
_CLOSED = {"dev", "proc", "sys"}


def with_targets(mounts: Sequence[Mount]) -> list[Mount]:
    """Return the mounts, and one more for each place outside them that a symbolic link in them leads to.

    A link holds a path, which is another place in the container: an absolute path begins at the container's root, a
    relative one at the link's place in the container. A link that leads nowhere on this host is left alone.

    Raises:
        ModelError: a link leads to where the container has files of its own, or out of its directory to what is not a
            model's (see `edgesim.delivery.repository_links`).
    """
    by_target = {mount.target: mount for mount in mounts}
    check = LinkCheck()
    to_search = [mount for mount in mounts if mount.source.is_dir()]
    while to_search:
        mount = to_search.pop()
        for link in _links(mount.source):
            in_container = PurePosixPath(mount.target) / link.relative_to(mount.source).as_posix()
            leads_to = os.path.normpath(in_container.parent / link.readlink())
            if not link.exists():
                continue
            mounted = _is_mounted(leads_to, by_target)
            if not mounted and not _is_free(leads_to):
                raise ModelError(
                    f"{link}: a symbolic link to {leads_to}, where the container has files of its own",
                    fix="put the file itself in its place, or use `mount=volume`, which copies it",
                )
            check.require_allowed(link, mount.source)
            if mounted:
                continue
            further = Mount(link.resolve(), leads_to)
            by_target[leads_to] = further
            if further.source.is_dir():
                to_search.append(further)
    return list(by_target.values())


def require_allowed(directory: Path) -> None:
    """Check that all symbolic links in a directory may be followed, for a server that runs on this host.

    Raises:
        ModelError: a link leads out of the directory to what is not a model's.
    """
    check = LinkCheck()
    for link in _links(directory):
        check.require_allowed(link, directory)


def _links(directory: Path) -> list[Path]:
    links = []
    for parent, directories, files in os.walk(directory):  # does not follow links
        links += [path for name in (*directories, *files) if (path := Path(parent) / name).is_symlink()]
    return links


def _is_mounted(path: str, targets: Collection[str]) -> bool:
    return any(PurePosixPath(path).is_relative_to(target) for target in targets)


def _is_free(path: str) -> bool:
    _, *parts = PurePosixPath(path).parts
    return bool(parts) and parts[0] not in _CLOSED and not (len(parts) == 1 and parts[0] in _CONTAINER_OWN)
