"""The page of a history: its steps, a trend for each series, and plots. Needs the `report` extra."""

import itertools
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from edgesim.gates.result_metrics import figure as in_words
from edgesim.histories import exports, phrases
from edgesim.histories.history import Trends
from edgesim.histories.series import Series
from edgesim.reports.formats import html
from edgesim.reports.phrases import Fact

# A plot takes the browser a twentieth of a second; of more series, those without a step have their trend alone.
_MOST_PLOTS = 40
_MOST_TICKS = 4


def render(trends: Trends) -> str:
    """Return the page, which is complete in itself.

    Raises:
        HostError: Jinja or Plotly is not installed.
    """
    pages = html.require_page()
    drawn = [trends.series[i] for i in sorted(_drawn(trends.series))]
    plots = [_plot(series, f"series-{i}", trends.series) for i, series in enumerate(drawn)]
    titles = [f"{series.model} on {series.profile}" for series in drawn]
    grouped = itertools.groupby(zip(titles, plots, strict=True), lambda pair: pair[0])
    notes = phrases.notes(trends)
    if len(plots) < len(trends.series):
        notes.append(f"{len(plots)} of {len(trends.series)} series are drawn, those with steps first")
    steps = [(series, step) for series in trends.series for step in series.steps]
    steps.sort(key=lambda pair: pair[0].points[pair[1].at].entry.moment, reverse=True)
    results = f"{trends.entries} results, {len(trends.series)} series, {len(steps)} steps"
    return str(
        pages.filled(
            "history.html.j2",
            plots,
            heading="Figures over time",
            kicker="history",
            about=results,
            notes=notes,
            steps=[
                Fact(phrases.name(series, trends.series), where, tuple(more), phrases.step_title(series, step))
                for series, step in steps
                for where, *more in [phrases.step_facts(step)]
            ],
            tables=phrases.tables(trends.series),
            plots=[(title, [pages.in_template(plot) for _, plot in group]) for title, group in grouped],
            raw=[("history.jsonl", Markup(pages.packed(exports.jsonl(trends.series))))],  # noqa: S704  # base64
        )
    )


def _drawn(series: Sequence[Series]) -> set[int]:
    """Return the numbers of the series that are drawn: those with steps come first."""
    order = sorted(range(len(series)), key=lambda i: not series[i].steps)
    return set(order[:_MOST_PLOTS])


def _plot(series: Series, name: str, all_series: Sequence[Series]) -> Any:
    """Draw the points, the level of each segment, and a line at each step with its range."""
    import plotly.graph_objects as go

    from edgesim.reports.formats.html.plot import COLOURS, FAILED, QUIET, Plot, plain

    figure, values = go.Figure(), series.values
    places = list(range(len(values)))
    labels = [plain(phrases.label(point.entry)) for point in series.points]
    figure.add_scatter(
        x=places,
        y=values,
        mode="markers",
        marker={"size": 6, "color": COLOURS[0]},
        customdata=[
            [label, point.entry.created.date().isoformat(), plain(in_words(series.metric, value))]
            for label, point, value in zip(labels, series.points, values, strict=True)
        ],
        hovertemplate="%{customdata[2]}<br>%{customdata[0]}, %{customdata[1]}<extra></extra>",
    )
    levels = _levels(series)
    for begin, end, level in levels:
        figure.add_scatter(
            x=[begin - 0.5, end - 0.5],
            y=[level, level],
            mode="lines",
            line={"color": QUIET, "width": 2},
            hoverinfo="skip",
        )
    for step in series.steps:
        figure.add_vline(
            x=step.at - 0.5, line={"color": FAILED if step.worse else COLOURS[1], "width": 1.5, "dash": "dash"}
        )
    stride = max(-(-len(values) // _MOST_TICKS), 1)
    low, high = min(values), max(values)
    margin = 0.15 * (high - low) or 0.05 * abs(high) or 1.0
    figure.update_layout(height=260, showlegend=False)
    figure.update_xaxes(
        tickangle=0, tickvals=places[::stride], ticktext=[label[:8] for label in labels[::stride]], zeroline=False
    )
    figure.update_yaxes(title=exports.unit(series.metric).replace("1", ""), range=[low - margin, high + margin])
    rows = tuple(
        (labels[begin], labels[end - 1], str(end - begin), in_words(series.metric, level))
        for begin, end, level in levels
    )
    steps = "; ".join(f"{phrases.step_title(series, step)} {phrases.step_facts(step)[0]}" for step in series.steps)
    summary = f"{len(values)} results, last {in_words(series.metric, values[-1])}; {steps or 'no step'}."
    return Plot(
        name,
        phrases.metric_label(series, all_series),
        summary,
        figure,
        heads=("from", "to", "results", "level"),
        rows=rows,
    )


def _levels(series: Series) -> list[tuple[int, int, float]]:
    """Return the levels between the steps: the first point, the one after the last, and the median."""
    ends = [0, *(step.at for step in series.steps), len(series.points)]
    values = series.values
    return [(begin, end, sorted(values[begin:end])[(end - begin) // 2]) for begin, end in itertools.pairwise(ends)]
