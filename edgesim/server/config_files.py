"""The configuration files beside a model: `config.yaml`, or the understood part of Triton's `config.pbtxt`.

Nothing is guessed: a field that this server does not understand is an error that names the field. The two forms are
imported only when a model has such a file: under emulation each import delays the server's readiness.
"""

from __future__ import annotations

import errno
from pathlib import Path

from .config import ConfigError, ModelConfig

YAML_NAME = "config.yaml"
PBTXT_NAME = "config.pbtxt"
# ImageNet's labels have 30 kB, those of its 21,000 classes 700 kB.
_MOST_BYTES = 16 * 2**20


def read(directory: Path) -> ModelConfig:
    """Read the configuration in a model's directory, beside its versions; the default one if there is none.

    Raises:
        ConfigError: the file cannot be read, or has a field or value that is not understood.
    """
    try:
        paths = existing(directory)
        if len(paths) > 1:
            raise ConfigError(f"{directory}: both {YAML_NAME} and {PBTXT_NAME}: keep one")
        if not paths:
            return ModelConfig()
        text = _text(paths[0])
        if paths[0].name == YAML_NAME:
            from . import config_yaml

            return config_yaml.from_yaml(text, source=YAML_NAME)
        from . import triton_config

        return triton_config.from_pbtxt(text, directory.name, source=PBTXT_NAME)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{directory}: its configuration cannot be read: {error}") from error


def existing(directory: Path) -> list[Path]:
    """Return the configuration files of a model's directory: also what is no file, which `read` refuses.

    To pass over a link to nothing would be to serve the model as its author did not want.

    Raises:
        PermissionError: this user may not look into the directory.
    """
    return [path for name in (YAML_NAME, PBTXT_NAME) if _is_there(path := directory / name)]


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _text(path: Path) -> str:
    """Return the text of a file of a bounded size; raises OSError or UnicodeDecodeError."""
    if not path.is_file():  # a pipe that nobody writes to would never end
        if path.exists():
            raise OSError(errno.EINVAL, "not a file", str(path))
        reason = "a symbolic link to nothing" if path.is_symlink() else "no such file"
        raise FileNotFoundError(errno.ENOENT, reason, str(path))
    if path.stat().st_size > _MOST_BYTES:
        raise OSError(errno.EFBIG, f"larger than {_MOST_BYTES} bytes", str(path))
    return path.read_text(encoding="utf-8")


def labels(config: ModelConfig, directory: Path) -> dict[str, list[str]]:
    """Read the names of classes, by output: the lines of its `label_filename` in the model's directory.

    Clients see the labels, and may send the configuration: no other file may be read.

    Raises:
        ConfigError: such a file cannot be read, or is not in the directory.
    """
    labels_by_output = {}
    for output in config.outputs:
        if output.label_filename:
            if output.label_filename.startswith("/") or ".." in Path(output.label_filename).parts:
                raise ConfigError(
                    f"{config.source}: label_filename {output.label_filename!r}: not in the model's directory"
                )
            try:
                text = _text(directory / output.label_filename)
            except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a name with a zero byte
                raise ConfigError(f"{config.source}: label_filename {output.label_filename!r}: {error}") from error
            labels_by_output[output.name] = text.splitlines()
    return labels_by_output
