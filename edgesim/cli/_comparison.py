"""Two results side by side, as `edgesim report` and `edgesim compare` show them."""

from collections.abc import Iterator
from pathlib import Path

from edgesim.cli._flags import with_flags
from edgesim.errors import UsageError
from edgesim.gates.comparable import differences
from edgesim.gates.metric_change import metric_change
from edgesim.gates.result_metrics import NAMES, figure
from edgesim.reports.comparison import Change, Comparison, interval_notes
from edgesim.results.run_result import RunResult


def side_by_side(base_file: Path, candidate_file: Path, *, force: bool) -> Comparison:
    """Compare two result files.

    Args:
        force: compare results of different boards or models; the comparison says so.

    Returns:
        The comparison, with options named by their flags.

    Raises:
        ResultError: a file is not a result.
        UsageError: the results are of different things, and the comparison is not forced.
    """
    base, candidate = RunResult.read(base_file), RunResult.read(candidate_file)
    different = differences(base, candidate)
    if different and not force:
        raise UsageError(
            f"{base_file} and {candidate_file} are of different things: {'; '.join(different)}",
            fix="--force compares them, and the report says so",
        )
    changes = tuple(_changes(base, candidate))
    return Comparison(
        base=base,
        candidate=candidate,
        base_file=str(base_file),
        candidate_file=str(candidate_file),
        different=tuple(different),
        changes=changes,
        notes=tuple(map(with_flags, interval_notes(changes))),
    )


def _changes(base: RunResult, candidate: RunResult) -> Iterator[Change]:
    """Yield a change for each metric that either side has."""
    for name in NAMES:
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
