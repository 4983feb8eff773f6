"""Where edgesim's own files are: beside the package in a checkout, inside it once installed."""

import os
from pathlib import Path

from platformdirs import user_cache_path, user_config_path

_PACKAGE = Path(__file__).resolve().parent
_INSTALLED = _PACKAGE / "_data"  # the wheel puts profiles/, Dockerfile.* and the engine script here
_ROOT = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent


def profiles_directory() -> Path:
    """The profiles that come with edgesim."""
    return _ROOT / "profiles"


def dockerfile(name: str) -> Path:
    """A Dockerfile that comes with edgesim."""
    return _ROOT / name


def engine_script() -> Path:
    """The script that installs and starts a Docker Engine."""
    return _ROOT / "scripts" / "engine"


def server_directory() -> Path:
    """The serving package, copied into the image as it is."""
    return _PACKAGE / "server"


def cache_directory() -> Path:
    """The user's cache: sample models, base file systems, Python packages (EDGESIM_CACHE_DIR moves it)."""
    override = os.environ.get("EDGESIM_CACHE_DIR")
    return Path(override) if override else user_cache_path("edgesim")


def configuration_directory() -> Path:
    """What the user has told edgesim to keep: calibrations (EDGESIM_CONFIG_DIR moves it)."""
    override = os.environ.get("EDGESIM_CONFIG_DIR")
    return Path(override) if override else user_config_path("edgesim")
