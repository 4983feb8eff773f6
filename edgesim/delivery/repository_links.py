"""Symbolic links in a model repository that leads somewhere else: which of them a delivery follows."""

import os
from collections.abc import Iterator
from pathlib import Path

from edgesim import links_in_git
from edgesim.errors import ModelError
from edgesim.models import repository
from edgesim.models.links import Bounds, follow
from edgesim.models.repository import FILE_NAME


class LinkCheck:
    """Checks the symbolic links that one walk through a repository meets, and parses each model once for all of them.

    A check is for one walk: the files may change before the next one.
    """

    def __init__(self) -> None:
        self._parsed: dict[Path, bool] = {}

    def require_allowed(self, link: Path, root: Path) -> None:
        """Check that a link in a directory may be followed; the directory and all links in it may be a stranger's.

        A link may lead to any place in the directory `root`, which the user named. Out of `root` it may lead to a
        model's directory (``model.onnx`` or ``VERSION/model.onnx``), and to an ONNX model. A link in the directory of a
        model, or of its version, may lead to where a link of that model may lead (see `edgesim.models.links`), and to
        the same place beside the target of the model's link: Bazel makes whole trees of links. A link that leads
        nowhere is allowed. A link in git does not lead out of its git repository.

        Raises:
            ModelError: the link leads anywhere else.
        """
        if not link.exists() or Bounds((follow(root),)).contain(link):
            return
        links_in_git.require_none_out(link, ModelError)
        if link.is_dir():
            versions = sorted(entry for entry in link.glob(f"*/{FILE_NAME}") if entry.parent.name.isdigit())
            # A checkout is no model's directory, whatever it contains: .git/config may contain a token.
            allowed = not (link / ".git").exists() and any(map(self._is_onnx, (link / FILE_NAME, *versions)))
        elif link.name == FILE_NAME:
            allowed = self._is_onnx(link)
        else:
            # Parsed first: a link named model.onnx to any file would else make that file's directory an allowed one.
            models = (model for model in _models_near(link, root) if self._is_onnx(model))
            allowed = any(Bounds.of(model, [root]).contain(link) or _is_beside_target(link, model) for model in models)
        if not allowed:
            raise ModelError(
                f"{link}: a symbolic link out of {root}, to {follow(link)}, which is not a model's",
                fix="put the file itself in its place, or give a directory that contains both by `models=DIR`",
            )

    def _is_onnx(self, path: Path) -> bool:
        real = follow(path)
        if real not in self._parsed:
            self._parsed[real] = _parses(path)
        return self._parsed[real]


def _models_near(path: Path, root: Path) -> Iterator[Path]:
    """Yield the model files of the directories above `path`, up to `root`, and of the versions in them."""
    for directory in path.parents:
        versions = (entry for entry in directory.glob(f"*/{FILE_NAME}") if entry.parent.name.isdigit())
        yield from (model for model in (directory / FILE_NAME, *sorted(versions)) if model.is_file())
        if directory == root:
            break


def _is_beside_target(link: Path, model: Path) -> bool:
    """Return whether a link leads from its place beside a linked model to the same place beside the model's target."""
    target = follow(model)
    same = os.path.normpath(target.parent / os.path.relpath(link, model.parent))
    return target.parts[-2:] == model.parts[-2:] and follow(link) == Path(same)


def _parses(path: Path) -> bool:
    try:
        repository.parse(path)
    except ModelError:
        return False
    return True
