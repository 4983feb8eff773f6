"""The server's Python packages for the board's architecture, fetched by pip on this host."""

import hashlib
import subprocess
import sys
from pathlib import Path

from edgesim import paths
from edgesim.errors import DiskFull, PackagesUnavailable
from edgesim.host import proxies
from edgesim.host.architecture import machine_of
from edgesim.host.cache import make_public, new_entry
from edgesim.images.runtime_releases import BOOKWORM, Debian

_NEEDED_BYTES = 300 << 20  # for the wheels, and the packages unpacked from them
# The versions of glibc that wheels are built for: a system runs those of its own and of older ones.
_GLIBC = ((2, 36), (2, 35), (2, 34), (2, 31), (2, 28), (2, 27), (2, 17))


def fetch(architecture: str, requirements: str, debian: Debian = BOOKWORM) -> Path:
    """Return a directory of installed packages for `architecture` (``arm64``, ``amd64``); cached.

    Args:
        requirements: the lines of a requirements file that pins all packages.
        debian: the system that they are for, with its Python and its glibc.

    Raises:
        PackagesUnavailable: the package index does not answer, or lacks a package.
        DiskFull: no space is left for the packages.
    """
    digest = hashlib.sha256(f"{debian}\n{requirements}".encode()).hexdigest()[:12]
    directory = paths.cache_directory() / "packages" / f"{architecture}-{digest}"
    if directory.is_dir():
        return directory
    with new_entry(directory, needed_bytes=_NEEDED_BYTES) as entry:
        # pip knows this host's index, mirror and certificates.
        tags = [f"manylinux_{major}_{minor}" for major, minor in _GLIBC if (major, minor) <= debian.glibc]
        machine = machine_of(architecture)
        platforms = [word for tag in (*tags, "manylinux2014") for word in ("--platform", f"{tag}_{machine}")]
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile", "--only-binary=:all:"]
        python = ["--implementation", "cp", "--python-version", debian.python]
        pins = entry.with_suffix(".txt")
        pins.write_text(requirements)
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
            str(pins),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            if "No space left" in done.stderr:
                raise DiskFull(
                    f"no space left for the server's packages in {directory.parent}",
                    fix=f"free some space: df -h {directory.parent}",
                )
            if (proxy := proxies.named_in(done.stderr)) is not None:
                raise PackagesUnavailable(
                    f"pip cannot fetch the server's Python packages through the proxy {proxy}",
                    fix="start the proxy, or correct or unset the variable; pip config list shows pip's own proxy",
                    log="\n".join(done.stderr.splitlines()[-8:]),
                )
            raise PackagesUnavailable(
                f"the server's Python packages for {architecture} could not be fetched",
                fix=f"check the package index: pip download --no-deps {' '.join(requirements.split())}",
                log="\n".join(done.stderr.splitlines()[-8:]),
            )
        make_public(entry)
    return directory
