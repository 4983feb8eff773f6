"""The releases of ONNX Runtime that a serving image can have, and the Python and Debian that each of them needs."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from edgesim import paths
from edgesim.errors import UsageError
from edgesim.models.runtime_support import key
from edgesim.profiles import DeviceProfile

# Releases with manylinux wheels on aarch64 and x86_64, for Python 3.9 (up to 1.14) or 3.11 (from 1.15). Source: the
# files of the package onnxruntime on PyPI, November 2026. 1.10 is the newest one that also has a wheel for Python 3.6.
VERSIONS = (
    *("1.10.0", "1.11.0", "1.11.1", "1.12.0", "1.12.1", "1.13.1", "1.14.0", "1.14.1"),
    *("1.15.0", "1.15.1", "1.16.0", "1.16.1", "1.16.2", "1.16.3", "1.17.0", "1.17.1", "1.17.3", "1.18.0", "1.18.1"),
    *("1.19.0", "1.19.2", "1.20.0", "1.20.1", "1.21.0", "1.21.1", "1.22.0", "1.22.1", "1.23.0", "1.23.1", "1.23.2"),
    *("1.24.1", "1.24.2", "1.24.3", "1.24.4", "1.25.0", "1.25.1", "1.26.0", "1.27.0", "1.28.0", "1.29.0", "1.30.0"),
    *("1.31.0", "1.31.1", "1.32.0"),
)


@dataclass(frozen=True)
class Wheels:
    """What the aarch64 wheels of the releases from `first` on need: Python 3.`oldest` to 3.`newest`, and a glibc.

    Source: the names of the files on PyPI.
    """

    first: tuple[int, int]
    oldest: int
    newest: int
    glibc: tuple[int, int]


_WHEELS = (
    Wheels((1, 10), 6, 9, (2, 17)),
    Wheels((1, 11), 7, 9, (2, 17)),
    Wheels((1, 12), 7, 10, (2, 17)),
    Wheels((1, 15), 8, 11, (2, 17)),
    Wheels((1, 17), 8, 12, (2, 27)),
    Wheels((1, 20), 10, 13, (2, 27)),
    Wheels((1, 24), 11, 14, (2, 27)),
    Wheels((1, 29), 11, 14, (2, 28)),
)
# The newest releases of packages that few images have, by Python, with wheels for aarch64 and x86_64: custom
# operations, and gRPC. Source: the files of the packages on PyPI, November 2026.
GRPC = ("grpcio", "typing-extensions")
_EXTRAS = {
    "onnxruntime-extensions": {"3.9": "0.13.0", "3.11": "0.15.2"},
    "grpcio": {"3.9": "1.80.1", "3.11": "1.85.3"},
    "typing-extensions": {"3.9": "4.16.0", "3.11": "4.16.0"},  # grpcio imports it
}
# From this release on there are wheels for Python 3.11.
_FIRST_ON_PYTHON_3_11 = (1, 15)
# From this release on, ONNX Runtime is built against numpy 2; an older one fails to import beside it.
_FIRST_WITH_NUMPY_2 = (1, 19)
_LAST_NUMPY_1 = "1.26.4"
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
_EXAMPLE = "a version such as 1.16.3"
_EXAMPLE_OF_SEVERAL = f"{_EXAMPLE}, or 1.14..1.18"


@dataclass(frozen=True)
class Debian:
    """A Debian release as the base of serving images.

    Attributes:
        python: the version of its package python3.
        glibc: the version of its C library.
    """

    suite: str
    python: str
    glibc: tuple[int, int]

    @property
    def image(self) -> str:
        """Debian's public image."""
        return f"debian:{self.suite}-slim"


BULLSEYE = Debian("bullseye", "3.9", (2, 31))
BOOKWORM = Debian("bookworm", "3.11", (2, 36))
TRIXIE = Debian("trixie", "3.13", (2, 41))


@dataclass(frozen=True, kw_only=True)
class RuntimeRelease:
    """A release of ONNX Runtime, with all that a serving image has to be for it.

    Attributes:
        extras: packages that few images have, see `with_extras`.
    """

    version: str
    debian: Debian
    numpy: str
    extras: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"ONNX Runtime {self.version}"

    @property
    def is_default(self) -> bool:
        """Whether this is the release that images have unless another one is asked for."""
        return self.version == default().version

    @property
    def wheels(self) -> Wheels:
        """What the release's wheels need."""
        return next(wheels for wheels in reversed(_WHEELS) if wheels.first <= key(self.version)[:2])

    @property
    def requirements(self) -> str:
        """The packages of the image, as lines of a requirements file that pins all of them."""
        own = {"onnxruntime": self.version, "numpy": self.numpy}
        own |= {name: _EXTRAS[name][self.debian.python] for name in self.extras}
        pins = {name: version for name, version in _pins(self.debian.python).items() if name not in own} | own
        return "".join(f"{name}=={version}\n" for name, version in sorted(pins.items()))

    @property
    def requirements_of_reference(self) -> str:
        """The packages that a model runs with on this host, whose Python decides which numpy fits."""
        numpy = "numpy>=2" if key(self.version) >= _FIRST_WITH_NUMPY_2 else "numpy<2"
        return f"{numpy}\nonnxruntime=={self.version}\npackaging\n"


def with_extras(release: RuntimeRelease, packages: Iterable[str]) -> RuntimeRelease:
    """Return the release with packages beside it in the image: with custom operations, or for gRPC."""
    return replace(release, extras=tuple(sorted(set(packages))))


@cache
def default() -> RuntimeRelease:
    """Return the release that the server's own requirements pin."""
    return _runtime(_pins(BOOKWORM.python)["onnxruntime"])


def choose(text: str, *, option: str = "runtime") -> RuntimeRelease:
    """Return the release that a word names: ``1.16.3``, or ``1.16`` for its newest patch.

    A release newer than those of `VERSIONS` is taken as it is: the package index knows whether there is one.

    Args:
        option: the field that has the text, for the error.

    Raises:
        UsageError: there is no such release, no image can be made for it, or the text names several releases; the
            message has the reason.
    """
    if names_several(text):
        raise UsageError(
            f"`{option}={text}`: a board has one release", fix=f"edgesim check PROFILE MODEL `runtimes={text}`"
        )
    return _runtime(_version(text.strip(), option, _EXAMPLE))


def names_several(text: str) -> bool:
    """Whether a text is a range or a list of releases, and not a single one."""
    return text == "all" or ".." in text or "," in text


def versions(text: str, *, option: str = "runtimes") -> Sequence[str]:
    """Return the releases that a text names, oldest first: ``all``, versions with commas, ranges: ``1.14..1.18``.

    A version without a patch (``1.16``) stands for its newest patch; within a range each minor version does so. A range
    without an end goes to the oldest or to the newest release.

    Args:
        option: the field that has the text, for the error.

    Raises:
        UsageError: a word is not a version, or names no release.
    """
    if text == "all":
        return _newest_patches(VERSIONS)
    chosen: list[str] = []
    for word in filter(None, (word.strip() for word in text.split(","))):
        first, dots, last = word.partition("..")
        chosen += _range(first, last, f"`{option}={word}`") if dots else [_version(word, option, _EXAMPLE_OF_SEVERAL)]
    if not chosen:
        raise UsageError(f"`{option}={text}`: is not a version", fix=_EXAMPLE_OF_SEVERAL)
    return sorted(dict.fromkeys(chosen), key=key)


def _range(first: str, last: str, where: str) -> Sequence[str]:
    ends = (first or VERSIONS[0], last or VERSIONS[-1])
    low, high = (_parse(end, where, _EXAMPLE_OF_SEVERAL)[:2] for end in ends)
    if chosen := _newest_patches([version for version in VERSIONS if low <= key(version)[:2] <= high]):
        return chosen
    raise UsageError(f"{where}: no release in this range", fix=f"{_minor(VERSIONS[0])}..{_minor(VERSIONS[-1])}")


def _version(word: str, option: str, example: str) -> str:
    where = f"`{option}={word}`"
    parsed = _parse(word, where, example)
    patches = [version for version in VERSIONS if key(version)[: len(parsed)] == parsed]
    if patches:
        return patches[-1]
    if parsed > key(VERSIONS[-1]) and len(parsed) == 3:
        return word
    if parsed < key(VERSIONS[0]):
        raise UsageError(
            f"{where}: edgesim makes no image for ONNX Runtime before {_minor(VERSIONS[0])}",
            fix=f"`{option}={VERSIONS[0]}` is the oldest",
        )
    of_minor = [version for version in VERSIONS if key(version)[:2] == parsed[:2]]
    has = (
        f"{_minor(of_minor[0])} has {', '.join(of_minor)}"
        if of_minor
        else f"they go from {VERSIONS[0]} to {VERSIONS[-1]}"
    )
    raise UsageError(f"{where}: no such release of ONNX Runtime has a wheel; {has}", fix=example)


def _parse(word: str, where: str, example: str) -> tuple[int, ...]:
    match = _VERSION.fullmatch(word)
    if match is None:
        raise UsageError(f"{where}: {word!r} is not a version", fix=example)
    return tuple(int(part) for part in match.groups() if part is not None)


def _runtime(version: str) -> RuntimeRelease:
    parsed = key(version)
    debian = BOOKWORM if parsed >= _FIRST_ON_PYTHON_3_11 else BULLSEYE
    numpy = _pins(BOOKWORM.python)["numpy"] if parsed >= _FIRST_WITH_NUMPY_2 else _LAST_NUMPY_1
    return RuntimeRelease(version=version, debian=debian, numpy=numpy)


def _newest_patches(chosen: Sequence[str]) -> Sequence[str]:
    return list({_minor(version): version for version in chosen}.values())


def _minor(version: str) -> str:
    return version.rpartition(".")[0]


@cache
def _pins(python: str) -> dict[str, str]:
    """Return the versions in the server's requirements for one Python, by package."""
    name = "requirements.txt" if python == BOOKWORM.python else f"requirements-python{python}.txt"
    lines = (paths.server_directory() / name).read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def newest_for(python: str, glibc: str | None) -> RuntimeRelease | None:
    """Return the newest release with a wheel for a system's Python and glibc; None if there is none.

    Args:
        python: such as ``3.6``.
        glibc: such as ``2.27``; None counts as new enough.
    """
    minor = key(python)[1]
    for version in reversed(VERSIONS):
        wheels = _runtime(version).wheels
        if wheels.oldest <= minor <= wheels.newest and (glibc is None or wheels.glibc <= key(glibc)):
            return _runtime(version)
    return None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The release that a board is served with, and why: a few words for the report."""

    release: RuntimeRelease
    reason: str


# Stands for the release of `usual`, in place of a version.
BOARD = "board"


def of_board(profile: DeviceProfile, requested: str | None, *, option: str = "runtime") -> Choice:
    """Return the release for a board: the requested one, else that of the board's system, else the default.

    A vendor's wheel, or the newest wheel for the system's Python, is for programs outside of a container. The serving
    image is a container, which may have any release: so these are named, and not taken unless requested.

    Args:
        requested: a version, or ``board`` for the release that the board usually has outside of a container.
        option: the field that has `requested`, for the error.

    Raises:
        UsageError: no image can be made for the requested release.
    """
    own = usual(profile)
    if requested == BOARD:
        if own is None:
            raise UsageError(
                f"`{option}={BOARD}`: {profile.name} does not state the release of its system", fix="a version"
            )
        return own
    if requested is not None:
        return Choice(release=choose(requested, option=option), reason="as requested")
    if own is not None and profile.system is not None and profile.system.runtime is not None:
        return own
    reason = "edgesim's default, in a container"
    if own is not None:
        reason += f"; outside of one the board has {own.release.version}, {own.reason}"
    return Choice(release=default(), reason=reason)


def usual(profile: DeviceProfile) -> Choice | None:
    """Return the release that a board has outside of a container, and why; None if the profile does not tell.

    It is the one that its system comes with, else the newest that the vendor publishes for the system, else the newest
    with a wheel for the system's Python and glibc.
    """
    system = profile.system
    if system is None:
        return None
    if system.runtime is not None:
        release, reason = choose(system.runtime), f"that of {system.name}"
    elif system.vendor_runtime is not None:
        release, reason = choose(system.vendor_runtime), f"the newest that the vendor publishes for {system.name}"
    elif system.python is not None and (newest := newest_for(system.python, system.glibc)) is not None:
        release, reason = newest, f"the newest with a wheel for {system.name}"
    else:
        return None
    if system.python is not None and system.python != release.debian.python:
        reason += f" (an image has it on Python {release.debian.python} for {system.python}, with the same operators)"
    return Choice(release=release, reason=reason)
