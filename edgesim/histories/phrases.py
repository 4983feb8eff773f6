"""What a history says in words: for the terminal and the page alike."""

import itertools
import math
from collections.abc import Sequence

from edgesim.gates.result_metrics import figure
from edgesim.histories.entry import Entry, Revision
from edgesim.histories.history import Trends
from edgesim.histories.series import Series, Step
from edgesim.reports.tables import Table

_BARS = "▁▂▃▄▅▆▇█"
_LETTERS = 16


def sparkline(values: Sequence[float], letters: int = _LETTERS) -> str:
    """Return figures as bars from the smallest to the largest; of more figures than letters, medians of groups."""
    groups = min(letters, len(values))
    edges = [round(i * len(values) / groups) for i in range(groups + 1)]
    means = [_median(values[begin:end]) for begin, end in itertools.pairwise(edges)]
    low, high = min(means), max(means)
    if high - low <= 1e-9 * max(abs(high), abs(low)):
        return _BARS[0] * groups
    return "".join(_BARS[round((mean - low) / (high - low) * (len(_BARS) - 1))] for mean in means)


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def tables(series: Sequence[Series]) -> list[Table]:
    """Return a table for each model on each board, with a row for each metric: its last figure, last step and trend."""
    return [_table(list(group)) for _, group in itertools.groupby(series, lambda each: (each.profile, each.model))]


def _table(series: Sequence[Series]) -> Table:
    rows = tuple(
        (
            metric_label(each, series),
            str(len(each.points)),
            figure(each.metric, each.values[-1]),
            change(each.steps[-1]) if each.steps else "-",
            sparkline(each.values),
        )
        for each in series
    )
    first = series[0]
    heads = ("metric", "results", "last", "last step", "trend")
    return Table(f"{first.model} on {first.profile}", heads, rows, text=(0, 4))


def metric_label(of: Series, all_series: Sequence[Series]) -> str:
    """Return a series' metric; with its fingerprint where several series of a model and a board have the metric."""
    alike = [each for each in all_series if each.name == of.name]
    return of.metric if len(alike) == 1 else f"{of.metric} ({of.fingerprint})"


def name(of: Series, all_series: Sequence[Series]) -> str:
    """Return the board, the model and `metric_label`."""
    return f"{of.profile} {of.model} {metric_label(of, all_series)}"


def change(step: Step) -> str:
    """Return the change of the level: ``+3.1 %``."""
    return f"{100 * step.change:+.3g} %" if math.isfinite(step.change) else "from 0"


def step_title(series: Series, step: Step) -> str:
    """Return what changed, by how much, and whether for the worse."""
    levels = f"{figure(series.metric, step.before)} to {figure(series.metric, step.after)}"
    return f"{change(step)} ({levels}), {'worse' if step.worse else 'better'}{', recent' if step.recent else ''}"


def step_facts(step: Step) -> list[str]:
    """Return where a step happened, how sure that is, and what else changed.

    Where the noise leaves more than one revision, the range comes first: it contains the right one far more often than
    any method names it (`benchmarks/history.py`).
    """
    at = "at " + revision(step.revision) if step.revision is not None else f"at result {step.at + 1}"
    if step.commits is not None and step.commits > 1 and step.previous is not None:
        at += f", one of {step.commits} commits since {step.previous.short}"
    sure = "exact: every change of this figure is real"
    if step.confidence < 1:
        sure = f"confidence {math.floor(1e4 * step.confidence) / 1e4:g}"
    if step.first != step.last and step.first is not None and step.last is not None:
        at = f"{step.first.short} to {step.last.short} with 95 % confidence, most likely {at}"
    return [at, sure, *step.also]


def revision(of: Revision) -> str:
    """Return a revision with its date and the first line of its message, as far as it has them."""
    date = f" of {of.date.date().isoformat()}" if of.date is not None else ""
    return f"{of.short}{date}" + (f" “{of.subject}”" if of.subject else "")


def label(of: Entry) -> str:
    """Return what a result is called on an axis: its revision, or its time without one."""
    return of.revision.short if of.revision is not None else of.created.strftime("%Y-%m-%d %H:%M")


def notes(trends: Trends) -> list[str]:
    """Return what was skipped or left out."""
    said = []
    if trends.foreign:
        shown = ", ".join(trends.foreign[:3]) + (", …" if len(trends.foreign) > 3 else "")
        said.append(f"skipped {len(trends.foreign)} files that are no entries of a history: {shown}")
    if trends.left_out:
        said.append(f"left out {trends.left_out} results of other commits")
    return said
