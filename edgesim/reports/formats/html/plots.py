"""The plots of a run beside the times of its requests: the device time, the start, and the rates of a sweep."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from edgesim.reports import tables
from edgesim.reports.formats.html.plot import COLOURS, Plot, Side, time_prefix
from edgesim.results.run_result import RunResult
from edgesim.units import format_ms, format_seconds

# The longest of device times on a linear axis, as a multiple of the shortest.
_MOST_LINEAR = 30
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
