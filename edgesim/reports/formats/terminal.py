"""A result for the terminal."""

import itertools
from collections.abc import Iterable

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgesim.reports import phrases, series, stack_phrases
from edgesim.reports.comparison import HEADS, Comparison
from edgesim.reports.figures import COLUMNS, rows
from edgesim.reports.phrases import Fact
from edgesim.results.run_result import RunResult, ScenarioSection
from edgesim.results.stack_result import Recorded, StackResult


def render(result: RunResult) -> RenderableType:
    """The report: what the board would do first, then what was seen, then whether it can be trusted."""
    times = Group(_times(result, result.scenario), *(Text(line) for line in phrases.about_times(result)))
    parts: list[RenderableType] = [_heading(result), _facts(phrases.facts(result)), times]
    if result.levels:
        parts.append(series.levels(result))
    if result.restarts:
        parts.append(series.restarts(result))
    parts += [_facts(phrases.stages(result)), _verdict(result)]
    return Group(*itertools.chain.from_iterable((part, Text()) for part in parts[:-1]), parts[-1])


def render_stack(result: StackResult) -> RenderableType:
    """The report: what was asked of the stack, what each service and the whole board took, and whether to trust it."""
    heading = Text.assemble((stack_phrases.title(result), "bold"), f", {stack_phrases.execution(result)}")
    parts: list[RenderableType] = [heading, _facts(stack_phrases.facts(result)), _services(result)]
    if result.scenario is not None:
        parts.append(Group(_times(result, result.scenario), *(Text(line) for line in phrases.about_times(result))))
    parts.append(_verdict(result))
    return Group(*itertools.chain.from_iterable((part, Text()) for part in parts[:-1]), parts[-1])


def render_comparison(both: Comparison) -> RenderableType:
    """Two results: what keeps them from being compared, each one's headline and verdict, then every figure."""
    parts: list[RenderableType] = [Text(both.heading, style="bold")]
    parts += [Text(f"NOT COMPARABLE: {field}", style="bold red") for field in both.different]
    sides = (("base", both.base, both.base_file), ("candidate", both.candidate, both.candidate_file))
    for name, result, file in sides:
        how = Fact(name, f"{phrases.title(result)}, {phrases.execution(result)} ({file})")
        parts += [Text(), _facts([how, next(phrases.facts(result))]), _verdict(result)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(HEADS):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for row in both.rows:
        table.add_row(*row)
    return Group(*parts, Text(), table, *(Text(note, style="dim") for note in both.notes))


def _heading(result: RunResult) -> Text:
    return Text.assemble((phrases.title(result), "bold"), f", {phrases.execution(result)}")


def _facts(facts: Iterable[Fact]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for fact in facts:
        table.add_row(fact.label, Text.assemble((fact.lead, "bold"), "  " if fact.lead else "", fact.words))
        for note in fact.notes:
            table.add_row("", Text(note, style="dim"))
    return table


def _services(result: StackResult) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for number, heading in enumerate(stack_phrases.service_heads(result)):
        table.add_column(heading, justify="left" if number < 2 else "right", no_wrap=True)
    *services, board = stack_phrases.service_rows(result)
    for row in services:
        table.add_row(*row)
    table.add_row(*board, style="bold")
    return table


def _times(result: Recorded, scenario: ScenarioSection) -> Table:
    table = Table(title=phrases.times_title(result, scenario), title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    for column in COLUMNS.values():
        table.add_column(column, justify="right")
    for label, figures in rows(result):
        table.add_row(label, *figures)
    return table


def _verdict(result: Recorded) -> Text:
    found = phrases.verdict(result)
    lines = [f"\n  {line}" for line in (*found.reasons, *found.doubts)]
    if found.word == "INVALID":
        return Text.assemble((found.word, "bold red"), *lines)
    if found.suspect:
        return Text.assemble((found.word, "bold green"), (", but suspect", "bold yellow"), *lines)
    return Text(found.word, style="bold green")
