"""Results, comparisons and verdicts as Markdown: for a pull request's comment, or a CI job's summary."""

import re
from collections.abc import Iterable, Iterator

from edgesim.printable import printable
from edgesim.reports import phrases, stack_phrases, tables
from edgesim.reports.comparison import Comparison
from edgesim.reports.overview import Overview
from edgesim.reports.phrases import Fact
from edgesim.reports.sweep_overview import SweepOverview
from edgesim.reports.tables import Table
from edgesim.results.load import Recorded
from edgesim.results.run_result import RunResult
from edgesim.results.sections import ScenarioSection
from edgesim.results.stack_result import StackResult
from edgesim.results.verdict import Item, Verdict, VerdictWord

DESCRIPTION = "Markdown"
_MARKS: dict[VerdictWord, str] = {"PASS": "✅", "FAIL": "❌", "INCONCLUSIVE": "⚠️"}
# Letters that begin a tag, a table's cell, emphasis, code or a link.
_SPECIAL = re.compile(r"([\\`*_|<>\[\]])")


def render_result(result: RunResult, file: str = "") -> str:
    """Return the report of a run: the same headline, figures and caveats as on the terminal."""
    lines = [
        f"### {_plain(phrases.title(result))}",
        "",
        *_headline(result),
        "",
        *_validity(result),
        "",
        *_times(result, result.scenario),
    ]
    if result.levels:
        lines += [*_titled(tables.levels(result)), ""]
        notes = [f"- {_plain(note)}" for note in tables.level_notes(result)]
        lines += [*notes, ""] if notes else []
    if result.restarts:
        lines += [*_titled(tables.containers(result)), ""]
        lines += [*(f"- {_plain(line)}" for line in tables.spread_lines(result)), ""]
    lines += _details("The board and the run", [*list(phrases.facts(result))[1:], *phrases.stages(result)])
    return "\n".join(lines) + "\n"


def render_stack(result: StackResult, file: str = "") -> str:
    """Return the report of a stack: the validity, each service and the board, and the times."""
    lines = [
        f"### {_plain(stack_phrases.title(result))}",
        "",
        _plain(stack_phrases.execution(result)),
        "",
        *_validity(result),
        "",
        *_table(tables.services(result)),
        "",
    ]
    if (beside := tables.beside_board(result)) is not None:
        lines += [*_table(beside), ""]
    if result.scenario is not None:
        lines += _times(result, result.scenario)
    lines += _details("The board and the run", stack_phrases.facts(result))
    return "\n".join(lines) + "\n"


def render_comparison(comparison: Comparison) -> str:
    """Return two results side by side: what makes them incomparable, both headlines, then every metric."""
    lines = [f"### {_plain(comparison.heading)}"]
    if comparison.different:
        lines += ["", *(f"**NOT COMPARABLE** {_plain(field)}  " for field in comparison.different)]
    sides = (
        ("base", comparison.base, comparison.base_file),
        ("candidate", comparison.candidate, comparison.candidate_file),
    )
    for name, result, file in sides:
        head = f"**{name}** {_plain(phrases.side(result, file))}"
        lines += ["", head, "", *_headline(result, execution=False), "", *_validity(result)]
    lines += ["", *_table(comparison.table), "", *_quoted(comparison.notes)]
    return "\n".join(lines) + "\n"


def render_overview(overview: Overview | SweepOverview) -> str:
    """Return several results in one table, and what makes each of them less certain."""
    lines = [f"### {_plain(overview.heading)}", "", *_table(overview.table()), "", *_quoted(overview.notes())]
    return "\n".join(lines) + "\n"


def render_sweep(overview: SweepOverview) -> str:
    """Return the cells of a sweep in one table, and why some have no figures."""
    return render_overview(overview)


def render_verdict(verdict: Verdict) -> str:
    """Return the verdict on the whole, and a row for each item."""
    heading = f"### {_MARKS[verdict.word]} {verdict.word}: {_plain(verdict.model)} on {_plain(verdict.board)}"
    lines = [heading, "", _plain(verdict.execution or "did not run"), ""]
    if verdict.sides:
        lines += [*(f"**{name}** {_plain(words)}  " for name, words in verdict.sides), ""]
    lines += _table(_items("items", verdict.items))
    if verdict.not_judged:
        lines += ["", "Not judged:", "", *_table(_items("not judged", verdict.not_judged))]
    return "\n".join(lines) + "\n"


def _items(title: str, items: Iterable[Item]) -> Table:
    rows = tuple((f"{_MARKS[item.verdict]} {item.verdict}", item.name, item.finding) for item in items)
    return Table(title, ("verdict", "item", "finding"), rows)


def _headline(result: RunResult, *, execution: bool = True) -> Iterator[str]:
    lead, band = phrases.device_time(result)
    how = f", {phrases.execution(result)}" if execution else ""
    label = result.time_label[0].upper() + result.time_label[1:]
    yield f"**{label} {_plain(lead)}** {_plain(band)}{how}"
    if about := phrases.about_device_time(result):
        yield ""
        yield from _quoted(about)
    if len(result.targets) > 1:
        yield ""
        yield from _table(tables.targets(result))
    if (published := tables.published(result)) is not None:
        yield ""
        yield from _table(published)
    if result.not_scaled is not None:
        yield from ("", f"not scaled: {_plain(result.not_scaled)}")


def _validity(result: Recorded) -> list[str]:
    validity = result.validity
    return [f"**{validity.words}**", *(f"- {_plain(line)}" for line in (*validity.reasons, *validity.suspicions))]


def _times(result: Recorded, scenario: ScenarioSection) -> Iterator[str]:
    yield from _titled(tables.times(result, scenario))
    yield ""
    yield from _quoted(phrases.about_times(result))
    yield ""


def _details(summary: str, facts: Iterable[Fact]) -> Iterator[str]:
    rows = tuple((fact.label, f"{fact.lead} {fact.words}".strip()) for fact in facts)
    yield from (f"<details><summary>{summary}</summary>", "")
    yield from _table(Table(summary, ("", ""), rows))
    yield from ("", "</details>")


def _quoted(lines: Iterable[str]) -> Iterator[str]:
    return (f"> {_plain(line)}  " for line in lines)


def _titled(table: Table) -> Iterator[str]:
    yield from (_plain(table.title), "")
    yield from _table(table)


def _table(table: Table) -> Iterator[str]:
    yield f"| {' | '.join(table.heads)} |"
    yield f"|{'---|' * len(table.heads)}"
    for row in table.rows:
        yield f"| {' | '.join(map(_plain, row))} |"


def _plain(text: str) -> str:
    """Return text on one line that no reader takes for markup, whatever a model's name holds.

    The space of no width after an @ keeps it from calling a user of that name.
    """
    one_line = printable(" ".join(text.split()))
    return _SPECIAL.sub(r"\\\1", one_line).replace("@", "@\u200b")
