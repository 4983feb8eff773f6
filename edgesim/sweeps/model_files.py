"""The files of a model: the graph, its weights, and the configuration, inputs and samples beside the graph."""

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Self

from edgesim.errors import EdgesimError
from edgesim.inputs import named_files
from edgesim.inputs.named_files import NamedFiles
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.sweeps.file_tree import FileTree, tree_files

# Beside the model's samples: the right outputs, see `edgesim.jobs.check`.
_GOLDEN = "golden.npz"


class ModelFiles(FileTree):
    """The files of a model with their digests.

    Attributes:
        name: the model's name in results.
        entry: the path of the ONNX file below `root`.
        files: the ONNX file, its weights, configuration, inputs, samples and right outputs.
        size_bytes: the size of the artifact: the ONNX file and its weights.
    """

    name: str
    entry: str
    size_bytes: int

    @classmethod
    def of(cls, model: Model) -> Self:
        """Return the files of a model."""
        in_repository = model.path.name == repository.FILE_NAME and model.path.parent.name.isdigit()
        root = model.path.parent.parent.parent if in_repository else model.path.parent
        beside = [model.samples_path, model.inputs_path]
        if model.samples_path is not None:
            beside.append(model.samples_path.with_name(_GOLDEN))
        configuration = model.configuration.paths if model.configuration is not None else ()
        if model.inputs_path is not None:
            # What leads out of the model's directory is refused when the file is read.
            beside += _files(each for each in _named(model.inputs_path, model) if not each.leads_out)
        paths = [model.path, *model.data_paths, *configuration, *(path for path in beside if path and path.is_file())]
        return cls(
            name=model.name,
            root=root,
            entry=model.path.relative_to(root).as_posix(),
            files=tree_files(root, paths),
            size_bytes=model.size_bytes,
        )

    @classmethod
    def unread(cls, path: Path) -> Self:
        """Return an ONNX file that cannot be read as a model: the cell reports the reason."""
        in_repository = path.name == repository.FILE_NAME and path.parent.name.isdigit()
        path = path.parent.resolve() / path.name
        root = path.parent.parent.parent if in_repository else path.parent
        files = tree_files(root, [path])
        name = path.parent.parent.name if in_repository else path.stem
        entry = path.relative_to(root).as_posix()
        return cls(name=name, root=root, entry=entry, files=files, size_bytes=files[0].size_bytes)

    @property
    def path(self) -> Path:
        """The ONNX file on this machine."""
        return self.root / self.entry

    def read(self) -> Model:
        """Read the model on this machine; a model of the same content is read once.

        Raises:
            ModelError, HostError: see `edgesim.models.repository.read`.
        """
        return _read(self.path, self.name, self.root, self.sha256)


def inputs_tree(path: Path, model: Model) -> FileTree:
    """Return a user's inputs file with the files that it names, below the directory that contains all of them.

    Raises:
        OSError: a file cannot be read.
    """
    named = _named(path, model)
    if not any(each.leads_out for each in named):
        return FileTree.below(path.parent, [path, *_files(named)])
    paths = [Path(os.path.normpath(file)) for file in (path, *_files(named))]
    root = Path(os.path.commonpath([file.parent for file in paths]))
    absolute = next((each.pattern for each in named if each.is_absolute), None)
    return FileTree(root=root, files=tree_files(root, paths), named_absolutely=absolute)


def _named(inputs_file: Path, model: Model) -> list[NamedFiles]:
    """Return what an inputs file names; nothing if the file cannot be read: the cell reports the error."""
    try:
        return list(named_files.named(inputs_file, model))
    except EdgesimError:
        return []


def _files(named: Iterable[NamedFiles]) -> list[Path]:
    return [path for each in named for path in each.paths() if path.is_file()]


@lru_cache(maxsize=8)
def _read(path: Path, name: str, root: Path, _sha256: str) -> Model:
    return repository.read(path, name=name, repositories=[root])
