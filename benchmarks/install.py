"""What the built wheel does in empty environments: each Python that can be had, pip, pipx, uv and the lowest versions.

``python -m benchmarks.install`` builds the wheel (`scripts/distribution`), installs it in each environment, and runs
``edgesim --version``, ``doctor``, ``run --engine local`` and ``report`` in it. A Python that this machine lacks is
taken from a root of Debian's packages (`benchmarks/pythons.py`); nothing is installed on the machine itself.
``--python 3.14 --by lowest`` tries one of them.
"""

import argparse
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.pythons import Python, from_debian, here

ROOT = Path(__file__).parents[1]
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
# The extras that people name together.
EXTRAS = ("report", "dask", "mlflow", "ssh")
# The exit codes with which each command may end: a busy host makes a run INVALID (5), and a host without an engine is
# what doctor says (3); neither is the installation's fault.
SOUND: Mapping[str, frozenset[int]] = {
    "--version": frozenset([0]),
    "doctor": frozenset([0, 3]),
    "run": frozenset([0, 5]),
    "report": frozenset([0]),
}


@dataclass(frozen=True)
class Trial:
    """What came of one environment.

    Attributes:
        codes: the exit code of each command; without one that was not reached.
        problem: the end of what was printed where something failed.
    """

    python: str
    by: str
    codes: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""

    @property
    def is_sound(self) -> bool:
        """Whether all commands ran, and ended as they may."""
        return not self.problem and all(self.codes.get(name) in allowed for name, allowed in SOUND.items())


class Failed(Exception):
    """An installation that failed; its text is the end of what was printed."""


def wheel(directory: Path) -> Path:
    """Build the wheel and the source archive into a directory, check both, and return the wheel's path."""
    subprocess.run([ROOT / "scripts" / "distribution", directory], check=True, stdout=sys.stderr)
    (path,) = directory.glob("edgesim-*.whl")
    return path


def by_pip(python: Python, place: Path, built: Path) -> Path:
    """Install with pip in a virtual environment, and return the path of the program edgesim."""
    _checked(python, [python.program, "-m", "venv", place / "venv"], place)
    _checked(python, [place / "venv" / "bin" / "pip", "install", "--quiet", _requirement(built)], place)
    return place / "venv" / "bin" / "edgesim"


def by_pipx(python: Python, place: Path, built: Path) -> Path:
    """Install with pipx, and return the path of the program edgesim."""
    pipx = _tool(python, place, "pipx")
    places = {"PIPX_HOME": str(place / "pipx"), "PIPX_BIN_DIR": str(place / "bin")}
    _checked(python, [pipx, "install", "--quiet", "--python", python.program, _requirement(built)], place, places)
    return place / "bin" / "edgesim"


def by_uv(python: Python, place: Path, built: Path) -> Path:
    """Install as a tool of uv, and return the path of the program edgesim."""
    places = {"UV_TOOL_DIR": str(place / "tools"), "UV_TOOL_BIN_DIR": str(place / "bin")}
    command = ["tool", "install", "--quiet", "--python", python.program, _requirement(built)]
    _checked(python, [_tool(python, place, "uv"), *command], place, places)
    return place / "bin" / "edgesim"


def lowest(python: Python, place: Path, built: Path) -> Path:
    """Install the lowest versions that the bounds allow, and return the path of the program edgesim.

    Wheels alone: an old version that has none for this Python would have to be compiled.
    """
    uv, venv = _tool(python, place, "uv"), place / "venv"
    _checked(python, [uv, "venv", "--quiet", "--python", python.program, venv], place)
    chosen = [word for extra in _extras() for word in ("--extra", extra)]
    (place / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    lowest_direct = ["--resolution", "lowest-direct", "--only-binary", ":all:", "-r", place / "pyproject.toml", *chosen]
    _checked(python, [uv, "pip", "install", "--quiet", "--python", venv / "bin" / "python", *lowest_direct], place)
    _checked(python, [uv, "pip", "install", "--quiet", "--python", venv / "bin" / "python", "--no-deps", built], place)
    return venv / "bin" / "edgesim"


WAYS: Mapping[str, Callable[[Python, Path, Path], Path]] = {
    "pip": by_pip,
    "pipx": by_pipx,
    "uv tool": by_uv,
    "lowest": lowest,
}


def trial(python: Python, by: str, built: Path) -> Trial:
    """Install the wheel in an empty environment, and run edgesim's commands there."""
    codes: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="edgesim-install-") as name:
        place = Path(name)
        try:
            program = WAYS[by](python, place, built)
        except Failed as failure:
            return Trial(python.version, by, codes, str(failure))
        for command in (
            ["--version"],
            ["doctor"],
            ["run", "jetson-nano", "digits", "--engine", "local", "-o", "result.json"],
            ["report", "result.json", "-o", "page.html"],
        ):
            done = python.run([program, *command], directory=place)
            codes[command[0]] = done.returncode
            if done.returncode not in SOUND[command[0]]:
                return Trial(python.version, by, codes, _end(done))
    return Trial(python.version, by, codes)


def trials(version: str, built: Path, ways: Sequence[str] = tuple(WAYS)) -> Iterator[Trial]:
    """Yield a trial for each way to install with one version of Python; none if that Python is not to be had."""
    if (python := here(version)) is not None:
        yield from (trial(python, by, built) for by in ways)
        return
    with from_debian(version) as debian:
        if debian is not None:
            yield from (trial(debian, by, built) for by in ways)


def _tool(python: Python, place: Path, name: str) -> Path:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    (pinned,) = (line for line in groups["release"] if line.startswith(f"{name}=="))
    _checked(python, [python.program, "-m", "venv", place / "tools-of-test"], place)
    _checked(python, [place / "tools-of-test" / "bin" / "pip", "install", "--quiet", pinned], place)
    return place / "tools-of-test" / "bin" / name


def _extras() -> list[str]:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    return [name for name in EXTRAS if name in known]


def _requirement(built: Path) -> str:
    return f"edgesim[{','.join(_extras())}] @ {built.as_uri()}"


def _checked(
    python: Python, command: Sequence[str | Path], place: Path, environment: Mapping[str, str] | None = None
) -> None:
    done = python.run(command, directory=place, environment=environment)
    if done.returncode:
        raise Failed(_end(done))


def _end(done: "subprocess.CompletedProcess[str]") -> str:
    return " ".join((done.stderr or done.stdout).splitlines()[-3:])[-300:]


def _table(all_trials: Mapping[str, Sequence[Trial]]) -> str:
    rows = [
        f"| Python | installed by | {' | '.join(f'`{name}`' for name in SOUND)} |",
        "|---|---|" + "---|" * len(SOUND),
    ]
    for version, made in all_trials.items():
        if not made:
            rows.append(f"| {version} | not to be had on this machine |{' - |' * len(SOUND)}")
        for each in made:
            codes = " | ".join(str(each.codes.get(name, "-")) for name in SOUND)
            rows.append(f"| {each.python} | {each.by}{': ' + each.problem if each.problem else ''} | {codes} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", choices=VERSIONS, action="append", help="with this Python alone; may be repeated")
    parser.add_argument("--by", choices=tuple(WAYS), action="append", help="in this way alone; may be repeated")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgesim-wheel-") as name:
        built = wheel(Path(name))
        made: dict[str, list[Trial]] = {}
        for version in arguments.python or VERSIONS:
            made[version] = []
            for each in trials(version, built, arguments.by or tuple(WAYS)):
                print(f"{each.python}, {each.by}: {dict(each.codes)} {each.problem}", file=sys.stderr)
                made[version].append(each)
    print(_table(made))
    if not all(each.is_sound for row in made.values() for each in row):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
