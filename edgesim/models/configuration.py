"""The configuration beside a model: ``config.yaml`` or ``config.pbtxt``, by which the server loads and runs the model.

The server reads these files in the container. edgesim reads the same files here, with the server's own reader, so that
an error in them is told before anything is started.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol, Self

from edgesim.errors import ModelError
from edgesim.models.links import Bounds
from edgesim.server import config_files
from edgesim.server.config import ConfigError, Library, ModelConfig
from edgesim.server.tensor_types import Signature


class Tensor(Protocol):
    """An input or output of a model, see `edgesim.models.signature.Tensor`."""

    @property
    def name(self) -> str: ...

    @property
    def datatype(self) -> str: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def any_rank(self) -> bool: ...


_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """How a model is to be served, as its files said when they were read.

    Attributes:
        directory: the model's directory, which contains its versions.
        paths: the configuration file, and the files of labels and libraries that it names; both kinds of configuration
            file where the directory has both, which the server refuses.
        sha256: digest of the names and contents of all these files, hex.
        config: what the files say; the server's error if it refuses them.
    """

    directory: Path
    paths: tuple[Path, ...]
    sha256: str
    config: ModelConfig | ConfigError

    @classmethod
    def beside(cls, model: Path, repositories: Sequence[Path] = ()) -> Self | None:
        """Read the configuration of a file ``NAME/VERSION/model.onnx``; None if there is none.

        Args:
            repositories: directories that the user named, into which symbolic links may lead.

        Raises:
            ModelError: a file is a symbolic link to what is not the model's (see `edgesim.models.links`).
            PermissionError: this user may not read a file.
        """
        directory = model.parent.parent
        existing = config_files.existing(directory)
        if not existing:
            return None
        bounds = Bounds.beside(model, directory, repositories)
        for path in existing:
            bounds.require(path)
        paths = [path for path in existing if path.is_file()]  # the server refuses all else
        config: ModelConfig | ConfigError
        try:
            config = config_files.read(directory)
            paths += [*_label_files(config, directory), *_library_files(config, directory)]
            for path in paths:
                bounds.require(path)
            config_files.labels(config, directory)
        except ConfigError as error:
            config = error
        return cls(directory=directory, paths=tuple(paths), sha256=_digest(directory, paths), config=config)

    def served(self) -> ModelConfig:
        """Return how the server is to serve the model.

        Raises:
            ModelError: the files have an error, or a field that the server does not understand.
        """
        if isinstance(self.config, ConfigError):
            raise self._refused(self.config) from self.config
        return self.config

    def check(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], *, version: str, board_cores: int) -> None:
        """Check that the configuration fits the model and the board, as the server does.

        Args:
            version: of the model, which the configuration must let the server serve.
            board_cores: the most threads that the configuration may ask for.

        Raises:
            ModelError: the configuration does not fit, or has an error.
        """
        config = self.served()
        try:
            config.check(_signatures(inputs), _signatures(outputs), board_cores)
            if not config.versions.choose([version]):
                raise ConfigError(f"{config.source}: {config.versions}, not version {version}")
        except ConfigError as error:
            raise self._refused(error) from error

    def settings(self) -> dict[str, bool | int | str]:
        """Return the fields that differ from the defaults, without the declared tensors."""
        config, default = self.served(), ModelConfig()
        names = [entry.name for entry in fields(ModelConfig) if entry.name not in ("source", "inputs", "outputs")]
        changed = {name: value for name in names if (value := getattr(config, name)) != getattr(default, name)}
        return {name: _words(value) if isinstance(value, tuple) else value for name, value in changed.items()}

    def _refused(self, error: ConfigError) -> ModelError:
        return ModelError(
            f"{self.directory}: the server refuses its configuration: {error}",
            fix="correct the file; docs/reference/server.md has the fields that the server understands",
        )


def _words(value: tuple[object, ...]) -> str:
    return "; ".join(map(str, value)) if value and isinstance(value[0], Library) else str(value)


def _label_files(config: ModelConfig, directory: Path) -> list[Path]:
    """Return the files of labels that a configuration names; a path out of the directory is not even looked for."""
    names = sorted({output.label_filename for output in config.outputs if output.label_filename})
    below = [name for name in names if not Path(name).is_absolute() and ".." not in Path(name).parts]
    return [path for name in below if (path := directory / name).is_file()]


def _library_files(config: ModelConfig, directory: Path) -> list[Path]:
    """Return the libraries of custom operations that a configuration names, for all architectures."""
    names = sorted({path for library in config.libraries for _, path in library.files})
    return [path for name in names if (path := directory / name).is_file()]


def _digest(directory: Path, paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(directory)}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:  # of any size: the server's reader has refused a large one
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


def _signatures(tensors: Sequence[Tensor]) -> dict[str, Signature]:
    return {tensor.name: Signature(tensor.name, tensor.datatype, tensor.shape, tensor.any_rank) for tensor in tensors}
