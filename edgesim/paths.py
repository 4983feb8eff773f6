"""Paths of edgesim's own files: beside the package in a checkout, inside the package once installed."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from platformdirs import user_cache_path, user_config_path

from edgesim.errors import HostError

_PACKAGE = Path(__file__).resolve().parent
_INSTALLED = _PACKAGE / "_data"  # the wheel puts `DATA` here
_ROOT = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent
# What edgesim needs beside its package, by its place in a checkout: its place in `_data`. As in pyproject.toml.
DATA = {
    "profiles": "profiles",
    "Dockerfile.jetson": "Dockerfile.jetson",
    "Dockerfile.edgesim": "Dockerfile.edgesim",
    "scripts/engine": "scripts/engine",
    "scripts/counting-emulator": "scripts/counting-emulator",
    "examples/stacks/notebook/image": "notebook",
}


def is_file(path: str | Path) -> bool:
    """Return whether a path is a regular file; False for a text that can be no path, because of its length."""
    try:
        return Path(path).is_file()
    except OSError:
        return False


def exists(path: Path) -> bool:
    """Return whether a path is there; False for one that is longer than the file system takes."""
    try:
        return path.exists()
    except OSError:
        return False


def package_files() -> Mapping[str, Path]:
    """Return the files of an installed edgesim by their names relative to its package, ``_data/`` included."""
    files = {str(path.relative_to(_PACKAGE)): path for path in _files_below(_PACKAGE)}
    if _ROOT != _INSTALLED:
        for source, target in DATA.items():
            for path in _files_below(_ROOT / source):
                files[str(Path(_INSTALLED.name, target, path.relative_to(_ROOT / source)))] = path
    return files


def _files_below(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.name != "__pycache__":
        for child in sorted(path.iterdir()):
            yield from _files_below(child)


def profiles_directory() -> Path:
    """Return the directory of the profiles that come with edgesim."""
    return _ROOT / "profiles"


def dockerfile(name: str) -> Path:
    """Return the path of a Dockerfile that comes with edgesim."""
    return _ROOT / name


def notebook_directory() -> Path:
    """Return the directory of the Dockerfile and the requirements of the image of `edgesim notebook`."""
    return _INSTALLED / "notebook" if _ROOT == _INSTALLED else _ROOT / "examples" / "stacks" / "notebook" / "image"


def engine_script() -> Path:
    """Return the path of the script that installs and starts a Docker Engine."""
    return _ROOT / "scripts" / "engine"


def counting_emulator_script() -> Path:
    """Return the path of the script that makes the emulator which counts instructions."""
    return _ROOT / "scripts" / "counting-emulator"


def server_directory() -> Path:
    """Return the directory of the server package, which is copied into the image unchanged."""
    return _PACKAGE / "server"


def home_directory() -> Path | None:
    """Return the user's home directory, by HOME or the user database; None for a user who has neither."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def cache_directory() -> Path:
    """Return the user's cache: sample models, base file systems, Python packages (EDGESIM_CACHE_DIR moves it).

    Raises:
        HostError: the user has no home directory, as an arbitrary user of a container.
    """
    return _directory("EDGESIM_CACHE_DIR", user_cache_path)


def configuration_directory() -> Path:
    """Return the directory of what the user told edgesim to keep: calibrations (EDGESIM_CONFIG_DIR moves it).

    Raises:
        HostError: the user has no home directory, as an arbitrary user of a container.
    """
    return _directory("EDGESIM_CONFIG_DIR", user_config_path)


def _directory(variable: str, default: Callable[[str], Path]) -> Path:
    override = os.environ.get(variable)
    try:
        # Some releases of platformdirs leave the tilde of a user without a home directory.
        directory = (Path(override) if override else default("edgesim")).expanduser()
    except RuntimeError as error:  # of pathlib and of platformdirs: there is no home directory
        raise HostError(
            "this user has no home directory for edgesim's files",
            fix=f"set {variable} to a directory that you can write, or HOME",
        ) from error
    return directory.absolute()
