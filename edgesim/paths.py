"""Paths of edgesim's own files: beside the package in a checkout, inside the package once installed."""

import os
from pathlib import Path

from platformdirs import user_cache_path, user_config_path

_PACKAGE = Path(__file__).resolve().parent
_INSTALLED = _PACKAGE / "_data"  # the wheel puts profiles/, Dockerfile.* and the engine script here
_ROOT = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent


def profiles_directory() -> Path:
    """Return the directory of the profiles that come with edgesim."""
    return _ROOT / "profiles"


def dockerfile(name: str) -> Path:
    """Return the path of a Dockerfile that comes with edgesim."""
    return _ROOT / name


def engine_script() -> Path:
    """Return the path of the script that installs and starts a Docker Engine."""
    return _ROOT / "scripts" / "engine"


def server_directory() -> Path:
    """Return the directory of the server package, which is copied into the image unchanged."""
    return _PACKAGE / "server"


def cache_directory() -> Path:
    """Return the user's cache: sample models, base file systems, Python packages (EDGESIM_CACHE_DIR moves it)."""
    override = os.environ.get("EDGESIM_CACHE_DIR")
    return Path(override) if override else user_cache_path("edgesim")


def configuration_directory() -> Path:
    """Return the directory of what the user told edgesim to keep: calibrations (EDGESIM_CONFIG_DIR moves it)."""
    override = os.environ.get("EDGESIM_CONFIG_DIR")
    return Path(override) if override else user_config_path("edgesim")
