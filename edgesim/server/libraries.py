"""The libraries of custom operations that a model's configuration names, as files of this machine."""

from __future__ import annotations

import platform
from pathlib import Path

from .config import ConfigError, Library

# The machine as the kernel names it, and the architecture as Docker does, by which a configuration names its builds.
_ARCHITECTURES = {"aarch64": "arm64", "arm64": "arm64", "x86_64": "amd64", "AMD64": "amd64"}


def architecture() -> str:
    """Return the architecture of this machine, or of the one that is emulated."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def path_of(library: Library, directory: Path) -> Path:
    """Return the file of a library for this machine.

    Args:
        directory: the model's, in which the configuration's paths begin.

    Raises:
        ConfigError: there is no build for this machine, no such file, or the package is not installed.
    """
    if library.package is not None:
        return of_package(library.package)
    name = library.file(architecture())
    if name is None:
        raise ConfigError(f"libraries: {library} has no build for {architecture()}")
    path = directory / name
    if not path.is_file():
        raise ConfigError(f"libraries: {name}: no such file in the model's directory")
    return path


def of_package(package: str) -> Path:
    """Return the library in a Python package, which is not imported: its own imports are no part of this server.

    Raises:
        ConfigError: the package is not installed.
    """
    from importlib.util import find_spec

    found = find_spec(package.replace("-", "_"))
    places = list(found.submodule_search_locations or ()) if found is not None else []
    for place in places:
        for path in sorted(Path(place).glob("_extensions_pydll*")):
            return path
    raise ConfigError(f"libraries: the package {package} is not installed here")
