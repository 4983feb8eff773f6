"""The licences of everything that edgesim installs suit Apache-2.0, as the packages themselves state them."""

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, requires

from packaging.requirements import Requirement

# What may be installed beside Apache-2.0 code: permissive licences, and MPL, which reaches no further than its files.
SUITABLE = re.compile(
    r"apache|mit|bsd|isc|psf|python software|mpl|mozilla|unlicense|zlib|0bsd|hpnd|cc0|public domain", re.I
)
# The library of the extra `ssh`, which is LGPL: it is installed by choice, and used as it is.
BY_CHOICE = {"paramiko"}


def installed(name: str, extras: frozenset[str], seen: set[tuple[str, frozenset[str]]]) -> Iterator[str]:
    """Yield the name of each package that is installed for a package with some of its extras."""
    if (name, extras) in seen:
        return
    seen.add((name, extras))
    try:
        lines = requires(name) or []
    except PackageNotFoundError:  # an extra that this environment lacks
        return
    yield name
    for requirement in map(Requirement, lines):
        environments = [{"extra": extra} for extra in (extras or {""})]
        if requirement.marker is None or any(map(requirement.marker.evaluate, environments)):
            yield from installed(requirement.name.lower().replace("_", "-"), frozenset(requirement.extras), seen)


def licence(name: str) -> str:
    metadata = distribution(name).metadata
    words = [word for key in ("License-Expression", "License", "Classifier") for word in metadata.get_all(key) or []]
    return " ".join(word[:100] for word in words if "::" not in word or word.startswith("License"))


def test_every_dependency_has_a_licence_that_suits_apache() -> None:
    extras = frozenset(("ssh", "images", "report", "parquet", "mlflow", "grpc", "dask"))
    names = set(installed("edgesim", extras, set())) - {"edgesim", *BY_CHOICE}
    assert len(names) > 30
    assert {name: licence(name) for name in sorted(names) if not SUITABLE.search(licence(name))} == {}
    assert {name for name in names if re.search(r"\b[AL]?GPL", licence(name))} == set()
