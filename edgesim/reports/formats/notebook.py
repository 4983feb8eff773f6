"""A result as a notebook shows it: its headline, its figures as tables, and a plot."""

import html
from collections.abc import Sequence
from importlib.util import find_spec

from edgesim.printable import harmless
from edgesim.reports import phrases, stack_phrases, tables
from edgesim.reports.tables import Table
from edgesim.results.load import Recorded
from edgesim.results.run_result import RunResult
from edgesim.results.stack_result import StackResult
from edgesim.results.verdict import Verdict

_HEIGHT_PX = 520


def escape(text: str) -> str:
    """Return text of a result as HTML."""
    return html.escape(harmless(text))


def render(result: Recorded | Verdict) -> str:
    """Return the HTML of a run's or a stack's result, or of a verdict; only a run's plot needs the `report` extra."""
    if isinstance(result, Verdict):
        parts = _verdict(result)
    else:
        parts = _stack(result) if isinstance(result, StackResult) else _run(result)
    return f"<div>{''.join(parts)}</div>"


def _run(result: RunResult) -> list[str]:
    lead, band = phrases.device_time(result)
    about = _lines(phrases.about_device_time(result))
    return [
        f"<p><b>{escape(phrases.title(result))}</b>, {escape(phrases.execution(result))}</p>",
        f"<p><b>{escape(result.time_label)} {escape(lead)}</b> {escape(band)}<br>{about}</p>",
        _table(tables.targets(result)) if len(result.targets) > 1 else "",
        _validity(result),
        _table(tables.times(result, result.scenario)),
        f"<p>{_lines(phrases.about_times(result))}</p>",
        _plot(result),
    ]


def _stack(result: StackResult) -> list[str]:
    parts = [
        f"<p><b>{escape(stack_phrases.title(result))}</b>, {escape(stack_phrases.execution(result))}</p>",
        _validity(result),
        _table(tables.services(result)),
    ]
    if (beside := tables.beside_board(result)) is not None:
        parts.append(_table(beside))
    if result.scenario is not None:
        parts += [_table(tables.times(result, result.scenario)), f"<p>{_lines(phrases.about_times(result))}</p>"]
    return parts


def _verdict(verdict: Verdict) -> list[str]:
    rows = tuple((item.verdict, item.name, item.finding) for item in (*verdict.items, *verdict.not_judged))
    sides = _lines([f"{name}: {words}" for name, words in verdict.sides])
    return [
        f"<p><b>{verdict.word}</b> {escape(verdict.model)} on {escape(verdict.board)}<br>{sides}</p>",
        _table(Table("items", ("verdict", "item", "finding"), rows)),
    ]


def _validity(result: Recorded) -> str:
    validity = result.validity
    return f"<p><b>{validity.words}</b><br>{_lines([*validity.reasons, *validity.suspicions])}</p>"


def _lines(sentences: Sequence[str]) -> str:
    return "<br>".join(map(escape, sentences))


def _table(table: Table) -> str:
    heads = "".join(f"<th>{escape(head)}</th>" for head in table.heads)
    body = "".join(
        f"<tr><th>{escape(label)}</th>{''.join(f'<td>{escape(value)}</td>' for value in figures)}</tr>"
        for label, *figures in table.rows
    )
    caption = f"<caption>{escape(table.title)}</caption>"
    return f"<table>{caption}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _plot(result: RunResult) -> str:
    """Return the distribution and the percentiles, in a frame that keeps out the notebook's own scripts and styles."""
    if not all(map(find_spec, ("plotly", "jinja2"))):
        return "<p>pip install 'edgesim[report]' for the plot.</p>"
    from edgesim.reports.formats.html import page

    if (document := page.render_plots(result)) is None:
        return ""
    style = f"width: 100%; height: {_HEIGHT_PX}px; border: 0"
    return f'<iframe title="Plots of the result" style="{style}" srcdoc="{html.escape(document)}"></iframe>'
