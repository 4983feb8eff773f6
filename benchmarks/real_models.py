"""What edgesim says of models that people ship: exit code, seconds and words of `predict`, `run` and `check`.

    python -m benchmarks.real_models DIRECTORY [--columns predict,run,check,emulated,scaled] [--only WORD] > table.md

The models are those of the directory: it is built by hand, from packages that ship models and from exports, and is no
part of the project. `NAME.options` beside `NAME.onnx` has options that its inputs need, such as ``--shape image=1,3,
320,320``.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BOARD, GATEWAY = "raspberry-pi-4", "x86-gateway"
_LIMIT_S = 600.0
_MOST_LETTERS = 160


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a command said.

    Attributes:
        code: its exit code; None if it did not end within `_LIMIT_S`.
    """

    code: int | None
    seconds: float
    words: str

    def __str__(self) -> str:
        words = " ".join(self.words.replace("|", "\\|").split())
        words = words if len(words) <= _MOST_LETTERS else f"{words[:_MOST_LETTERS]}…"
        return f"{self.code if self.code is not None else 'none'}, {self.seconds:.0f} s: {words}"


def say(*arguments: str) -> Said:
    """Run a command of edgesim with `--json`, and return what it said."""
    begin_s = time.monotonic()
    command = [sys.executable, "-m", "edgesim.cli", *arguments, "--json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LIMIT_S)
    except subprocess.TimeoutExpired:
        return Said(code=None, seconds=_LIMIT_S, words="did not end")
    seconds = time.monotonic() - begin_s
    try:
        words = _headline(arguments[0], json.loads(done.stdout))
    except ValueError:
        said = [line for line in done.stderr.splitlines() if line.startswith("edgesim:")]
        fixes = [line.strip() for line in done.stderr.splitlines() if line.strip().startswith("fix:")]
        words = " ".join([*said[-1:], *fixes[-1:]]) or done.stderr[-_MOST_LETTERS:]
    return Said(code=done.returncode, seconds=seconds, words=words)


def _headline(command: str, facts: dict[str, Any]) -> str:
    if command == "predict":
        return _time(facts) + f"; {facts.get('sizes') or ''}"
    if command == "run":
        agreement = facts["agreement"] or {}
        difference = agreement.get("max_abs_difference")
        answers = "no figure" if difference is None else f"{difference:.2g}"
        time_ms = facts["latency_ms"]["p50"]
        latency = f"p50 {time_ms:.3g} ms" if time_ms is not None else "no p50"
        valid = "VALID" if facts["validity"]["valid"] else f"INVALID: {'; '.join(facts['validity']['reasons'])}"
        return f"{facts['execution']} {latency}, answers differ by {answers}, {valid}"
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
    "scaled": ("run", BOARD, ("--execution", "scaled")),
}


def rows(models: Sequence[Path], columns: Sequence[str]) -> Iterator[list[str]]:
    """Yield a row for each model: its name, and what the command of each column said."""
    for path in models:
        beside = path.with_suffix(".options")
        options = shlex.split(beside.read_text()) if beside.exists() else []
        said = []
        for column in columns:
            command, board, own = COLUMNS[column]
            said.append(str(say(command, board, str(path), *options, *own)))
        yield [path.stem, *said]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--columns", default="predict,run,check", help=f"of {', '.join(COLUMNS)}")
    parser.add_argument("--only", default="", help="the models whose name has this word")
    arguments = parser.parse_args()
    models = [path for path in arguments.directory.glob("*.onnx") if arguments.only in path.stem]
    models.sort(key=lambda path: path.stat().st_size)
    columns = arguments.columns.split(",")
    headings = ["model", *(" ".join([*COLUMNS[column][:2], *COLUMNS[column][2][:2]]) for column in columns)]
    print(f"| {' | '.join(headings)} |\n|{'---|' * len(headings)}", flush=True)
    for row in rows(models, columns):
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
