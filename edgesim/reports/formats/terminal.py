"""Results, comparisons and verdicts on a terminal, as Rich renderables."""

import itertools
from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.text import Text

from edgesim.reports import phrases, stack_phrases, tables
from edgesim.reports.comparison import Comparison
from edgesim.reports.formats.text_layout import Entries, Entry, Paragraph, TextTable
from edgesim.reports.overview import Overview
from edgesim.reports.phrases import Fact
from edgesim.reports.sweep_overview import SweepOverview
from edgesim.results.load import Recorded
from edgesim.results.run_result import RunResult
from edgesim.results.sections import ScenarioSection
from edgesim.results.stack_result import StackResult
from edgesim.results.verdict import Item, Verdict, VerdictWord

# Rows of a sweep on a terminal; the page and the files have all.
_MOST_CELLS = 200
_VERDICT_STYLES: dict[VerdictWord, str] = {"PASS": "green", "FAIL": "bold red", "INCONCLUSIVE": "yellow"}


def render(result: Recorded) -> RenderableType:
    """Return the report of a run or of a stack."""
    return render_stack(result) if isinstance(result, StackResult) else render_result(result)


def render_result(result: RunResult) -> RenderableType:
    """Return the report of a run: the device time first, then what was measured, then whether it can be trusted."""
    heading = _heading(phrases.title(result), phrases.execution(result))
    device_time, *facts = phrases.facts(result)
    about = _facts([device_time, *phrases.targets(result), *facts, *phrases.published(result)])
    parts: list[RenderableType] = [heading, about, _times(result, result.scenario)]
    if result.levels:
        parts.append(_with_notes(TextTable(tables.levels(result)), tables.level_notes(result)))
    if result.restarts:
        parts.append(_with_notes(TextTable(tables.containers(result)), tables.spread_lines(result)))
    parts += [_facts(phrases.stages(result)), _validity(result)]
    return _spaced(parts)


def _with_notes(table: TextTable, notes: Iterable[str]) -> RenderableType:
    lines = [Paragraph(note) for note in notes]
    return Group(table, Text(), *lines) if lines else table


def render_stack(result: StackResult) -> RenderableType:
    """Return the report of a stack: its limits, what each service and the board used, whether it can be trusted."""
    heading = _heading(stack_phrases.title(result), stack_phrases.execution(result))
    services = TextTable(tables.services(result), titled=False, last_row_style="bold")
    parts: list[RenderableType] = [heading, _facts(stack_phrases.facts(result)), services]
    if (beside := tables.beside_board(result)) is not None:
        parts.append(TextTable(beside, titled=False))
    if result.scenario is not None:
        parts.append(_times(result, result.scenario))
    parts.append(_validity(result))
    return _spaced(parts)


def render_comparison(comparison: Comparison) -> RenderableType:
    """Return two results side by side: what makes them incomparable, both headlines, then every metric."""
    parts: list[RenderableType] = [Paragraph(comparison.heading, "bold")]
    parts += [Paragraph(f"NOT COMPARABLE: {field}", "bold red") for field in comparison.different]
    sides = (
        ("base", comparison.base, comparison.base_file),
        ("candidate", comparison.candidate, comparison.candidate_file),
    )
    for name, result, file in sides:
        how = Fact(name, phrases.side(result, file))
        parts += [Text(), _facts([how, next(phrases.facts(result))]), _validity(result)]
    table = TextTable(comparison.table, titled=False)
    return Group(*parts, Text(), table, Text(), *(Paragraph(note, "dim") for note in comparison.notes))


def render_overview(overview: Overview) -> RenderableType:
    """Return several results in one table, and what makes each of them less certain."""
    notes = (Paragraph(note, "dim") for note in overview.notes())
    return Group(Paragraph(overview.heading, "bold"), Text(), TextTable(overview.table(), titled=False), Text(), *notes)


def render_sweep(overview: SweepOverview) -> RenderableType:
    """Return the cells of a sweep in one table, and why some have no figures."""
    more = len(overview.cells) - _MOST_CELLS
    notes = [*([f"{more:,} more cells"] if more > 0 else []), *overview.notes()]
    cells = overview.table(_MOST_CELLS)
    shortened = tuple(number for number, head in enumerate(cells.heads) if head in ("profile", "model"))
    table = TextTable(cells, titled=False, shortened=shortened)
    below: list[RenderableType] = [Text(), *(Paragraph(note, "dim") for note in notes)] if notes else []
    return Group(Paragraph(overview.heading, "bold"), Text(), table, *below)


def render_several(compared: Comparison | Overview) -> RenderableType:
    """Return a comparison of changes, or one table of results."""
    return render_overview(compared) if isinstance(compared, Overview) else render_comparison(compared)


def render_verdict(verdict: Verdict) -> RenderableType:
    """Return the items, and the verdict on the whole."""
    heading = _heading(f"{verdict.model} on {verdict.board}", verdict.execution or "did not run")
    sides = [_facts(Fact(name, words) for name, words in verdict.sides)] if verdict.sides else []
    parts: list[RenderableType] = [heading, *sides, _items(verdict.items)]
    if verdict.not_judged:
        parts += [Text("not judged", style="bold"), _items(verdict.not_judged)]
    return _spaced([*parts, Text(verdict.word, style=_VERDICT_STYLES[verdict.word])])


def _items(items: Iterable[Item]) -> Entries:
    return Entries(
        [
            Entry(labels=((item.verdict, _VERDICT_STYLES[item.verdict]), (item.name, "bold")), words=item.finding)
            for item in items
        ]
    )


def _spaced(parts: list[RenderableType]) -> Group:
    """Put an empty line between parts."""
    return Group(*itertools.chain.from_iterable((part, Text()) for part in parts[:-1]), parts[-1])


def _heading(title: str, execution: str) -> Paragraph:
    return Paragraph(f"{title}, {execution}", bold=len(title))


def _facts(facts: Iterable[Fact]) -> Entries:
    return Entries([Entry(((fact.label, "bold"),), fact.words, fact.lead, fact.notes) for fact in facts])


def _times(result: Recorded, scenario: ScenarioSection) -> Group:
    about = (Paragraph(line) for line in phrases.about_times(result))
    return Group(TextTable(tables.times(result, scenario)), Text(), *about)


def _validity(result: Recorded) -> RenderableType:
    validity = result.validity
    word, comma, suspect = validity.words.partition(",")
    heading = Text.assemble((word, "bold green" if validity.valid else "bold red"), (comma + suspect, "bold yellow"))
    reasons = [Entry((("", ""),), reason) for reason in (*validity.reasons, *validity.suspicions)]
    return Group(heading, Entries(reasons)) if reasons else heading
