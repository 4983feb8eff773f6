"""Files that are no ONNX model or weights, and that users have in their place: pointers, web pages, archives."""

import re
from pathlib import Path
from typing import NamedTuple

from edgesim import untrusted

_HEAD_BYTES = 512
# The bytes that archives have, and where: RFC 1952, the formats of bzip2 and xz, RFC 8878, 7zFormat.txt, POSIX's ustar.
_ARCHIVES = {
    "gzip": (b"\x1f\x8b", 0),
    "bzip2": (b"BZh", 0),
    "xz": (b"\xfd7zXZ\x00", 0),
    "Zstandard": (b"\x28\xb5\x2f\xfd", 0),
    "7z": (b"7z\xbc\xaf\x27\x1c", 0),
    "tar": (b"ustar", 257),
}
_JSON = re.compile(rb'\s*[{\[]\s*["{\[\]}]')
_WEB_PAGE = re.compile(rb"\s*(<!doctype html|<html)", re.IGNORECASE)


def fetching(path: Path) -> str | None:
    """Return the command that fetches a missing file, if DVC's file beside it stands for the file; else None."""
    dvc = path.with_name(f"{path.name}.dvc")
    return f"dvc pull {dvc}" if dvc.is_file() else None


class Placeholder(NamedTuple):
    """What a file is instead of a model or weights, and the command that gets the file itself.

    Attributes:
        pointer: the file is certainly no weights; others could be weights that begin with the same bytes.
    """

    kind: str
    fix: str
    pointer: bool = False


def identify(path: Path) -> Placeholder | None:
    """Return what a file is if it is a well-known placeholder; None for any other file.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if (pointer := untrusted.pointer_of(head)) is not None:
        fix = f"git -C {path.parent} lfs pull (in GitHub Actions: actions/checkout with lfs: true)"
        if pointer.program == "git-annex":
            fix = f"git -C {path.parent} annex get {path.name}"
        return Placeholder(str(pointer), fix, pointer=True)
    if _WEB_PAGE.match(head):
        return Placeholder(
            "a web page: the download failed, or needs a login",
            "download the file again: curl --fail --location --remote-name URL",
        )
    if _JSON.match(head):
        return Placeholder("JSON, such as a server answers with an error", f"read what it says: head -c 500 {path}")
    if head.startswith(b"PK\x03\x04"):
        return Placeholder("a zip archive", f"unzip {path}")
    for archive, (begin, place) in _ARCHIVES.items():
        if head[place:].startswith(begin):
            return Placeholder(f"a {archive} archive", f"unpack {path}")
    if not head:
        return Placeholder("an empty file", "export or download the file again")
    return None
