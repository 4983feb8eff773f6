"""Files with the values of one input: arrays, pictures, sounds, and lines of text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim import untrusted
from edgesim.errors import ModelError
from edgesim.inputs import array_files, pictures, sounds
from edgesim.inputs.array_types import as_type_of
from edgesim.inputs.inputs_file import Entry
from edgesim.inputs.samples import divide
from edgesim.models.repository import Model
from edgesim.models.signature import Tensor

_MOST_FILES = 10_000
_MOST_TEXT_BYTES = 64 * untrusted.MIB
_WILD = "*?["


class ValueFiles:
    """Reads the files that a file of inputs names.

    Args:
        directory: what relative paths are relative to.
        stay_inside: refuse files outside of the directory, as for a file of inputs that came with a stranger's model.
    """

    def __init__(self, model: Model, directory: Path, *, stay_inside: bool) -> None:
        self._model, self._directory, self._stay_inside = model, directory.absolute(), stay_inside
        self._most_bytes = array_files.most_bytes()

    def lines(self, tensor: Tensor, path: Path) -> Sequence[NDArray[Any]]:
        """Return the lines of a text file, each as the smallest array that the tensor takes.

        Raises:
            ModelError: the file cannot be read or is empty, or the tensor is no text or of more elements.
        """
        where = f"inputs.{tensor.name}.lines"
        if tensor.datatype != "BYTES":
            raise ModelError(f"{where}: is for text; the model takes {tensor}")
        if any(size not in (-1, 1) for size in tensor.shape):
            raise ModelError(f"{where}: a line is one text; the model takes {tensor}", fix="give lists: value, one_of")
        file = self._inside(path, where)
        try:
            lines = untrusted.read_text(file, _MOST_TEXT_BYTES).splitlines()
        except OSError as error:
            raise ModelError(f"{where}: {file}: {error.strerror}", fix=untrusted.fix_of(error)) from error
        if not lines:
            raise ModelError(f"{where}: {file}: has no lines", fix="write one text on each line, one for each request")
        return [np.array([line], np.object_).reshape((1,) * len(tensor.shape)) for line in lines]

    def arrays(self, tensor: Tensor, entry: Entry, shape: Sequence[int]) -> Sequence[NDArray[Any]]:
        """Return the arrays of an entry's files: of a single file its samples, of several files one array each.

        Args:
            shape: the tensor's sizes as far as they are known, for pictures and sounds; -1 where one is not.

        Raises:
            ModelError: no file, or one cannot be read or does not fit the tensor.
        """
        where, pattern = f"inputs.{tensor.name}.file", entry.file or ""
        files = self._files(pattern, where)
        requests: list[NDArray[Any]] = []
        for file in files:
            if file.suffix.lower() in pictures.SUFFIXES:
                requests.append(self._picture(tensor, entry, file, shape))
            elif file.suffix.lower() == sounds.SUFFIX:
                requests += self._counted(sounds.read(file, tensor, shape, rate_hz=entry.rate), where)
            elif len(files) > 1:
                requests.append(self._array(tensor, file, entry.key))
            else:
                samples = {tensor.name: self._array(tensor, file, entry.key)}
                requests += [request[tensor.name] for request in divide(self._model, samples, str(file))]
        for values in requests:
            if not tensor.fits(values.shape):
                raise ModelError(
                    f"{where}: {pattern}: {list(values.shape)} per request; the model takes {tensor}",
                    fix="save an array of these sizes; samples lie along the first axis",
                )
        if not requests:
            raise ModelError(f"{where}: {pattern}: contains no inputs")
        return requests

    def _picture(self, tensor: Tensor, entry: Entry, file: Path, shape: Sequence[int]) -> NDArray[Any]:
        values = pictures.read(
            file,
            tensor,
            shape,
            normalization=entry.normalize,
            colors=entry.colors or "rgb",
            fit=entry.fit or "stretch",
        )
        return self._counted([values], f"inputs.{tensor.name}.file")[0]

    def _counted(self, arrays: Sequence[NDArray[Any]], where: str) -> Sequence[NDArray[Any]]:
        """Return arrays if there is memory for them beside the others.

        Raises:
            ModelError: there is not.
        """
        self._most_bytes -= sum(values.nbytes for values in arrays)
        if self._most_bytes < 0:
            raise ModelError(f"{where}: needs more memory than this host has for inputs", fix="name fewer files")
        return arrays

    def _array(self, tensor: Tensor, file: Path, key: str | None) -> NDArray[Any]:
        arrays = array_files.read(file, self._most_bytes)
        name = key if key is not None else tensor.name
        if name not in arrays and len(arrays) == 1 and key is None:
            (name,) = arrays
        if name not in arrays:
            raise ModelError(f"{file}: has no array {name!r}; it has {', '.join(sorted(arrays))}", fix="key: NAME")
        self._most_bytes -= arrays[name].nbytes
        return as_type_of(tensor, arrays[name], f"{file}: {name}")

    def _files(self, pattern: str, where: str) -> Sequence[Path]:
        if not any(letter in pattern for letter in _WILD):
            return [self._inside(Path(pattern), where)]
        base = self._inside(Path(pattern).parent, where)
        if any(letter in str(base) for letter in _WILD):
            raise ModelError(f"{where}: {pattern}: a pattern is for names of files, not of directories")
        files = sorted(base.glob(Path(pattern).name)) if base.is_dir() else []
        if not files:
            raise ModelError(f"{where}: {pattern}: no such file", fix=f"name files in {base}")
        if len(files) > _MOST_FILES:
            raise ModelError(f"{where}: {pattern}: more than {_MOST_FILES:,} files")
        return [self._inside(file, where) for file in files]  # a file may be a symbolic link

    def _inside(self, path: Path, where: str) -> Path:
        """Return the absolute path of a file that is named in the file of inputs.

        Raises:
            ModelError: it leads out of the directory, and must not.
        """
        file = self._directory / path.expanduser()
        if self._stay_inside and not file.resolve().is_relative_to(self._directory.resolve()):
            raise ModelError(
                f"{where}: {path}: is outside the model's directory",
                fix="if you trust the inputs file, name it: `inputs_file`",
            )
        return file
