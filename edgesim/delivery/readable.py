"""Whether the container's user may read what is mounted: known before the container starts.

A host with umask 027 or 077 makes files that only their owner may read. The server then fails to load the model, which
says nothing about the model.
"""

import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from edgesim.engine.mounts import Mount, VolumeMount
from edgesim.errors import HostError

_ACL = "system.posix_acl_access"


def require(mounts: Iterable[Mount | VolumeMount], user: str, *, repository: str) -> None:
    """Check that a user may read all model files that are mounted from this host.

    Only mode and owner are looked at: edgesim's containers have no capability to read in spite of them. Files with an
    access control list are left out, and so are hosts that are not Linux, whose engine maps the modes.

    Args:
        user: ``UID:GID`` on this host, or ``UID``, whose group is then 0.
        repository: the model repository in the container. In a directory that is mounted there, only models count.

    Raises:
        HostError: a file or directory is not readable.
    """
    if sys.platform != "linux":
        return
    uid, gid = (int(number or 0) for number in user.partition(":")[::2])
    for mount in mounts:
        if isinstance(mount, VolumeMount) or mount.writable:
            continue
        for path in _read_by_server(mount, repository):
            _require_readable(path, mount.source, uid, gid)


def _read_by_server(mount: Mount, repository: str) -> Iterator[Path]:
    if not mount.source.is_dir():
        yield mount.source
        return
    yield mount.source
    if mount.target != repository:
        yield from _tree(mount.source)
        return
    for model in sorted(mount.source.iterdir()):
        if model.is_dir() and any(re.fullmatch("[0-9]+", entry.name) for entry in _entries(model)):
            yield model
            yield from _tree(model)


def _tree(directory: Path) -> Iterator[Path]:
    """Yield what is below a directory, directories first, without links and what only this host reads (``.npz``)."""
    for entry in _entries(directory):
        if entry.is_symlink() or entry.name.startswith(".") or entry.suffix == ".npz":
            continue
        yield entry
        if entry.is_dir():
            yield from _tree(entry)


def _entries(directory: Path) -> Sequence[Path]:
    try:
        return sorted(directory.iterdir())
    except PermissionError as error:
        raise HostError(f"{directory}: this user has no right to read it", fix=f"chmod u+rx {directory}") from error


def _require_readable(path: Path, mounted: Path, uid: int, gid: int) -> None:
    status = path.stat()
    shift, letter = (6, "u") if status.st_uid == uid else (3, "g") if status.st_gid == gid else (0, "o")
    needed = 0o5 if stat.S_ISDIR(status.st_mode) else 0o4
    if (status.st_mode >> shift) & needed == needed or _has_acl(path):
        return
    # A directory seldom has one such file only: the command gives the permission to all.
    command = f"chmod -R {letter}+rX {mounted}" if mounted.is_dir() else f"chmod {letter}+r {path}"
    raise HostError(
        f"{path}: the container's user {uid} has no right to read it (mode {stat.S_IMODE(status.st_mode):04o})",
        fix=f"{command}, or use `mount=volume`, which copies the files",
    )


def _has_acl(path: Path) -> bool:
    try:
        return _ACL in os.listxattr(path)
    except OSError:  # the file system has no extended attributes
        return False
