"""The files of a model: the graph, its weights, and the configuration, inputs and samples beside the graph."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Self

from edgesim.errors import EdgesimError
from edgesim.inputs import named_files
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
            beside += named_below(model.inputs_path, model)
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


def named_below(inputs_file: Path, model: Model) -> Iterator[Path]:
    """Yield the files that an inputs file names, below the directory of the inputs file.

    Yield nothing if the inputs file cannot be read: the cell reports the error.
    """
    try:
        found = [named for named in named_files.named(inputs_file, model) if not named.leads_out]
    except EdgesimError:
        return
    for named in found:
        yield from (path for path in named.paths() if path.is_file())


@lru_cache(maxsize=8)
def _read(path: Path, name: str, root: Path, _sha256: str) -> Model:
    return repository.read(path, name=name, repositories=[root])
