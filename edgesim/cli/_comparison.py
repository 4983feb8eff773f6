"""Two results side by side, as `edgesim report` and `edgesim compare` show them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgesim.cli._flags import with_flags
from edgesim.errors import UsageError
from edgesim.gates.comparable import differences
from edgesim.gates.metric_change import metric_change
from edgesim.gates.result_metrics import NAMES, figure, of_targets
from edgesim.reports.comparison import Change, Comparison, interval_notes
from edgesim.reports.overview import Overview
from edgesim.results.run_result import RunResult


def side_by_side(files: Sequence[Path], *, force: bool, across_runtimes: bool = False) -> Comparison | Overview:
    """Read several result files, and put them side by side.

    Two results of like things are compared change by change. Results of different boards, models, hosts or executions,
    and more than two, are put into one table.

    Args:
        force: compare the changes of two results whatever they are of; the comparison says so.
        across_runtimes: compare the changes of two results that differ in the release of ONNX Runtime alone.

    Returns:
        The comparison, with options named by their flags, or the table.

    Raises:
        ResultError: a file is not a result.
        UsageError: more than two results are to be compared change by change.
    """
    results = [RunResult.read(file) for file in files]
    names = tuple(map(str, files))
    return of_results(results, names, force=force, across_runtimes=across_runtimes)


def of_results(
    results: Sequence[RunResult], names: Sequence[str], *, force: bool, across_runtimes: bool = False
) -> Comparison | Overview:
    """Put several results side by side, each with the name of its file; see `side_by_side`.

    Raises:
        UsageError: more than two results are to be compared change by change.
    """
    names = tuple(names)
    if len(results) != 2:
        if force or across_runtimes:
            option = "--force" if force else "--across-runtimes"
            raise UsageError(f"{option}: compares the changes of two results, not of {len(results)}")
        return Overview(results=tuple(results), files=names)
    base, candidate = results
    different = differences(base, candidate)
    across = tuple(different) if not differences(base, candidate, across_runtimes=True) else ()
    if different and not (force or (across and across_runtimes)):
        beside = _beside_board_and_model(different, same_model=base.model.name == candidate.model.name)
        fixed = tuple(f"{field} (--across-runtimes compares the changes)" for field in beside) if across else beside
        return Overview(results=(base, candidate), files=names, different=fixed)
    if across and across_runtimes:
        different = []
    else:
        across = ()
    changes = tuple(_changes(base, candidate))
    return Comparison(
        base=base,
        candidate=candidate,
        base_file=names[0],
        candidate_file=names[1],
        different=tuple(different),
        changes=changes,
        across=across,
        notes=(*(f"across releases: {field}" for field in across), *map(with_flags, interval_notes(changes))),
    )


def _beside_board_and_model(different: Sequence[str], *, same_model: bool) -> tuple[str, ...]:
    """Return the fields that differ without those that follow from another board or model, which the table names."""
    if any(field.startswith("profile:") for field in different):
        return ()
    return tuple(field for field in different if same_model or not field.startswith("model's signature:"))


def _changes(base: RunResult, candidate: RunResult) -> Iterator[Change]:
    """Yield a change for each metric that either side has."""
    for name in (*NAMES, *of_targets(base, candidate)):
        change = metric_change(base, candidate, name)
        values = change.base.value, change.candidate.value
        if values == (None, None):
            continue
        interval = "-"
        if change.low is not None and change.high is not None:
            mark = " *" if change.by == "requests" else ""
            interval = f"{_percent(change.low)} to {_percent(change.high)} %{mark}"
        yield Change(
            metric=name,
            base=_figure(name, values[0]),
            candidate=_figure(name, values[1]),
            change=f"{_percent(change.change)} %" if change.change is not None else "-",
            interval=interval,
            figures={
                "base": values[0],
                "candidate": values[1],
                "change": change.change,
                "low": change.low,
                "high": change.high,
                "by": change.by,
            },
        )


def _figure(name: str, value: float | None) -> str:
    return figure(name, value) if value is not None else "-"


def _percent(part: float) -> str:
    percent = 100 * part
    return f"{percent:+.0f}" if abs(percent) >= 100 else f"{round(percent, 1) + 0.0:+.1f}"
