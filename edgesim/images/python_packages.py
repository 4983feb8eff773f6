"""Python packages, fetched by pip: the server's for the board's architecture, and the reference's for this host."""

import hashlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from edgesim import paths
from edgesim.errors import PackagesUnavailable, of_limit_in
from edgesim.host import cache, proxies
from edgesim.host.architecture import machine_of
from edgesim.host.scratch import full_disk
from edgesim.images.runtime_releases import BOOKWORM, Debian, RuntimeRelease

_OLDEST_PYTHON = 9  # of `edgesim.measure.release_worker`: 3.9
_NEEDED_BYTES = 300 << 20  # for the wheels, and the packages unpacked from them
_MOST_PINS_IN_FIX = 8  # a command that fits on a terminal shows whether the index answers
# The versions of glibc that wheels are built for: a system runs those of its own and of older ones.
_GLIBC = ((2, 41), (2, 39), (2, 36), (2, 35), (2, 34), (2, 31), (2, 28), (2, 27), (2, 17))


def fetch(architecture: str, requirements: str, debian: Debian = BOOKWORM, *, program: str = "the server") -> Path:
    """Return a directory of installed packages for `architecture` (``arm64``, ``amd64``); cached.

    Args:
        requirements: the lines of a requirements file that pins all packages.
        debian: the system that they are for, with its Python and its glibc.
        program: what runs with the packages, for the error.

    Raises:
        PackagesUnavailable: the package index does not answer, or lacks a package.
        DiskFull: no space is left for the packages.
        HostError: a limit of this process forbids a file of theirs.
    """
    digest = hashlib.sha256(f"{debian}\n{requirements}".encode()).hexdigest()[:12]
    tags = [f"manylinux_{major}_{minor}" for major, minor in _GLIBC if (major, minor) <= debian.glibc]
    machine = machine_of(architecture)
    platforms = [word for tag in (*tags, "manylinux2014") for word in ("--platform", f"{tag}_{machine}")]
    return _install(
        f"{architecture}-{digest}",
        requirements,
        # pip compares what a wheel requires with the Python that runs pip, whatever the target.
        ["--python-version", debian.python, "--ignore-requires-python", *platforms],
        what=f"the Python packages of {program} for {architecture}",
    )


def fetch_for_this_host(release: RuntimeRelease) -> tuple[str, Path]:
    """Return a Python of this host, and a directory of packages with which it runs a release of ONNX Runtime; cached.

    The Python is the one that runs edgesim where the release has a wheel for it, else another one of this host's.

    Raises:
        PackagesUnavailable: no Python of this host has a wheel of the release, or the package index does not answer.
        DiskFull: no space is left for the packages.
    """
    python, version = _python_for(release)
    digest = hashlib.sha256(release.requirements_of_reference.encode()).hexdigest()[:12]
    name = f"reference-{platform.machine()}-python{version}-{release.version}-{digest}"
    # Without a network there is another reference, which is not to wait for long.
    target = ["--python-version", version, "--retries", "1", "--timeout", "15"]
    what = f"the packages of {release} for Python {version} of this host"
    return python, _install(name, release.requirements_of_reference, target, what=what)


def _python_for(release: RuntimeRelease) -> tuple[str, str]:
    """Return the command and the version of a Python of this host that the release has wheels for."""
    wheels, own = release.wheels, sys.version_info.minor
    if wheels.oldest <= own <= wheels.newest:
        return sys.executable, f"3.{own}"
    for minor in range(wheels.newest, max(wheels.oldest, _OLDEST_PYTHON) - 1, -1):
        if (found := shutil.which(f"python3.{minor}")) is not None:
            return found, f"3.{minor}"
    raise PackagesUnavailable(
        f"{release} has wheels for Python 3.{wheels.oldest} to 3.{wheels.newest}, and this host has none of these",
        fix=f"install python3.{wheels.newest} on this host",
    )


def _install(name: str, requirements: str, target: Sequence[str], *, what: str) -> Path:
    """Return a directory of the cache with packages installed.

    Args:
        target: pip's options for the system that the packages are for.
        what: the packages in words.

    Raises:
        PackagesUnavailable: the package index does not answer, or lacks a package.
        DiskFull: no space is left for the packages.
    """
    directory = paths.cache_directory() / "packages" / name
    if cache.has(directory):
        return directory
    with cache.new_entry(directory, needed_bytes=_NEEDED_BYTES) as entry:
        # pip knows this host's index, mirror and certificates.
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile", "--only-binary=:all:"]
        pins = entry.with_suffix(".txt")
        pins.write_text(requirements)
        command = [sys.executable, "-P", "-m", "pip", "install", *options, "--implementation", "cp", *target]
        command += ["--target", str(entry), "--requirement", str(pins)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            if "No space left" in done.stderr:
                raise full_disk(what, directory.parent)
            if (limited := of_limit_in(done.stderr, f"pip cannot write {what}")) is not None:
                raise limited
            if (proxy := proxies.named_in(done.stderr)) is not None:
                raise PackagesUnavailable(
                    f"pip cannot fetch {what} through the proxy {proxy}",
                    fix="start the proxy, or correct or unset the variable; pip config list shows pip's own proxy",
                    log="\n".join(done.stderr.splitlines()[-8:]),
                )
            raise PackagesUnavailable(
                f"{what} could not be fetched",
                fix=f"check the package index: pip download --no-deps {_excerpt(requirements.split())}",
                log="\n".join(done.stderr.splitlines()[-8:]),
            )
        cache.make_public(entry)
    return directory


def _excerpt(pins: Sequence[str]) -> str:
    return " ".join(pins[:_MOST_PINS_IN_FIX])
