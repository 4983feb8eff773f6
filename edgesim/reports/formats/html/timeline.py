"""The timeline of a run: its requests, and below them the board's CPU, memory and throttling."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from edgesim.recording import Reading, Sample
from edgesim.reports.formats.html import thinning
from edgesim.reports.formats.html.plot import COLOURS, FAILED, QUIET, TIMES, Plot, Side, plain, time_prefix
from edgesim.results.load import Recorded
from edgesim.results.stack_result import StackResult
from edgesim.units import format_bytes, format_seconds

_MOST_FAILED = 500
_MOST_PHASES = 30
# Okabe and Ito's colours and similar ones, without the one that the latency has.
SERVICES = ("#dd6b10", "#2a9d6f", "#d9a514", "#7a6fc0", "#5b9bd5", "#8a5a2b")
_MIB = 2**20
# The gap between two rows, as a part of the height of all.
_GAP = 0.075


class _Row(NamedTuple):
    """One of the plots below each other; `height` is relative to the others."""

    name: str
    title: str
    height: float


def timeline(sides: Sequence[Side[Recorded]], name: str = "timeline") -> Plot | None:
    """Draw latency over time, and below it the board's CPU, memory and throttling as far as this host reports them.

    The titles name an emulator's time as such. Return None if there is nothing to draw.
    """
    prefix = time_prefix(sides)
    sent = any(side.result.samples for side in sides)
    if not sent and not any(isinstance(side.result, StackResult) for side in sides):
        return None
    rows = [_Row("latency", f"{prefix}time of a request, ms", 0.46)] if sent else []
    resources = [
        (_Row("CPU", "CPU, % of a core", 0.18), "cpu_seconds"),
        (_Row("memory", "memory, MiB", 0.18), "memory_bytes"),
        (_Row("throttling", "throttled, % of the time", 0.18), "throttled_s"),
    ]
    rows += [row for row, field in resources if any(_has(side.result, field) for side in sides)]
    if not rows:
        return None
    figure = go.Figure()
    _lay_out(figure, rows)
    notes: list[str] = [f"this host does not report {row.name}" for row, _ in resources if row not in rows]
    for i, side in enumerate(sides):
        notes += _requests(figure, side, i)
        if isinstance(side.result, StackResult):
            _services(figure, side.result, [row.name for row in rows])
            notes.append("areas: what each service used, stacked; line: the whole board")
        notes += _device(figure, side, i, [row.name for row in rows])
    if len(sides) == 1:
        _phases(figure, sides[0].result, len(rows))
    figure.update_layout(height=240 + 130 * len(rows), hovermode="x unified", hoversubplots="axis")
    heads, table = _table(sides)
    return Plot(
        name,
        f"{prefix}timeline".capitalize(),
        f"{_summary(sides)}.",
        figure,
        tuple(notes),
        heads,
        table,
    )


def _lay_out(figure: go.Figure, rows: Sequence[_Row]) -> None:
    """Put rows below each other on one axis of time, so that pointing at one row shows the values of all."""
    top = 1.0
    total = sum(row.height for row in rows) / (1 - _GAP * (len(rows) - 1))
    for number, row in enumerate(rows, start=1):
        bottom = max(top - row.height / total, 0.0)
        figure.update_layout(
            {
                # The latency's axis need not begin at zero: differences matter, not the distance from zero.
                f"yaxis{number if number > 1 else ''}": {
                    "domain": [bottom, top],
                    "rangemode": "normal" if row.name == "latency" else "tozero",
                }
            }
        )
        figure.add_annotation(
            text=row.title,
            x=0,
            xref="paper",
            xanchor="left",
            y=top,
            yref="paper",
            yanchor="bottom",
            showarrow=False,
            font={"size": 12},
        )
        top = bottom - _GAP
    figure.update_xaxes(title="s", anchor=_axis(len(rows)), hoverformat=".4~f")


def _axis(number: int) -> str:
    """Return Plotly's name of a row's value axis; the first row is 1."""
    return f"y{number}" if number > 1 else "y"


def _has(result: Recorded, field: str) -> bool:
    return any(getattr(reading, field) is not None for reading in result.timeline)


def _requests(figure: go.Figure, side: Side[Recorded], i: int) -> list[str]:
    ok = [sample for sample in side.result.samples if sample.ok]
    failed = [sample for sample in side.result.samples if not sample.ok]
    due_s = np.array([sample.scheduled_ns / 1e9 for sample in ok])
    notes = []
    for time, label in TIMES.items():
        if not ok:
            break
        values = np.array([sample.latency_ms if time == "latency" else sample.service_time_ms for sample in ok])
        shown: dict[str, Any] = {"visible": time == "latency", "xaxis": "x", "yaxis": "y"}
        meta = {"side": i, "time": time, "part": "single"}
        size = 9 if len(ok) < 50 else 6 if len(ok) < 500 else 4
        singly = len(ok) <= thinning.MOST_SINGLE
        figure.add_scatter(
            x=due_s if singly else [],
            y=values if singly else [],
            mode="markers",
            meta=meta,
            **shown,
            marker={"size": size, "color": COLOURS[i], "opacity": 0.75},
            name=side.labelled(label),
            hovertemplate="%{y:.4~g} ms",
            showlegend=singly,
        )
        if not singly:
            notes += _columns(figure, side, i, due_s, values, time, shown) if time == "latency" else []
            if time != "latency":
                _columns(figure, side, i, due_s, values, time, shown)
    if failed:
        notes += _failed(figure, side, failed, max((sample.latency_ms for sample in ok), default=1.0))
    return notes


def _columns(
    figure: go.Figure,
    side: Side[Recorded],
    i: int,
    due_s: thinning.Floats,
    values: thinning.Floats,
    time: str,
    shown: dict[str, Any],
) -> list[str]:
    """Draw a band from the shortest to the longest request of each column, and the median; none across containers."""
    columns = thinning.columns(due_s, values)
    samples = side.result.samples
    starts = [
        samples[restart.first_sample].scheduled_ns / 1e9 for restart in side.result.restarts[1:] if restart.samples
    ]
    parts = columns.split(starts)
    meta = {"side": i, "time": time, "part": "columns"}
    figure.add_scatter(
        x=_joined([[*part.at_s, *part.at_s[::-1]] for part in parts]),
        y=_joined([[*part.largest, *part.least[::-1]] for part in parts]),
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=COLOURS[i],
        opacity=0.4,
        hoverinfo="skip",
        showlegend=False,
        meta=meta,
        **shown,
    )
    for field, label, width in (("largest", "longest", 0.75), ("least", "shortest", 0.75), ("median", "median", 2)):
        figure.add_scatter(
            x=_joined([part.at_s for part in parts]),
            y=_joined([getattr(part, field) for part in parts]),
            mode="lines",
            line={"width": width, "color": COLOURS[i]},
            meta=meta,
            **shown,
            name=side.labelled(f"{TIMES[time]}, {label}"),
            showlegend=field == "median",
            hovertemplate="%{y:.4~g} ms",
        )
    return [
        side.labelled(
            f"{len(values):,} requests are drawn as {len(columns.at_s)} columns of {format_seconds(columns.width_s)}:"
            f" shortest, median and longest of each. Zoom in to {thinning.MOST_SINGLE:,} or fewer to see each request"
        )
    ]


def _joined(parts: Sequence[Sequence[float] | thinning.Floats]) -> list[float | None]:
    """Return the parts one after the other, with a gap between."""
    joined: list[float | None] = []
    for part in parts:
        joined += [*([None] if joined else []), *map(float, part)]
    return joined


def _failed(figure: go.Figure, side: Side[Recorded], failed: Sequence[Sample], highest_ms: float) -> list[str]:
    step = -(-len(failed) // _MOST_FAILED)
    drawn = failed[::step]
    figure.add_scatter(
        x=[sample.scheduled_ns / 1e9 for sample in drawn],
        y=[highest_ms * 1.08] * len(drawn),
        mode="markers",
        marker={"symbol": "x", "size": 8, "color": FAILED},
        text=[plain(sample.outcome) for sample in drawn],
        name=side.labelled("failed"),
        hovertemplate="%{text}",
        xaxis="x",
        yaxis="y",
    )
    thinned = f"; one in {step} is drawn" if step > 1 else ""
    return [side.labelled(f"{len(failed):,} failed requests are at the top: they count as infinitely long{thinned}")]


def _device(figure: go.Figure, side: Side[Recorded], i: int, rows: Sequence[str]) -> list[str]:
    """Draw what the board used, container by container, with gaps between them."""
    series: dict[str, list[float | None]] = {name: [] for name in ("CPU", "memory", "processes", "throttling")}
    at_s: list[float | None] = []
    parts = thinning.by_container(side.result.timeline)
    for readings in parts:
        at_s += [reading.at_ns / 1e9 for reading in readings] + [None]
        series["CPU"] += [*thinning.rates(readings, "cpu_seconds"), None]
        series["throttling"] += [*thinning.rates(readings, "throttled_s"), None]
        series["memory"] += [*(_mib(reading.memory_bytes) for reading in readings), None]
        series["processes"] += [*(_mib(reading.memory_anon_bytes) for reading in readings), None]
    # Two readings give one rate, which makes no line.
    mode = "lines+markers" if any(len(part) <= 2 for part in parts) else "lines"
    labels = {"CPU": "CPU", "memory": "memory", "processes": "anonymous memory", "throttling": "throttled"}
    units = {"CPU": "%{y:.3~g} %", "throttling": "%{y:.3~g} %"}
    for what, values in series.items():
        row = "memory" if what == "processes" else what
        if row not in rows or all(value is None for value in values):
            continue
        number = rows.index(row) + 1
        figure.add_scatter(
            x=at_s,
            y=values,
            mode=mode,
            name=side.labelled(labels[what]),
            meta={"side": i},
            showlegend=False,
            # A rate covers the time since the reading before.
            line={
                "shape": "linear" if row == "memory" else "vh",
                "width": 1.5,
                "color": COLOURS[i],
                "dash": "dot" if what == "processes" else "solid",
            },
            hovertemplate=units.get(what, "%{y:.4~g} MiB"),
            xaxis="x",
            yaxis=_axis(number),
        )
    drawn = sum(map(len, parts))
    notes = []
    if drawn < len(side.result.timeline):
        notes.append(
            side.labelled(
                f"{len(side.result.timeline):,} readings of the board are drawn as {drawn:,}: CPU as the mean"
                " between two, memory as the largest"
            )
        )
    limit = side.result.resources.memory_limit_bytes
    if limit and "memory" in rows:
        notes.append(side.labelled(f"memory is limited to {format_bytes(limit)}; dotted: anonymous memory"))
    return notes


def _services(figure: go.Figure, result: StackResult, rows: Sequence[str]) -> None:
    """Draw what each service on the board used, stacked.

    Each service was read at moments of its own: the values are interpolated to the moments when the board was read.
    """
    at_ns = np.array([reading.at_ns for part in thinning.by_container(result.timeline) for reading in part])
    on_board = [(name, readings) for name, readings in result.timelines.items() if name not in result.beside]
    for (service, readings), colour in zip(on_board, itertools.cycle(SERVICES), strict=False):
        if not readings:
            continue
        own_ns = np.array([reading.at_ns for reading in readings])
        memory = np.array([reading.memory_bytes or 0 for reading in readings]) / _MIB
        cpu = np.array([rate or 0.0 for rate in thinning.rates(readings, "cpu_seconds")])
        # The last reading counts until the next one would have been taken.
        step_ns = (own_ns[-1] - own_ns[0]) / max(len(readings) - 1, 1)
        running = (at_ns >= own_ns[0]) & (at_ns < own_ns[-1] + step_ns)
        # A rate covers the time since the reading before.
        latest = np.minimum(np.searchsorted(own_ns, at_ns), len(readings) - 1)
        series = {"CPU": cpu[latest], "memory": np.interp(at_ns, own_ns, memory)}
        for row, values in series.items():
            if row not in rows:
                continue
            figure.add_scatter(
                x=at_ns / 1e9,
                y=np.where(running, values, 0.0),
                mode="lines",
                name=plain(service),
                legendgroup=service,
                showlegend=row == "memory",
                stackgroup=row,
                line={"shape": "linear" if row == "memory" else "vh", "width": 0, "color": colour},
                hovertemplate="%{y:.3~g} %" if row == "CPU" else "%{y:.4~g} MiB",
                xaxis="x",
                yaxis=_axis(rows.index(row) + 1),
            )


def _mib(count: int | None) -> float | None:
    return count / _MIB if count is not None else None


def _phases(figure: go.Figure, result: Recorded, rows: int) -> None:
    """Shade the phases of the run and name the long ones."""
    end_s = max((sample.done_ns for sample in result.samples), default=0) / 1e9
    length_s = max([end_s, *(phase.end_ns / 1e9 for phase in result.phases)])
    for number, phase in enumerate(result.phases[:_MOST_PHASES]):
        begin_s, end_s = phase.begin_ns / 1e9, phase.end_ns / 1e9
        for row in range(1, rows + 1):
            figure.add_shape(
                type="rect",
                x0=begin_s,
                x1=end_s,
                xref="x",
                y0=0,
                y1=1,
                yref=f"{_axis(row)} domain",
                layer="below",
                line_width=0,
                fillcolor=QUIET,
                opacity=0.12 if number % 2 else 0.06,
            )
        if end_s - begin_s > 0.06 * length_s:
            figure.add_annotation(
                x=(begin_s + end_s) / 2,
                xref="x",
                y=1,
                yref="y domain",
                yanchor="top",
                text=plain(phase.name),
                showarrow=False,
                font={"size": 11, "color": QUIET},
            )


def _summary(sides: Sequence[Side[Recorded]]) -> str:
    return "; ".join(
        side.labelled(
            f"{len(side.result.samples):,} requests over"
            f" {format_seconds(max(sample.done_ns for sample in side.result.samples) / 1e9)}"
        )
        for side in sides
        if side.result.samples
    )


def _table(sides: Sequence[Side[Recorded]]) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return heads and rows: what the board used in each phase of each side."""
    rows = [
        (
            side.labelled(phase.name),
            format_seconds((phase.end_ns - phase.begin_ns) / 1e9),
            *_used([reading for reading in side.result.timeline if phase.begin_ns <= reading.at_ns <= phase.end_ns]),
        )
        for side in sides
        for phase in side.result.phases[:_MOST_PHASES]
    ]
    return ("phase", "took", "CPU, % of a core", "largest memory", "throttled"), tuple(rows)


def _used(readings: Sequence[Reading]) -> tuple[str, str, str]:
    memory = [reading.memory_bytes for reading in readings if reading.memory_bytes is not None]
    ends = [*readings[:1], *readings[-1:]]
    shares = [
        thinning.rates(ends, field)[-1] if len(readings) > 1 else None for field in ("cpu_seconds", "throttled_s")
    ]
    cpu, throttled = (f"{share:.0f} %" if share is not None else "-" for share in shares)
    return cpu, format_bytes(max(memory)) if memory else "-", throttled
