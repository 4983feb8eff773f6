"""Symbolic links in a model repository that leads somewhere else: which of them a delivery follows."""

from pathlib import Path

from edgesim.errors import ModelError
from edgesim.models import repository
from edgesim.models.links import Bounds, follow
from edgesim.models.repository import FILE_NAME


def require_allowed(link: Path, root: Path) -> None:
    """Check that a link in a directory may be followed; the directory and all links in it may be a stranger's.

    A link may lead to any place in the directory `root`, which the user named. Out of `root` it may lead to a model's
    directory (``model.onnx`` or ``VERSION/model.onnx``), to an ONNX model, or, beside an ONNX model, to where a link of
    that model may lead (see `edgesim.models.links`). A link that leads nowhere is allowed.

    Raises:
        ModelError: the link leads anywhere else.
    """
    if not link.exists() or Bounds((follow(root),)).contain(link):
        return
    if link.is_dir():
        versions = sorted(entry for entry in link.glob(f"*/{FILE_NAME}") if entry.parent.name.isdigit())
        # A checkout is no model's directory, whatever it contains: .git/config may contain a token.
        allowed = not (link / ".git").exists() and any(map(_is_onnx, (link / FILE_NAME, *versions)))
    elif link.name == FILE_NAME:
        allowed = _is_onnx(link)
    else:
        model = _model_beside(link, root)
        # Parsed first: a link named model.onnx to any file would else make that file's directory an allowed one.
        allowed = model is not None and _is_onnx(model) and Bounds.of(model, [root]).contain(link)
    if not allowed:
        raise ModelError(
            f"{link}: a symbolic link out of {root}, to {follow(link)}, which is not a model's",
            fix="put the file itself there, or give a directory that contains both by `models=DIR`",
        )


def _model_beside(path: Path, root: Path) -> Path | None:
    """Return the model file of the closest directory above `path`, up to `root`."""
    for directory in path.parents:
        if (directory / FILE_NAME).is_file():
            return directory / FILE_NAME
        if directory == root:
            break
    return None


def _is_onnx(path: Path) -> bool:
    try:
        repository.parse(path)
    except ModelError:
        return False
    return True
