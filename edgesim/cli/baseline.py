"""``edgesim baseline``: results kept to be compared with."""

from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from edgesim.cli._console import err, out, print_json
from edgesim.cli._options import JsonOption
from edgesim.errors import ExitCode
from edgesim.gates import baselines
from edgesim.gates.baselines import Baseline
from edgesim.gates.comparable import identity, unfit
from edgesim.gates.result_metrics import NAMES, figure, metric
from edgesim.results.run_result import RunResult
from edgesim.units import format_bytes

app = typer.Typer(help="Results to compare with, in a directory to be committed or cached.", no_args_is_help=True)

DirectoryOption = Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where they are.")]
_DIRECTORY = Path(baselines.DIRECTORY)


@app.command("save")
def save_command(
    result: Annotated[Path, typer.Argument(metavar="RESULT.json", help="A VALID result, best of --repeat 3 or more.")],
    directory: DirectoryOption = _DIRECTORY,
    as_json: JsonOption = False,
) -> int:
    """Keep a result as the baseline of its profile, model and host. Exit code 5 for an INVALID run."""
    found = RunResult.read(result)
    if why := unfit(found):
        err.print(f"edgesim: {result}: an INVALID run is no baseline: {why}")
        return ExitCode.INVALID
    path = baselines.save(found, directory)
    if as_json:
        print_json({"file": str(path), "bytes": path.stat().st_size, "fingerprint": baselines.fingerprint(found)})
        return ExitCode.OK
    containers = max(len(found.restarts), 1)
    of = f"{containers} containers" if containers > 1 else "one container"
    print(f"{path}: {format_bytes(path.stat().st_size)}, {found.requests.ok} requests of {of}")
    if containers < 3:
        err.print("edgesim: of one container; a rule of change takes --repeat 3 or more on both sides")
    return ExitCode.OK


@app.command("list")
def list_command(directory: DirectoryOption = _DIRECTORY, as_json: JsonOption = False) -> int:
    """The baselines that are there."""
    found = baselines.read_all(directory)
    if as_json:
        print_json([_facts(path, baseline) for path, baseline in found])
        return ExitCode.OK
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("profile", "model", "execution", "fingerprint"):
        table.add_column(column, no_wrap=True)
    table.add_column("p50 ms", justify="right")
    table.add_column("saved", no_wrap=True)
    for _, baseline in found:
        result = baseline.result
        p50 = result.latency_ms.p50
        table.add_row(
            _board(result),
            result.model.name,
            result.execution,
            baseline.fingerprint,
            f"{p50:.4g}" if p50 is not None else "-",
            baseline.saved[:10],
        )
    out.print(table if found else f"{directory}: no baseline in it")
    return ExitCode.OK


@app.command("show")
def show_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `baseline save` made.")],
    as_json: JsonOption = False,
) -> int:
    """A baseline: what it ran on, and its figures."""
    baseline = baselines.read(file)
    if as_json:
        print_json(_facts(file, baseline))
        return ExitCode.OK
    table = Table.grid(padding=(0, 2))
    table.add_row("saved", baseline.saved)
    table.add_row("fingerprint", baseline.fingerprint)
    for name, value in identity(baseline.result).items():
        table.add_row(name, _words(value))
    for name, value in _figures(baseline.result).items():
        table.add_row(name, figure(name, value))
    out.print(table)
    return ExitCode.OK


def _board(result: RunResult) -> str:
    return ":".join(filter(None, (result.profile.name, result.profile.mode)))


def _facts(path: Path, baseline: Baseline) -> dict[str, object]:
    return {
        "file": str(path),
        "saved": baseline.saved,
        "fingerprint": baseline.fingerprint,
        "of": {name: _words(value) for name, value in identity(baseline.result).items()},
        "model": baseline.result.model.name,
        "containers": max(len(baseline.result.restarts), 1),
        "metrics": _figures(baseline.result),
    }


def _figures(result: RunResult) -> dict[str, float]:
    return {name: found.value for name in NAMES if (found := metric(result, name)).value is not None}


def _words(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(_words(part) for part in value if part is not None) or "-"
    return "-" if value is None else str(value)
