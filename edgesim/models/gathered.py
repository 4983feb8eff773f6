"""The files of a model in one directory, without symbolic links, for ONNX Runtime on this host.

ONNX Runtime (1.31) follows links less far than edgesim: those of initializers only to the directory that the model file
itself lies in; and for the weights of branches, loops and functions it takes no link at all, nor a file with several
hard links. Copies are left.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgesim.host.scratch import scratch_directory
from edgesim.models import external_weights, repository
from edgesim.models.repository import FILE_NAME, Model


def has_links(model: Model) -> bool:
    """Return whether the model file or a file of its weights is a symbolic link."""
    return any(path.is_symlink() for path in (model.path, *model.data_paths))


def needs_copies(model: Path, weights: Sequence[Path]) -> bool:
    """Return whether ONNX Runtime refuses links to these files.

    Args:
        model, weights: files that are no links themselves.

    Raises:
        ModelError: `model` is not an ONNX model.
    """
    beside = all(path.is_relative_to(model.parent) for path in weights)
    return not beside or (bool(weights) and external_weights.are_nested(repository.parse(model)))


@contextmanager
def gathered(model: Model) -> Iterator[Path]:
    """Yield the model file in a temporary directory with its weights; the directory is gone when the block ends."""
    with scratch_directory() as scratch:
        path = Path(scratch) / FILE_NAME
        copy(model.path, path)
        for data in model.data_paths:
            copy(data, Path(scratch) / data.relative_to(model.path.parent))
        yield path


def copy(source: Path, target: Path) -> None:
    """Copy a file; where the disk has no space, make a symbolic link, which ONNX Runtime may refuse with its reason."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, target)
    except OSError:
        target.unlink(missing_ok=True)
        target.symlink_to(source.resolve())
