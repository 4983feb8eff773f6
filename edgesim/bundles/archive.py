"""The archive of a bundle: written with the same bytes for the same content, and read as a stranger's."""

import hashlib
import os
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from edgesim import untrusted
from edgesim.bundles import manifest
from edgesim.bundles.manifest import File, Manifest, broken
from edgesim.delivery.contents import header, padded
from edgesim.errors import DISK_FULL, DiskFull, HostError, ResultError, of_limit
from edgesim.host.scratch import full_disk, scratch_file

_CHUNK_BYTES = 1 << 20
_END = bytes(2 * tarfile.BLOCKSIZE)


def described(files: Mapping[str, Path]) -> dict[str, File]:
    """Return digest and size of each file.

    Raises:
        ResultError: a file cannot be read.
    """
    return {name: _described(path) for name, path in sorted(files.items())}


def _described(path: Path) -> File:
    try:
        with path.open("rb") as file:
            return File(
                sha256=hashlib.file_digest(file, "sha256").hexdigest(), size_bytes=os.fstat(file.fileno()).st_size
            )
    except OSError as error:
        raise ResultError(f"{path}: {error.strerror}") from error


def write(target: Path, contents: Manifest, files: Mapping[str, Path]) -> str:
    """Write a bundle, whole or not at all; return the digest of its manifest, which stands for the whole content.

    Raises:
        DiskFull: no space is left; ResultError: the bundle cannot be written, or a file changed meanwhile.
    """
    data = contents.as_json()
    scratch = scratch_file(target)
    try:
        with scratch.open("wb") as archive:
            archive.write(header(manifest.NAME, len(data)) + padded(data))
            for name, path in sorted(files.items()):
                _write_member(archive, name, path, contents.files[name])
            archive.write(_END)
        scratch.replace(target)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise DiskFull(
                f"no space left for {target}", fix=f"free some space there: df -h {target.parent}"
            ) from error
        problem = f"{target}: cannot write the bundle: {error.strerror}"
        raise of_limit(error, problem) or ResultError(problem, fix="give `output` a file") from error
    finally:
        scratch.unlink(missing_ok=True)
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _write_member(archive: IO[bytes], name: str, path: Path, expected: File) -> None:
    archive.write(header(name, expected.size_bytes))
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += archive.write(chunk)
    if (digest.hexdigest(), size) != (expected.sha256, expected.size_bytes):
        raise ResultError(f"{path}: changed while it was read", fix="try again once it is complete")
    archive.write(bytes(-size % tarfile.BLOCKSIZE))


def unpack(path: Path, directory: Path) -> tuple[Manifest, str]:
    """Unpack a bundle into an empty directory; return its manifest, and the manifest's digest.

    Every file is compared with its digest. Nothing is written but the files that the manifest names, as regular files
    below the directory.

    Raises:
        ResultError: the file is no bundle, or was cut or changed, or is a newer edgesim's.
        DiskFull: no space is left for the files.
    """
    try:
        with untrusted.opened(path) as file:
            return _unpacked(file, path, directory)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise full_disk(f"the files of {path}", directory) from error
        problem, fix = f"{path}: {error.strerror}", untrusted.fix_of(error, "give the file that edgesim bundle wrote")
        raise of_limit(error, problem) or ResultError(problem, fix=fix) from error


def _unpacked(file: IO[bytes], path: Path, directory: Path) -> tuple[Manifest, str]:
    size = os.fstat(file.fileno()).st_size
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            first = tar.next()
            if first is None or first.name != manifest.NAME or not _is_plain(first, size):
                raise broken(str(path), f"it does not begin with {manifest.NAME}")
            if first.size > manifest.MOST_BYTES:
                raise broken(str(path), f"{manifest.NAME} is larger than {manifest.MOST_BYTES >> 20} MiB")
            data = _content(tar, first)
            contents = manifest.read(data, str(path))
            _require_space(contents, size, path, directory)
            missing = dict(contents.files)
            while (member := tar.next()) is not None:
                expected = missing.pop(member.name, None)
                if expected is None:
                    raise broken(str(path), f"{member.name[:200]!r} is not in the manifest, or is there twice")
                if not _is_plain(member, size) or member.size != expected.size_bytes:
                    raise broken(str(path), f"{member.name} is cut, or of another kind or size than in the manifest")
                if _extract(tar, member, directory / member.name) != expected.sha256:
                    raise broken(str(path), f"{member.name} was changed: its SHA-256 is not the manifest's")
    except (tarfile.TarError, ValueError, OverflowError) as error:  # tarfile lets some errors of broken headers through
        raise broken(str(path), f"not a tar archive, or cut: {error}") from error
    if missing:
        raise broken(str(path), f"it was cut: {min(missing)} is missing")
    return contents, f"sha256:{hashlib.sha256(data).hexdigest()}"


def _is_plain(member: tarfile.TarInfo, archive_bytes: int) -> bool:
    """Whether a member is a regular file whose bytes are all in the archive: no link, device or sparse file."""
    is_regular = member.type == tarfile.REGTYPE and member.sparse is None
    return is_regular and 0 <= member.size <= archive_bytes - member.offset_data


def _require_space(contents: Manifest, archive_bytes: int, path: Path, directory: Path) -> None:
    total = sum(file.size_bytes for file in contents.files.values())
    if total > archive_bytes:
        raise broken(str(path), "it was cut: the manifest's files are larger than the archive")
    if total > shutil.disk_usage(directory).free:
        raise full_disk(f"the files of {path}", directory)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member)
    if stream is None:
        raise HostError(f"{member.name}: no content")
    return stream.read()


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> str:
    digest = hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    stream = tar.extractfile(member)
    with target.open("xb") as file:
        while stream is not None and (chunk := stream.read(_CHUNK_BYTES)):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()
