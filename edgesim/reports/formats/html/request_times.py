"""The plots of how long requests took: the distribution, and the percentiles with their intervals."""

from collections.abc import Iterator, Sequence

import numpy as np
import plotly.graph_objects as go

from edgesim.reports import phrases
from edgesim.reports.formats.html import thinning
from edgesim.reports.formats.html.plot import COLOURS, LOGARITHMIC, TIMES, Plot, Side, time_prefix, times_ms
from edgesim.reports.phrases import PERCENTILE_LABELS
from edgesim.results.load import Recorded


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
