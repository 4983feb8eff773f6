"""ONNX files that lie beside the models of a repository, and belong to none of them."""

import shlex
from collections.abc import Sequence
from pathlib import Path


def of(repository: Path) -> Sequence[Path]:
    """Return the .onnx files of a repository's directory that are no version of a model, by name."""
    return sorted(path for path in repository.iterdir() if path.suffix.lower() == ".onnx" and path.is_file())


def into_place(loose: Path, file_name: str) -> str:
    """Return what makes a model of the repository out of such a file: the layout, and the command.

    Args:
        file_name: of the model in the directory of its version.
    """
    directory, file = (shlex.quote(str(path)) for path in (loose.with_suffix("") / "1", loose))
    return f"a model is at NAME/VERSION/{file_name}: mkdir -p {directory} && mv {file} {directory}/{file_name}"
