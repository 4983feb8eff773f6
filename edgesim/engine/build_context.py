"""The digest of a build context: what decides whether an image has to be built again."""

import hashlib
import os
import stat
from pathlib import Path

from docker.utils.build import exclude_paths


def digest(directory: Path, dockerfile: Path) -> str:
    """Return the SHA-256 of all that a build gets from its context: names, modes, links and contents, but no times.

    Files that ``.dockerignore``, or the Dockerfile's own ``NAME.dockerignore``, leaves out do not count.

    Args:
        dockerfile: relative to `directory`.

    Raises:
        OSError: a file cannot be read.
    """
    total = hashlib.sha256()
    # As a set: `exclude_paths` may name a file twice.
    for name in sorted({*exclude_paths(str(directory), _patterns(directory, dockerfile)), str(dockerfile)}):
        path = directory / name
        mode = path.lstat().st_mode
        total.update(f"{name}\0{mode:o}\0".encode(errors="surrogateescape"))
        if stat.S_ISLNK(mode):
            total.update(os.fsencode(path.readlink()))
        elif stat.S_ISREG(mode):
            with path.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def _patterns(directory: Path, dockerfile: Path) -> list[str]:
    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    for path in (directory / own, directory / ".dockerignore"):
        if path.is_file():
            lines = (line.strip() for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines())
            return [line for line in lines if line and not line.startswith("#")]
    return []
