"""A plot of a page: a Plotly figure of one result, or of two drawn over each other, with its words.

The `meta` of every trace names the trace's side and the time of a request that the trace shows: the page's switches
select traces by `meta`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Generic, TypeVar

import numpy as np
import plotly.graph_objects as go

from edgesim.printable import harmless
from edgesim.reports import phrases
from edgesim.reports.formats.html.thinning import Floats
from edgesim.results.load import Recorded

# Two of Okabe and Ito's colours, which are distinct for people with any colour vision; both stand out on white and on
# black.
COLOURS = ("#1f83c4", "#dd6b10")
FAILED, QUIET = "#c2318f", "#8a919c"
# Ticks at 1, 2 and 5 of each decade.
LOGARITHMIC = {"type": "log", "dtick": "D2"}
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
