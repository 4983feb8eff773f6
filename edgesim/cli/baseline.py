"""``edgesim baseline``."""

from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli._app import new_app
from edgesim.cli._console import print_json, say, show
from edgesim.cli._options import JsonOption
from edgesim.cli._tables import fact_list, text_table
from edgesim.errors import ExitCode
from edgesim.gates import baselines
from edgesim.gates.baselines import Baseline
from edgesim.gates.comparable import identity, unfit
from edgesim.gates.result_metrics import NAMES, figure, metric
from edgesim.reports import tables
from edgesim.results.run_result import RunResult
from edgesim.units import counted, format_bytes

app = new_app("Keep results to compare later results with.")

DirectoryOption = Annotated[
    Path, typer.Option("--dir", metavar="DIR", help="Keep baselines in this directory; commit or cache it.")
]
_DIRECTORY = Path(baselines.DIRECTORY)


@app.examples("edgesim baseline save result.json", "edgesim baseline save result.json --dir ci/baselines", name="save")
def save_command(
    result: Annotated[
        Path, typer.Argument(metavar="RESULT.json", help="A VALID result, best with --repeat 3 or more.")
    ],
    directory: DirectoryOption = _DIRECTORY,
    as_json: JsonOption = False,
) -> int:
    """Keep a result as the baseline of its profile, model and host.

    The exit code is 5 if the run is INVALID.
    """
    saved = RunResult.read(result)
    if reason := unfit(saved):
        say(f"edgesim: {result}: an INVALID run is no baseline: {reason}")
        return ExitCode.INVALID
    path = baselines.save(saved, directory)
    if as_json:
        print_json({"file": str(path), "bytes": path.stat().st_size, "fingerprint": baselines.fingerprint(saved)})
        return ExitCode.OK
    containers = max(len(saved.restarts), 1)
    of = f"{containers} containers" if containers > 1 else "one container"
    print(f"{path}: {format_bytes(path.stat().st_size)}, {counted(saved.requests.ok, 'request')} of {of}")
    if containers < 3:
        say(f"edgesim: the baseline is of {of}; a rule of change on a time needs --repeat 3 or more on both sides")
    return ExitCode.OK


@app.examples("edgesim baseline list", "edgesim baseline list --dir ci/baselines --json", name="list")
def list_command(directory: DirectoryOption = _DIRECTORY, as_json: JsonOption = False) -> int:
    """List the baselines of a directory."""
    saved = baselines.read_all(directory)
    if as_json:
        print_json([_facts(path, baseline) for path, baseline in saved])
        return ExitCode.OK
    if not saved:
        show(f"{directory}: no baseline in it")
        return ExitCode.OK
    rows = [
        (
            _board(baseline.result),
            baseline.result.model.name,
            baseline.result.execution,
            baseline.fingerprint,
            tables.figure(baseline.result.latency_ms, "p50"),
            baseline.saved[:10],
        )
        for _, baseline in saved
    ]
    heads = ("profile", "model", "execution", "fingerprint", "p50 ms", "saved")
    show(text_table(heads, rows, figures=("p50 ms",), shortened=("model",)))
    return ExitCode.OK


@app.examples("edgesim baseline show baselines/FILE.json", name="show")
def show_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `baseline save` made.")],
    as_json: JsonOption = False,
) -> int:
    """Show a baseline: what it ran on, and its figures."""
    baseline = baselines.read(file)
    if as_json:
        print_json(_facts(file, baseline))
        return ExitCode.OK
    facts = [("saved", baseline.saved), ("fingerprint", baseline.fingerprint)]
    facts += [(name, _words(value)) for name, value in identity(baseline.result).items()]
    facts += [(name, figure(name, value)) for name, value in _figures(baseline.result).items()]
    show(fact_list(facts))
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
    return {name: reading.value for name in NAMES if (reading := metric(result, name)).value is not None}


def _words(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(_words(part) for part in value if part is not None) or "-"
    return "-" if value is None else str(value)
