"""The Python packages of edgesim's own image, pinned: those of edgesim, and for each extra those that it adds.

``python -m edgesim.images.pins`` resolves them anew, by a Python 3.13 of this host, and writes `FILE`.
"""

import json
import subprocess
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from edgesim.errors import UsageError, did_you_mean
from edgesim.images.runtime_releases import TRIXIE

FILE = Path(__file__).with_name("pins.txt")
_EXTRA = "# extra "
_HEAD = "# Written by: python -m edgesim.images.pins\n"
_NOT_IN_IMAGE = ("dev",)


def extras() -> Sequence[str]:
    """Return the names of the extras that the image can have."""
    return tuple(_sections())[1:]


def parse_extras(text: str) -> Sequence[str]:
    """Return the extras that a text names, with commas between, sorted.

    Raises:
        UsageError: there is no such extra.
    """
    names = sorted({name.strip() for name in text.split(",")})
    for name in names:
        if name not in extras():
            raise UsageError(
                f"`extras={name}`: edgesim has no such extra{did_you_mean(name, extras())}",
                fix=f"one or several of {', '.join(extras())}, with commas between",
            )
    return names


def requirements(chosen: Iterable[str] = ()) -> str:
    """Return the packages of edgesim with extras, as lines of a requirements file that pins all of them."""
    sections = _sections()
    lines = {line for name in ("", *chosen) for line in sections[name]}
    return "".join(f"{line}\n" for line in sorted(lines, key=str.lower))


def _sections() -> Mapping[str, Sequence[str]]:
    """Return the pins by extra; those of edgesim without extras stand under an empty name."""
    sections: dict[str, list[str]] = {"": []}
    name = ""
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith(_EXTRA):
            name = line.removeprefix(_EXTRA)
            sections[name] = []
        elif line and not line.startswith("#"):
            sections[name].append(line)
    return sections


def _write(project: Path) -> None:
    """Resolve the dependencies that a pyproject.toml states, all extras together, so that any of them fit."""
    facts = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    optional = {name: words for name, words in facts["optional-dependencies"].items() if name not in _NOT_IN_IMAGE}
    own: Sequence[str] = facts["dependencies"]
    together = _resolve([*own, *(word for words in optional.values() for word in words)])
    base = _resolve(own, pinned=together)
    text = _HEAD + "".join(f"{line}\n" for line in base)
    for name, words in sorted(optional.items()):
        added = [line for line in _resolve([*own, *words], pinned=together) if line not in base]
        text += "\n" + _EXTRA + name + "\n" + "".join(f"{line}\n" for line in added)
    FILE.write_text(text, encoding="utf-8")


def _resolve(requirements: Sequence[str], *, pinned: Sequence[str] = ()) -> Sequence[str]:
    """Return the pins of requirements and of all that they need.

    pip answers markers such as ``python_version < '3.14'`` by the Python that runs pip, whatever the target.
    """
    with tempfile.TemporaryDirectory() as scratch:
        for name, lines in {"wanted.txt": requirements, "pinned.txt": pinned}.items():
            (Path(scratch) / name).write_text("\n".join(lines))
        options = ["--dry-run", "--quiet", "--ignore-installed", "--only-binary=:all:", "--report", "report.json"]
        files = ["--requirement", "wanted.txt", "--constraint", "pinned.txt"]
        subprocess.run([f"python{TRIXIE.python}", "-m", "pip", "install", *options, *files], check=True, cwd=scratch)
        report = json.loads((Path(scratch) / "report.json").read_text())
    found = (each["metadata"] for each in report["install"])
    return sorted((f"{each['name']}=={each['version']}" for each in found), key=str.lower)


if __name__ == "__main__":
    _write(Path(__file__).parents[2] / "pyproject.toml")
