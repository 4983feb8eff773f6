"""Files below a directory, each with its digest: the files that a cell's result depends on, and a worker needs."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

_CHUNK_BYTES = 1 << 20


class TreeFile(BaseModel):
    """One file: its path below `FileTree.root`, with slashes."""

    model_config = ConfigDict(frozen=True)

    path: str
    sha256: str
    size_bytes: int


class FileTree(BaseModel):
    """Files by their content.

    Another machine that has files with these digests, at these paths below a root of its own, has the same tree.

    Attributes:
        root: the directory of the files on this machine.
        named_absolutely: an absolute path by which a file of the tree names another one, so that the tree works on this
            machine alone; None without one.
    """

    model_config = ConfigDict(frozen=True)

    root: Path
    files: tuple[TreeFile, ...]
    named_absolutely: str | None = None

    @classmethod
    def below(cls, root: Path, paths: Iterable[Path]) -> Self:
        """Return the tree of some files below a directory.

        Raises:
            OSError: a file cannot be read.
        """
        return cls(root=root, files=tree_files(root, paths))

    @property
    def sha256(self) -> str:
        """The digest of all files and their paths, hex."""
        text = "\n".join(f"{file.path}\0{file.sha256}" for file in self.files)
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()

    def at(self, root: Path) -> Self:
        """Return the tree below another root."""
        return self.model_copy(update={"root": root})


def tree_files(root: Path, paths: Iterable[Path]) -> tuple[TreeFile, ...]:
    """Return some files below a directory, each once.

    Raises:
        OSError: a file cannot be read.
    """
    return tuple(
        TreeFile(path=path.relative_to(root).as_posix(), sha256=file_sha256(path), size_bytes=path.stat().st_size)
        for path in dict.fromkeys(paths)
    )


def file_sha256(path: Path) -> str:
    """Return the digest of a file's content, hex.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
