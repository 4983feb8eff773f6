"""The plots of a page as Plotly figures: of one result, or of two drawn over each other.

The `meta` of every trace names the trace's side and the time of a request that the trace shows: the page's switches
select traces by `meta`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Generic, TypeVar

import numpy as np
import plotly.graph_objects as go

from edgesim.printable import harmless
from edgesim.reports import phrases, tables
from edgesim.reports.formats.html import thinning
from edgesim.reports.formats.html.thinning import Floats
from edgesim.reports.phrases import PERCENTILE_LABELS
from edgesim.results.load import Recorded
from edgesim.results.run_result import RunResult
from edgesim.units import format_ms, format_seconds

# Two of Okabe and Ito's colours, which are distinct for people with any colour vision; both stand out on white and on
# black.
COLOURS = ("#1f83c4", "#dd6b10")
FAILED, QUIET = "#c2318f", "#8a919c"
# Ticks at 1, 2 and 5 of each decade.
LOGARITHMIC = {"type": "log", "dtick": "D2"}
# The longest of device times on a linear axis, as a multiple of the shortest.
_MOST_LINEAR = 30
# The times of a request: the `meta` of a trace, and the name in a legend.
TIMES = {"latency": "latency", "service": "service time"}


Result = TypeVar("Result", bound=Recorded, covariant=True)


@dataclass(frozen=True)
class Side(Generic[Result]):
    """One of the results on a page. `name` is empty if it is the only one."""

    result: Result
    name: str = ""

    def labelled(self, text: str) -> str:
        """Return a text with the side's name before it, as in a legend."""
        return f"{self.name}: {text}" if self.name else text


def plain(text: str) -> str:
    """Return text of a result as Plotly shows it: Plotly takes tags for markup, links included."""
    return escape(harmless(text))


@dataclass(frozen=True)
class Plot:
    """A figure, and what it shows for those who cannot see it: a sentence (`summary`) and a table (`heads`, `rows`).

    `legend` pairs colours with what they stand for, in place of the figure's own legend.
    """

    name: str
    title: str
    summary: str
    figure: go.Figure
    notes: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    legend: tuple[tuple[str, str], ...] = ()


def time_prefix(sides: Sequence[Side[Recorded]]) -> str:
    """Return `phrases.time_prefix` of all sides; empty if they differ."""
    prefixes = {phrases.time_prefix(side.result) for side in sides}
    return prefixes.pop() if len(prefixes) == 1 else ""


def times_ms(result: Recorded, time: str) -> Floats:
    """Return one time of every answered request, in milliseconds, shape (requests,)."""
    name = "latency_ms" if time == "latency" else "service_time_ms"
    return np.array([getattr(sample, name) for sample in result.samples if sample.ok], dtype=np.float64)


_SCALED = ", the line the scaled server's median time for one request at a time"


_DEVICE_TIME = "Device time"


def time_heading(sides: Sequence[Side[RunResult]]) -> str:
    """Return the name of the headline's time: ``Device time``, or ``This host's time`` if all sides have one."""
    labels = {side.result.time_label for side in sides}
    label = labels.pop() if len(labels) == 1 else _DEVICE_TIME
    return label[0].upper() + label[1:]


def device_time(sides: Sequence[Side[RunResult]]) -> Plot | None:
    """Draw the headline: the device time, its band, and the measured time of a request if the run was scaled."""
    figure, rows, ends = go.Figure(), [], list[float]()
    heading = time_heading(sides)
    note = f"the bar is the band, the diamond {'the device time' if heading == _DEVICE_TIME else heading.lower()}"
    for i, side in enumerate(sides):
        time, measured = side.result.device_time_ms, _one_at_a_time_ms(side.result)
        if time.p50 is None or time.low is None or time.high is None:
            continue
        label = side.result.time_label
        name = side.name or label
        colour = COLOURS[i % len(COLOURS)]
        figure.add_scatter(
            x=[time.low, time.high],
            y=[name, name],
            mode="lines",
            line={"width": 18, "color": colour},
            opacity=0.3,
            name=side.labelled("band"),
            hovertemplate="%{x:.3~g} ms<extra>end of the band</extra>",
        )
        figure.add_scatter(
            x=[time.p50],
            y=[name],
            mode="markers",
            marker={"size": 16, "color": colour, "symbol": "diamond"},
            name=side.labelled(label),
            hovertemplate=f"%{{x:.3~g}} ms<extra>{label}</extra>",
        )
        rows.append((side.name or "this run", *map(format_ms, (time.low, time.p50, time.high))))
        ends += [time.low, time.high]
        if measured is not None:
            ends.append(measured)
            note = f"{note.removesuffix(_SCALED)}{_SCALED}"
            figure.add_scatter(
                x=[measured],
                y=[name],
                mode="markers",
                name=side.labelled("service time, scaled"),
                marker={"size": 18, "color": colour, "symbol": "line-ns-open", "line": {"width": 3}},
                hovertemplate="%{x:.3~g} ms<extra>one request at a time, scaled</extra>",
            )
    if not rows:
        return None
    figure.update_layout(height=80 + 44 * len(rows), xaxis=_axis_of(ends), showlegend=False)
    _name_rows(figure, len(rows))
    summary = "; ".join(f"{name}: {p50} ms, band {low} to {high} ms" for name, low, p50, high in rows)
    return Plot(
        "device",
        f"{heading} and its band",
        summary,
        figure,
        (note,),
        heads=(heading.lower(), "low, ms", "p50, ms", "high, ms"),
        rows=tuple(rows),
    )


def _axis_of(times_ms: Sequence[float]) -> dict[str, Any]:
    """Return the axis for times: from 0 on, or logarithmic where the shortest would be hidden at its left end."""
    if max(times_ms) < _MOST_LINEAR * min(times_ms):
        return {"title": "ms", "range": [0, 1.05 * max(times_ms)]}
    return {
        "title": "ms",
        "range": [np.log10(0.9 * min(times_ms)), np.log10(1.1 * max(times_ms))],
        "type": "log",
        "dtick": 1,
    }


def _one_at_a_time_ms(result: RunResult) -> float | None:
    """Return the scaled server's median for one request at a time; None of other runs.

    The service time of requests that arrive while others wait is no time of one inference: an overloaded board's is
    many times as long.
    """
    if result.scaling is None:
        return None
    if result.scenario.name == "single-stream" and result.scenario.clients == 1:
        return result.service_time_ms.p50
    return result.scaling.models[0].check_ms


def _name_rows(figure: go.Figure, rows: int) -> None:
    """Label rows by their names from the top down; a single row needs no label."""
    figure.update_yaxes(
        type="category", autorange="reversed", showgrid=False, automargin=True, ticks="", showticklabels=rows > 1
    )


def distribution(sides: Sequence[Side[Recorded]]) -> Plot | None:
    """Draw how many requests took how long."""
    figure, logarithmic = go.Figure(), False
    for time, label in TIMES.items():
        times = [times_ms(side.result, time) for side in sides]
        if not all(map(len, times)):
            return None
        borders, by_factor = thinning.edges(np.concatenate(times))
        logarithmic = logarithmic or (by_factor and time == "latency")
        for i, (side, values) in enumerate(zip(sides, times, strict=True)):
            share = 100 * np.histogram(values, borders)[0] / len(side.result.samples)
            figure.add_scatter(
                # Steps that begin and end on the axis.
                x=np.concatenate([borders[:1], borders]),
                y=np.concatenate([[0.0], share, [0.0]]),
                mode="lines",
                line={"shape": "hv", "width": 1.5, "color": COLOURS[i]},
                fill="tozeroy",
                name=side.labelled(label),
                meta={"side": i, "time": time},
                visible=time == "latency",
                hovertemplate="from %{x:.4~g} ms: %{y:.3~g} % of the requests",
            )
    figure.update_layout(height=320, yaxis={"title": "% of the requests", "rangemode": "tozero"})
    figure.update_xaxes(title=f"{time_prefix(sides)}ms")
    if logarithmic:
        figure.update_xaxes(LOGARITHMIC)
    summary = "; ".join(
        side.labelled(f"half of the requests took {_between(side.result)}")
        for side in sides
        if len(side.result.samples)
    )
    heads, rows = _percentile_table(sides)
    return Plot("distribution", "Distribution", f"{summary}.", figure, _failures(sides), heads, rows)


def percentiles(sides: Sequence[Side[Recorded]]) -> Plot | None:
    """Draw the time that each share of the requests did not exceed, with the 95 % intervals of the percentiles."""
    figure = go.Figure()
    longest = 0.0
    for time, label in TIMES.items():
        for i, side in enumerate(sides):
            values = times_ms(side.result, time)
            if not len(values):
                return None
            shares, milliseconds = thinning.curve(values, side.result.requests.failed)
            nines = -np.log10(1 - shares)
            longest = max(longest, float(nines[-1]))
            known = nines <= _nines(_highest_stated(side.result))
            shown = {"side": i, "time": time}
            for part, dash in ((known, "solid"), (~known | np.roll(~known, -1), "dot")):
                if part.any():
                    figure.add_scatter(
                        x=nines[part],
                        y=milliseconds[part],
                        mode="lines",
                        meta=shown,
                        visible=time == "latency",
                        line={"color": COLOURS[i], "dash": dash, "width": 2},
                        customdata=100 * shares[part],
                        name=side.labelled(label),
                        showlegend=dash == "solid",
                        hovertemplate="%{customdata:.4~f} %: %{y:.4~g} ms",
                    )
            _intervals(figure, side, i, time)
    ticks = [share for share in (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999) if _nines(share) <= longest + 0.3]
    figure.update_layout(height=340, yaxis={"title": f"{time_prefix(sides)}ms"})
    figure.update_xaxes(
        title="% of the requests that took at most this long",
        tickvals=[_nines(share) for share in ticks],
        ticktext=[f"{share:g}" for share in ticks],
        zeroline=False,
    )
    notes = [
        side.labelled(f"dotted beyond p{highest:g}: {len(side.result.samples):,} requests are too few for more")
        for side in sides
        if (highest := _highest_stated(side.result)) < 100 * side.result.requests.ok / len(side.result.samples)
    ]
    if any(side.result.latency_ms.intervals for side in sides):
        notes.append("bars are 95 % intervals")
    heads, rows = _percentile_table(sides)
    summary = "; ".join(side.labelled(f"latency {_percentile_words(side.result)}") for side in sides)
    return Plot("percentiles", "Percentiles", f"{summary}.", figure, tuple(notes) + _failures(sides), heads, rows)


def _intervals(figure: go.Figure, side: Side[Recorded], i: int, time: str) -> None:
    times = side.result.latency_ms if time == "latency" else side.result.service_time_ms
    stated = [(name, value) for name in PERCENTILE_LABELS if (value := getattr(times, name)) is not None]
    stated = [(name, value) for name, value in stated if name in times.intervals]
    if not stated:
        return
    with_bounds = [((name, value), times.intervals[name]) for name, value in stated]
    figure.add_scatter(
        x=[_nines(_percent(name)) for name, _ in stated],
        y=[value for _, value in stated],
        mode="markers",
        marker={"size": 7, "color": COLOURS[i]},
        name=side.labelled("95 % interval"),
        showlegend=False,
        meta={"side": i, "time": time},
        visible=time == "latency",
        error_y={
            "symmetric": False,
            "thickness": 1.5,
            "width": 5,
            "array": [0 if high is None else high - value for (_, value), (_, high) in with_bounds],
            "arrayminus": [value - low for (_, value), (low, _) in with_bounds],
        },
        text=[
            f"{PERCENTILE_LABELS[name]} {value:.4g} ms, {phrases.interval(bounds)}"
            for (name, value), bounds in with_bounds
        ],
        hovertemplate="%{text}<extra></extra>",
    )


def _highest_stated(result: Recorded) -> float:
    """Return the highest percentile that the sample is large enough for; 0 without a sample."""
    times = result.latency_ms
    stated = [name for name in PERCENTILE_LABELS if name not in times.needs_samples and times.samples]
    return _percent(stated[-1]) if stated else 0.0


def _percent(name: str) -> float:
    return float(PERCENTILE_LABELS[name].removeprefix("p"))


def _nines(percent: float) -> float:
    return float(-np.log10(1 - percent / 100))


def _percentile_words(result: Recorded) -> str:
    times = result.latency_ms
    stated = [
        f"{PERCENTILE_LABELS[name]} {value:.4g} ms"
        for name in PERCENTILE_LABELS
        if (value := getattr(times, name)) is not None
    ]
    return ", ".join(stated) if stated else "not stated: too few requests for a percentile"


def _between(result: Recorded) -> str:
    low, high = np.percentile(times_ms(result, "latency"), (25, 75))
    return f"between {low:.4g} and {high:.4g} ms"


def _percentile_table(sides: Sequence[Side[Recorded]]) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    heads = ("latency", *(side.name or "ms" for side in sides), *(side.labelled("95 % interval") for side in sides))
    return heads, tuple(_percentile_rows(sides))


def _percentile_rows(sides: Sequence[Side[Recorded]]) -> Iterator[tuple[str, ...]]:
    for name, label in PERCENTILE_LABELS.items():
        all_times = [side.result.latency_ms for side in sides]
        values = [getattr(times, name) for times in all_times]
        bounds = [times.intervals.get(name) for times in all_times]
        yield (
            label,
            *(f"{value:.4g}" if value is not None else "-" for value in values),
            *(phrases.interval(ends) if ends is not None else "-" for ends in bounds),
        )


def _failures(sides: Sequence[Side[Recorded]]) -> tuple[str, ...]:
    return tuple(
        side.labelled(f"{side.result.requests.failed:,} failed requests count as infinitely long and are not drawn")
        for side in sides
        if side.result.requests.failed
    )


def lifecycle(sides: Sequence[Side[RunResult]], name: str = "lifecycle") -> Plot | None:
    """Draw the start from nothing to a board that is warm, one stage after the other."""
    prefix = time_prefix(sides)
    figure, rows, legend = go.Figure(), [], []
    for side in sides:
        at_s = 0.0
        for stage, seconds in _stages(side.result):
            took = format_seconds(seconds)
            figure.add_bar(
                x=[seconds],
                base=[at_s],
                y=[side.name or "start"],
                orientation="h",
                marker={"color": _STAGES[stage]},
                hovertemplate=f"{stage}: {took}<extra>{side.name}</extra>",
            )
            rows.append((side.labelled(stage), took))
            legend.append((_STAGES[stage], side.labelled(f"{stage} {took}")))
            at_s += seconds
    if not rows:
        return None
    figure.update_layout(
        height=90 + 40 * len(sides), barmode="overlay", xaxis={"title": "s"}, bargap=0.3, showlegend=False
    )
    _name_rows(figure, len(sides))
    summary = "; ".join(f"{stage} {took}" for stage, took in rows)
    return Plot(
        name,
        f"{prefix}start".capitalize(),
        f"{summary}.",
        figure,
        heads=("stage", "took"),
        rows=tuple(rows),
        legend=tuple(legend),
    )


_STAGES = {
    "image": "#8a919c",
    "create": "#5b9bd5",
    "start": "#1f83c4",
    "server": "#7a6fc0",
    "model load": "#c2318f",
    "first inference": "#dd6b10",
    "warm-up": "#d9a514",
}


def _stages(result: RunResult) -> Iterator[tuple[str, float]]:
    """Yield the stages of a start with their seconds; no stage lies within another."""
    times = result.lifecycle_s
    # The server loads the model before it is ready.
    loading = min(times.model_load or 0.0, times.ready)
    seconds = {
        "image": times.image,
        "create": times.create,
        "start": times.start,
        "server": times.ready - loading,
        "model load": loading,
        "first inference": times.first_inference,
        "warm-up": times.steady - times.ready - (times.first_inference or 0.0) if times.steady is not None else None,
    }
    for name, value in seconds.items():
        if value is not None and value > 1e-4:
            yield name, value


def levels(sides: Sequence[Side[RunResult]]) -> Plot | None:
    """Draw the latency at each request rate of a sweep or of a peak search."""
    figure, rows = go.Figure(), []
    for i, side in enumerate(sides):
        ordered = sorted(side.result.levels, key=lambda level: level.qps)
        for name, dash in (("p50", "solid"), ("p90", "dash"), ("p99", "dot")):
            points = [(level.qps, getattr(level.latency_ms, name)) for level in ordered]
            points = [(qps, value) for qps, value in points if value is not None]
            if points:
                figure.add_scatter(
                    x=[qps for qps, _ in points],
                    y=[value for _, value in points],
                    mode="lines+markers",
                    name=side.labelled(name),
                    line={"color": COLOURS[i], "dash": dash},
                    meta={"side": i},
                    hovertemplate="%{y:.4~g} ms",
                )
        rows += [
            (
                side.labelled(f"{level.qps:.4g}"),
                *(
                    f"{v:.4g}" if (v := getattr(level.latency_ms, n)) is not None else "-"
                    for n in ("p50", "p90", "p99")
                ),
                tables.judged(level),
            )
            for level in ordered
        ]
    if not figure.data:
        return None
    figure.update_layout(height=340, yaxis={"title": "ms"}, hovermode="x unified")
    figure.update_xaxes(title="requests/s")
    notes = [side.labelled(note) for side in sides for note in tables.level_notes(side.result)]
    summary = f"Latency at {len(rows)} rates, from {rows[0][0]} to {rows[-1][0]} requests/s."
    summary = " ".join([summary, *(f"{note}." for note in notes)])
    return Plot(
        "levels",
        "Latency at each rate",
        summary,
        figure,
        heads=("requests/s", "p50, ms", "p90, ms", "p99, ms", "judged"),
        rows=tuple(rows),
    )


def styled(figure: go.Figure) -> go.Figure:
    """Return a figure without a background: the page gives it its own colours of text and lines."""
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 64, "r": 16, "t": 24, "b": 48},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        font={"family": "system-ui, sans-serif", "size": 13},
        autosize=True,
    )
    return figure
