"""The Python packages that edgesim itself runs with, each with the digest of its record of files."""

import hashlib
import platform
import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import orjson

from edgesim.version import __version__

_REQUIREMENT = re.compile(r"^[A-Za-z0-9][\w.-]*")


@cache
def document() -> bytes:
    """Return Python's version, edgesim's own digest, and edgesim's distributions, as JSON."""
    distributions = [
        {"name": each.name, "version": each.version, "record_sha256": _record(each)}
        for each in sorted(_required(), key=lambda each: each.name.lower())
    ]
    facts: dict[str, Any] = {
        "edgesim": {"version": __version__, "source_sha256": _source()},
        "python": platform.python_version(),
        "distributions": distributions,
    }
    return orjson.dumps(facts, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


def packages() -> list[tuple[str, str]]:
    """Return name and version of each distribution that edgesim requires and has."""
    return [(each.name, each.version) for each in _required()]


@cache
def _required() -> tuple[Distribution, ...]:
    found: dict[str, Distribution] = {}
    waiting = ["edgesim"]
    while waiting:
        name = waiting.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in found:
            continue
        try:
            found[key] = distribution(name)
        except PackageNotFoundError:  # for another platform, or a checkout that is not installed
            continue
        waiting += _requirements(found[key])
    return tuple(found.values())


def _requirements(package: Distribution) -> Iterator[str]:
    for requirement in package.requires or ():
        match = _REQUIREMENT.match(requirement)
        if match is not None and "extra ==" not in requirement:
            yield match[0]


def _record(package: Distribution) -> str | None:
    """Return the digest of the list of a distribution's files with their digests; None without such a list.

    The lines of compiled files are left out: they have no digest, and depend on which modules were imported.
    """
    record = package.read_text("RECORD")
    if record is None:
        return None
    lines = sorted(line for line in record.splitlines() if "__pycache__" not in line)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _source() -> str:
    """Return the digest of edgesim's modules, which tells a checkout from the release of the same version."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
