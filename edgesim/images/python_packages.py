"""The server's Python packages for the board's architecture, fetched by pip on this host."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

from edgesim import paths
from edgesim.errors import DiskFull, PackagesUnavailable
from edgesim.host.architecture import machine_of
from edgesim.host.cache import make_public, new_entry

PYTHON = "3.11"
_NEEDED_BYTES = 300 << 20  # for the wheels, and the packages unpacked from them
_MANYLINUX = re.compile(r"manylinux_(\d+)_(\d+)_")
# Debian 12 has glibc 2.36, which runs wheels built for any of these.
_GLIBC = (
    "manylinux_2_36",
    "manylinux_2_35",
    "manylinux_2_34",
    "manylinux_2_31",
    "manylinux_2_28",
    "manylinux_2_27",
    "manylinux_2_17",
    "manylinux2014",
)


def requirements_file() -> Path:
    """Return the file that pins the server's packages."""
    return paths.server_directory() / "requirements.txt"


def fetch(architecture: str, requirements: Path | None = None) -> Path:
    """Return a directory of installed packages for `architecture` (``arm64``, ``amd64``) and Python 3.11; cached.

    Args:
        requirements: a file that pins all packages; None means the server's.

    Raises:
        PackagesUnavailable: the package index does not answer, or lacks a package.
        DiskFull: no space is left for the packages.
    """
    requirements = requirements if requirements is not None else requirements_file()
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    directory = paths.cache_directory() / "packages" / f"{architecture}-{digest}"
    if directory.is_dir():
        return directory
    with new_entry(directory, needed_bytes=_NEEDED_BYTES) as entry:
        # pip knows this host's index, mirror and certificates.
        platforms = [word for glibc in _GLIBC for word in ("--platform", f"{glibc}_{machine_of(architecture)}")]
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile", "--only-binary=:all:"]
        python = ["--implementation", "cp", "--python-version", PYTHON]
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            *options,
            *python,
            *platforms,
            "--target",
            str(entry),
            "--requirement",
            str(requirements),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            if "No space left" in done.stderr:
                raise DiskFull(
                    f"no space left for the server's packages in {directory.parent}",
                    fix=f"free some space: df -h {directory.parent}",
                )
            raise PackagesUnavailable(
                f"the server's Python packages for {architecture} could not be fetched",
                fix=f"check the package index: pip download --no-deps -r {requirements}",
                log="\n".join(done.stderr.splitlines()[-8:]),
            )
        make_public(entry)
    return directory


def glibc_needed(directory: Path) -> tuple[int, int]:
    """Return the oldest glibc that all packages in a directory run with, by the tags of their wheels (PEP 600)."""
    needed = (2, 17)
    for wheel in directory.glob("*.dist-info/WHEEL"):
        # A wheel may have several tags, one for each glibc that it runs with: the oldest counts.
        versions = [(int(major), int(minor)) for major, minor in _MANYLINUX.findall(wheel.read_text())]
        needed = max(needed, min(versions, default=needed))
    return needed
