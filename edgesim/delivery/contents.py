"""The files in a volume or a packed image: their paths, their digests, and a tar archive of them."""

import hashlib
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from edgesim.delivery.repository_links import LinkCheck
from edgesim.engine.mounts import Mount
from edgesim.errors import ModelError

# Written last: if the manifest is there, all other files are, too.
MANIFEST = ".edgesim.json"
_CHUNK_BYTES = 1 << 20
_END = bytes(2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True)
class Contents:
    """Files of this host, by their path below the model repository."""

    files: Mapping[str, Path]

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """The SHA-256 of each file, in hex."""
        return {name: _digest(path) for name, path in sorted(self.files.items())}

    @property
    def digest(self) -> str:
        """The SHA-256 of all names and files together, in hex."""
        return hashlib.sha256(json.dumps(self.digests, sort_keys=True).encode()).hexdigest()

    @property
    def size_bytes(self) -> int:
        """The size of all files together."""
        return sum(path.stat().st_size for path in self.files.values())

    @property
    def manifest(self) -> bytes:
        """The contents as JSON, for whoever finds the files without the host that they came from."""
        return _document({"digest": self.digest, "size_bytes": self.size_bytes, "files": self.digests})

    def tar(self, below: str = "", *, changed_s: int = 0) -> Iterator[bytes]:
        """Yield a tar archive of the files below a directory, the manifest last: the same bytes for the same files.

        Args:
            changed_s: the files' time of change, in seconds since 1970, by which a watching server notices changes.

        Raises:
            ModelError: a file changes while it is read.
        """
        root = PurePosixPath(below)
        directories = {parent for name in self.files for parent in (root / name).parents} - {PurePosixPath(".")}
        for directory in sorted(directories):
            yield header(f"{directory}/", changed_s=changed_s)
        for name, path in sorted(self.files.items()):
            yield from _entry(str(root / name), path, changed_s)
        yield header(str(root / MANIFEST), len(self.manifest)) + padded(self.manifest)
        yield _END


def of(mounts: Sequence[Mount], mount_point: str) -> Contents:
    """Return the files that a container would find at `mount_point` with these mounts, symbolic links followed.

    Raises:
        ModelError: a link leads nowhere, back to itself, or out of its directory to what is not a model's (see
            `edgesim.delivery.repository_links`).
    """
    files: dict[str, Path] = {}
    check = LinkCheck()
    for mount in mounts:
        below = PurePosixPath(mount.target).relative_to(mount_point)
        if mount.source.is_dir():
            walk = _walk(mount.source, mount.source, PurePosixPath(), (), check)
            files |= {str(below / name): path for name, path in walk}
        else:
            files[str(below)] = mount.source
    return Contents(files)


def _walk(
    directory: Path, root: Path, below: PurePosixPath, above: tuple[Path, ...], check: LinkCheck
) -> Iterator[tuple[PurePosixPath, Path]]:
    real = directory.resolve()
    if real in above:
        raise ModelError(f"{directory}: a symbolic link that leads back to itself", fix="remove the link")
    for entry in sorted(directory.iterdir()):
        if entry.is_symlink():
            check.require_allowed(entry, root)
        if entry.is_dir():
            outside = not entry.resolve().is_relative_to(root.resolve())
            yield from _walk(entry, entry if outside else root, below / entry.name, (*above, real), check)
        elif entry.is_file():
            # An exported directory contains the manifest of its volume; the manifest is written anew.
            if entry.name != MANIFEST:
                yield below / entry.name, entry
        elif entry.is_symlink():
            raise ModelError(f"{entry}: a symbolic link to a file that does not exist", fix="repair or remove the link")


def first_difference(manifest: Mapping[str, Any], contents: Contents) -> str | None:
    """Return the first file of `contents` that `manifest` lacks or has with another digest; None if there is none.

    The manifest may have more files: a volume is filled from a whole repository, and a run needs one model of it.
    """
    digests = manifest.get("files", {})
    return next((name for name, digest in contents.digests.items() if digests.get(name) != digest), None)


def header(name: str, size_bytes: int = 0, *, changed_s: int = 0) -> bytes:
    """Return the header of an entry of a tar archive: of a directory if the name ends in a slash, else of a file.

    Nothing in the header depends on when or by whom the file was made, except `changed_s`.
    """
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime = size_bytes, changed_s
    entry.type, entry.mode = (tarfile.DIRTYPE, 0o755) if name.endswith("/") else (tarfile.REGTYPE, 0o644)
    return entry.tobuf(tarfile.PAX_FORMAT)


def padded(data: bytes) -> bytes:
    """Return a file's bytes, with zeros up to the end of the last block."""
    return data + bytes(-len(data) % tarfile.BLOCKSIZE)


def _entry(name: str, path: Path, changed_s: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        yield header(name, size, changed_s=changed_s)
        remaining = size
        while remaining:
            chunk = file.read(min(remaining, _CHUNK_BYTES))
            if not chunk:
                raise ModelError(f"{path}: became shorter while it was read", fix="try again once it is complete")
            remaining -= len(chunk)
            yield chunk
    yield bytes(-size % tarfile.BLOCKSIZE)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from error


def _document(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, indent=2, sort_keys=True).encode() + b"\n"
