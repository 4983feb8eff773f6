"""Reading of files that somebody else wrote: regular files and pipes, of a bounded size, and strict JSON.

A path may lead to a device that never ends, to a pipe that nobody writes to, or to a file of terabytes. All of these
are errors here, at once.
"""

import errno
import os
import select
import stat
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

import orjson

MIB = 2**20
_GZIP = b"\x1f\x8b"
# Seconds without a byte from a program that writes into a pipe, such as the shell's <(command).
_PATIENCE_S = 60
_CHUNK_BYTES = 1 << 20
_HEAD_BYTES = 64


class Pointer(NamedTuple):
    """What a program for large files left in place of a file, and the command that fetches the file."""

    program: str
    command: str

    def __str__(self) -> str:
        return f"a {self.program} pointer, not the file"


class PointerInPlaceOfFile(OSError):
    """The file is a pointer."""

    def __init__(self, pointer: Pointer) -> None:
        super().__init__(errno.EINVAL, str(pointer))
        self.pointer = pointer


def fix_of(error: OSError, otherwise: str = "") -> str:
    """Return what to do about a file that cannot be read: fetch what a pointer stands for, or else `otherwise`."""
    return f"{error.pointer.command} fetches the file" if isinstance(error, PointerInPlaceOfFile) else otherwise


# How a pointer begins: the specification of Git LFS, version 1; git-annex's "pointer files".
_POINTERS = {
    b"version https://git-lfs.github.com/spec/": Pointer("Git LFS", "git lfs pull"),
    b"/annex/objects/": Pointer("git-annex", "git annex get"),
}


def read_bytes(path: Path, most_bytes: int) -> bytes:
    """Return the content of a regular file, or what a program writes into a pipe.

    Raises:
        OSError: the file cannot be read, is neither, is larger than `most_bytes`, or is a pointer in place of a file;
            `strerror` says which.
    """
    with _opened(path, pipes=True) as file:
        status = os.fstat(file.fileno())
        if status.st_size > most_bytes:
            raise _too_large(most_bytes)
        content = bytearray()
        while chunk := _next(file):
            content += chunk
            if len(content) > most_bytes:  # of a pipe, or of a file that grows
                raise _too_large(most_bytes)
    if not content and stat.S_ISFIFO(status.st_mode):
        raise OSError(errno.EPIPE, "a pipe that nothing is written to")
    return bytes(content)


def opened(path: Path) -> FileIO:
    """Open a regular file to read bytes from.

    Raises:
        OSError: the file cannot be read, or is something else: a directory, a device, a pipe, a pointer to a file.
    """
    return _opened(path, pipes=False)


def read_text(path: Path, most_bytes: int) -> str:
    """Return the content of a file of UTF-8 text.

    Raises:
        OSError: as `read_bytes`; or the file is not UTF-8 text.
    """
    try:
        return read_bytes(path, most_bytes).decode("utf-8")
    except UnicodeDecodeError as error:
        raise OSError(errno.EILSEQ, "not UTF-8 text") from error


def read_json(path: Path, most_bytes: int) -> Any:
    """Return the document of a JSON file. Its numbers are finite, its integers have 64 bits, its strings are Unicode.

    Raises:
        OSError: as `read_bytes`.
        ValueError: as `json_of`.
    """
    return json_of(read_bytes(path, most_bytes))


def json_of(content: bytes) -> Any:
    """Return the document in the bytes of a JSON file; see `read_json`.

    Raises:
        ValueError: the bytes are not JSON. The text says what they are instead, as far as that shows.
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        if not content.strip():
            raise ValueError("the file is empty") from error
        if content.startswith(_GZIP):
            raise ValueError("the file is compressed by gzip: gunzip it first") from error
        if error.msg == "unexpected end of data":
            end = f"line {error.lineno:,}, after {len(content):,} bytes"
            raise ValueError(f"the file is incomplete: it ends in {end}") from error
        if not _is_text(content):
            raise ValueError("the file is no text (UTF-8), so not JSON") from error
        raise ValueError(f"not JSON: line {error.lineno:,}, column {error.colno:,}: {error.msg}") from error


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


# Without O_NONBLOCK a pipe without a writer would not even open. Each system lacks some of these.
_HOW = os.O_RDONLY
for _name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
    _HOW |= getattr(os, _name, 0)


def _opened(path: Path, *, pipes: bool) -> FileIO:
    try:
        file = FileIO(os.open(path, _HOW))
    except ValueError as error:  # a zero byte in the path
        raise OSError(errno.EINVAL, "not a path") from error
    mode = os.fstat(file.fileno()).st_mode
    if stat.S_ISREG(mode):
        pointer = pointer_of(file.read(_HEAD_BYTES) or b"")
        if pointer is None:
            file.seek(0)
            return file
        file.close()
        raise PointerInPlaceOfFile(pointer)
    if pipes and stat.S_ISFIFO(mode):
        return file
    file.close()
    raise OSError(errno.EINVAL, f"not a file, but {_kind(mode)}")


def pointer_of(head: bytes) -> Pointer | None:
    """Return the pointer that a file is by its first bytes; None for any other file."""
    return next((pointer for begin, pointer in _POINTERS.items() if head.startswith(begin)), None)


def other_kind(path: Path) -> str | None:
    """Return what a path leads to that is no regular file, such as ``a pipe``; None for a file, and for nothing."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return None
    return None if stat.S_ISREG(mode) else _kind(mode)


def _kind(mode: int) -> str:
    return next((kind for is_kind, kind in _KINDS.items() if is_kind(mode)), "a device")


_KINDS = {stat.S_ISDIR: "a directory", stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}


def _next(file: FileIO) -> bytes:
    chunk = file.read(_CHUNK_BYTES)
    if chunk is None:  # a pipe whose writer has written nothing yet
        if not select.select([file], [], [], _PATIENCE_S)[0]:
            raise OSError(errno.ETIMEDOUT, f"a pipe that nothing was written to for {_PATIENCE_S} s")
        chunk = file.read(_CHUNK_BYTES)
    return chunk or b""


def _too_large(most_bytes: int) -> OSError:
    return OSError(errno.EFBIG, f"larger than {most_bytes // MIB or 1} MiB, the most that edgesim reads of such a file")
