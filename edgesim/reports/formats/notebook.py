"""A result as a notebook shows it: its headline, its figures as a table, and a plot."""

from html import escape
from importlib.util import find_spec

from edgesim.reports import phrases
from edgesim.reports.figures import COLUMNS, rows
from edgesim.results.run_result import RunResult

_HEIGHT_PX = 520


def render(result: RunResult) -> str:
    """HTML; the plot takes the `report` extra, and all else does without."""
    lead, band = phrases.device_time(result)
    verdict = phrases.verdict(result)
    parts = [
        f"<p><b>{escape(phrases.title(result))}</b>, {escape(phrases.execution(result))}</p>",
        f"<p><b>device time {escape(lead)}</b> {escape(band)}<br>{_lines(phrases.about_device_time(result))}</p>",
        f"<p><b>{verdict}</b><br>{_lines([*verdict.reasons, *verdict.doubts])}</p>",
        _table(result),
        f"<p>{_lines(phrases.about_times(result))}</p>",
        _plot(result),
    ]
    return f"<div>{''.join(parts)}</div>"


def _lines(sentences: list[str] | tuple[str, ...]) -> str:
    return "<br>".join(map(escape, sentences))


def _table(result: RunResult) -> str:
    caption = phrases.times_title(result, result.scenario)
    heads = "".join(f"<th>{head}</th>" for head in ("", *COLUMNS.values()))
    body = "".join(
        f"<tr><th>{label}</th>{''.join(f'<td>{value}</td>' for value in figures)}</tr>"
        for label, figures in rows(result)
    )
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _plot(result: RunResult) -> str:
    """Distribution and percentiles, in a frame of their own: a notebook's own scripts and styles stay out."""
    if not all(map(find_spec, ("plotly", "jinja2"))):
        return "<p>pip install 'edgesim[report]' for the plot.</p>"
    from edgesim.reports.formats.html import page as html

    if (page := html.plots_alone(result)) is None:
        return ""
    style = f"width: 100%; height: {_HEIGHT_PX}px; border: 0"
    return f'<iframe title="Plots of the result" style="{style}" srcdoc="{escape(page)}"></iframe>'
