"""The docker command of this host: how edgesim calls it for any user, and which of this host's files it sees."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import orjson

from edgesim import paths
from edgesim.errors import HostError
from edgesim.host.proxies import without_password

_SNAP = Path("/usr/bin/snap")
# Keys of ``proxies`` in config.json, and what becomes of them (docs.docker.com/engine/cli/proxy).
_PROXIES = {
    "httpProxy": "HTTP_PROXY",
    "httpsProxy": "HTTPS_PROXY",
    "ftpProxy": "FTP_PROXY",
    "noProxy": "NO_PROXY",
    "allProxy": "ALL_PROXY",
}


def call(*words: str) -> list[str]:
    """Return the command line of the docker command with `words`.

    The docker command keeps its configuration and the state of buildx in the home directory. For a user without one, as
    in a container with an arbitrary user, it would make ``.docker`` in the working directory; in a home that cannot be
    written no build would begin. The directory then is edgesim's cache.

    Raises:
        HostError: neither a home directory nor the cache can be written.
    """
    settings = _settings()
    return [*(["env", *settings] if settings else []), "docker", *words]


def _settings() -> list[str]:
    directory = configuration_directory()
    if directory is None or not _is_readable(directory):
        return [f"DOCKER_CONFIG={_made(paths.cache_directory() / 'docker')}"]
    if "BUILDX_CONFIG" not in os.environ and not _is_writable(directory):
        return [f"BUILDX_CONFIG={_made(paths.cache_directory() / 'buildx')}"]
    return []


def configuration_directory() -> Path | None:
    """Return the directory of the docker command's configuration; None for a user without a home directory."""
    if given := os.environ.get("DOCKER_CONFIG"):
        return Path(given)
    home = paths.home_directory()
    return home / ".docker" if home is not None else None


def proxies() -> dict[str, str]:
    """Return the variables that the docker command sets in the containers and builds that it starts, by ``proxies`` of
    its configuration: without the proxies' passwords, in both spellings. Empty if it sets none.

    Compose does so, too, and so does the docker package unless it is told not to.
    """
    directory = configuration_directory()
    try:
        text = (directory / "config.json").read_bytes() if directory is not None else b"{}"
        configured = orjson.loads(text).get("proxies", {})
        by_engine = list(configured.values())
    except (OSError, ValueError, AttributeError):
        return {}
    set_ = {
        variable: without_password(str(proxies[key]))
        for proxies in by_engine
        if isinstance(proxies, dict)
        for key, variable in _PROXIES.items()
        if proxies.get(key)
    }
    return set_ | {name.lower(): value for name, value in set_.items()}


def _is_readable(directory: Path) -> bool:
    """Return whether the docker command can look into `directory`, or sees that there is none."""
    try:
        next(directory.iterdir(), None)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return True


def _is_writable(directory: Path) -> bool:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(directory, os.W_OK | os.X_OK)


def _made(directory: Path) -> Path:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise HostError(
            f"the docker command needs a directory for its state, and {directory} cannot be made: {error.strerror}",
            fix="set HOME or EDGESIM_CACHE_DIR to a directory that you can write",
        ) from error
    return directory


# --- docker from snap -------------------------------------------------------------------------------------------------


def is_snap(program: str | None = None) -> bool:
    """Return whether the docker command is the snap; its engine is then most likely the snap's, too."""
    program = program if program is not None else shutil.which("docker")
    return program is not None and (program.startswith("/snap/") or Path(program).resolve() == _SNAP)


def unseen_by_snap(files: Iterable[Path], home: Path | None) -> list[Path]:
    """Return those of `files` that a snap cannot read.

    Its interface to the home directory leaves out hidden directories in it; all else, /tmp among it, is the snap's own
    (https://snapcraft.io/docs/home-interface).
    """

    def is_seen(path: Path) -> bool:
        if home is None or not path.is_relative_to(home):
            return False
        inside = path.relative_to(home).parts
        return bool(inside) and not inside[0].startswith(".")

    return [path for path in files if not is_seen(path)]


def require_seen(files: Iterable[Path]) -> None:
    """Check that the docker command can read `files`.

    Raises:
        HostError: the docker command is the snap, which sees another /tmp and no hidden directories.
    """
    if not is_snap():
        return
    home = paths.home_directory()
    if unseen := unseen_by_snap(files, home):
        raise snap_error(unseen, home)


def require_scratch_seen() -> None:
    """Check that the docker command can read what edgesim makes for it: build contexts, base systems, Compose files.

    Raises:
        HostError: the docker command is the snap, and edgesim's cache or the temporary files are hidden from it.
    """
    require_seen([Path(tempfile.gettempdir()), paths.cache_directory()])


def snap_error(unseen: Sequence[Path], home: Path | None) -> HostError:
    """Return the error for files that the snap cannot read."""
    cache = (home if home is not None else Path("~")) / "edgesim"
    scratch = cache / "scratch"
    return HostError(
        f"docker is the snap, which cannot read {' and '.join(map(str, unseen))}",
        fix=f"mkdir -p {scratch}; export EDGESIM_CACHE_DIR={cache} TMPDIR={scratch} (or install Docker's own packages)",
    )
