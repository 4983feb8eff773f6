"""Symbolic links of a model: where they may lead.

Whoever wrote a model, or sent it as a pull request, also chose the symbolic links beside it. A link that is followed
anywhere would carry files of this host into a container, a volume or an image. A link of a model therefore leads to a
file that edgesim reads only if the file, with all links followed, lies

1. in a directory that the user named: the directory of the model file, or the model repository (`models=DIR`); or
2. in the directory that the model file itself lies in, with all links followed: the cache of Hugging Face (``blobs/``)
   and Bazel's trees of links; or
3. in the same content-addressed store as the model file: DVC (``ROOT/ab/cdef…``) and git-annex
   (``annex/objects/XX/YY/KEY/KEY``) put each file into a directory of its own.

Files in a ``.git`` directory are no files of a model (``.git/config`` may contain a token), except those of git-annex.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from edgesim.errors import ModelError

# DVC names a file by its MD5: the first two digits are the directory's name.
_DIGEST = re.compile(r"[0-9a-f]{30,128}(\.dir)?")
_DIGEST_DIRECTORY = re.compile(r"[0-9a-f]{2}")


@dataclass(frozen=True)
class Bounds:
    """Where the symbolic links of one model may lead.

    Attributes:
        directories: all links in these paths are followed.
        model: the model file, all links followed; None for links that belong to no model.
    """

    directories: tuple[Path, ...]
    model: Path | None = None

    @classmethod
    def of(cls, model: Path, repositories: Sequence[Path] = ()) -> Self:
        """Return the bounds of a model file; `repositories` are directories that the user named."""
        real = follow(model)
        return cls((follow(model.parent), real.parent, *map(follow, repositories)), real)

    @classmethod
    def beside(cls, model: Path, directory: Path, repositories: Sequence[Path] = ()) -> Self:
        """Return the bounds of files that are in another directory of the model, such as its configuration."""
        bounds = cls.of(model, repositories)
        return cls((follow(directory), *bounds.directories), bounds.model)

    def contain(self, path: Path) -> bool:
        """Return whether a path, with all links followed, lies within the bounds."""
        target = follow(path)
        if self.model is not None and (store := _store(target)) is not None and store == _store(self.model):
            return True
        return any(
            target.is_relative_to(directory) and ".git" not in target.relative_to(directory).parts
            for directory in self.directories
        )

    def require(self, path: Path) -> None:
        """Raise for a file beside the model that leads out of the bounds.

        Raises:
            ModelError: `path` is a symbolic link to what is not the model's.
        """
        if not self.contain(path):
            raise ModelError(
                f"{path}: a symbolic link to {follow(path)}, which is not the model's",
                fix="put the file itself in its place",
            )


def follow(path: Path) -> Path:
    """Return the absolute path with all links followed, also where the path leads nowhere or back to itself."""
    return Path(os.path.realpath(path))


def _store(path: Path) -> Path | None:
    """Return the root of the content-addressed store that a file lies in; None for any other file."""
    if _DIGEST.fullmatch(path.name) and _DIGEST_DIRECTORY.fullmatch(path.parent.name):
        return path.parent.parent
    if path.name == path.parent.name and len(path.parents) > 4 and path.parts[-6:-4] == ("annex", "objects"):
        return path.parents[3]
    return None
