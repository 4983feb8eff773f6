"""The files of a model, with the digest of each: what a cell's result depends on, and what travels to a worker."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from edgesim.models import repository
from edgesim.models.repository import Model

_CHUNK_BYTES = 1 << 20
# Beside the model's samples: the right outputs, see `edgesim.jobs.check`.
_GOLDEN = "golden.npz"


class ModelFile(BaseModel):
    """One file of a model: its path below `ModelFiles.root`, with slashes."""

    model_config = ConfigDict(frozen=True)

    path: str
    sha256: str
    size_bytes: int


class ModelFiles(BaseModel):
    """A model by its content.

    Another machine that has the files with these digests, at these paths below a root of its own, has the same model.

    Attributes:
        name: as results call the model.
        root: the directory of the files on this machine.
        entry: the path of the ONNX file below `root`.
        files: the ONNX file, its weights, and what lies beside it: configuration, inputs, samples, right outputs.
        size_bytes: of the ONNX file and its weights, the artifact.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    root: Path
    entry: str
    files: tuple[ModelFile, ...]
    size_bytes: int

    @classmethod
    def of(cls, model: Model) -> Self:
        """Return the files of a model that was found."""
        in_repository = model.path.name == repository.FILE_NAME and model.path.parent.name.isdigit()
        root = model.path.parent.parent.parent if in_repository else model.path.parent
        beside = [model.samples_path, model.inputs_path]
        if model.samples_path is not None:
            beside.append(model.samples_path.with_name(_GOLDEN))
        configuration = model.configuration.paths if model.configuration is not None else ()
        paths = [model.path, *model.data_paths, *configuration, *(path for path in beside if path and path.is_file())]
        return cls(
            name=model.name,
            root=root,
            entry=_below(model.path, root),
            files=_files(paths, root),
            size_bytes=model.size_bytes,
        )

    @classmethod
    def unread(cls, path: Path) -> Self:
        """Return an ONNX file alone, which cannot be read as a model: the cell says why."""
        in_repository = path.name == repository.FILE_NAME and path.parent.name.isdigit()
        path = path.parent.resolve() / path.name
        root = path.parent.parent.parent if in_repository else path.parent
        files = _files([path], root)
        name = path.parent.parent.name if in_repository else path.stem
        return cls(name=name, root=root, entry=_below(path, root), files=files, size_bytes=files[0].size_bytes)

    @property
    def path(self) -> Path:
        """The ONNX file on this machine."""
        return self.root / self.entry

    @property
    def sha256(self) -> str:
        """The digest of all files and their paths, hex."""
        text = "\n".join(f"{file.path}\0{file.sha256}" for file in self.files)
        return hashlib.sha256(text.encode()).hexdigest()

    def read(self) -> Model:
        """Read the model on this machine; one that was read before, with the same content, is not read again.

        Raises:
            ModelError, HostError: see `edgesim.models.repository.read`.
        """
        return _read(self.path, self.name, self.root, self.sha256)


@lru_cache(maxsize=8)
def _read(path: Path, name: str, root: Path, _sha256: str) -> Model:
    return repository.read(path, name=name, repositories=[root])


def _files(paths: Sequence[Path], root: Path) -> tuple[ModelFile, ...]:
    return tuple(
        ModelFile(path=_below(path, root), sha256=file_sha256(path), size_bytes=path.stat().st_size)
        for path in dict.fromkeys(paths)
    )


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


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
