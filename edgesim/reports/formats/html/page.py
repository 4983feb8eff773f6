"""Pages that are complete in themselves, with the raw data inside. Needs the `report` extra: Jinja and Plotly."""

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from plotly.io import to_json
from plotly.offline import get_plotlyjs

from edgesim.printable import harmless
from edgesim.reports import phrases, stack_phrases, tables
from edgesim.reports.comparison import Comparison
from edgesim.reports.formats.html import plots, request_times, thinning
from edgesim.reports.formats.html.plot import LOGARITHMIC, Plot, Side, styled, time_prefix
from edgesim.reports.formats.html.timeline import timeline
from edgesim.reports.overview import Overview
from edgesim.results.load import Recorded
from edgesim.results.run_result import RunResult
from edgesim.results.sections import LimitSection
from edgesim.results.stack_result import StackResult
from edgesim.units import format_bytes, format_rate
from edgesim.version import __version__

_BADGES = {"VALID": "good", "VALID, but suspect": "doubt", "INVALID": "bad"}


def render_result(result: RunResult, file: str) -> str:
    """Return the page of one result; `file` is the name of the raw data's download."""
    return _page([Side(result)], [file], phrases.title(result))


def render_comparison(comparison: Comparison) -> str:
    """Return the page of two results, drawn over each other."""
    sides = [Side(comparison.base, "base"), Side(comparison.candidate, "candidate")]
    # Two files of the same name are downloaded under two names.
    names = [Path(file).name for file in (comparison.base_file, comparison.candidate_file)]
    if names[0] == names[1]:
        names = [f"base-{names[0]}", f"candidate-{names[1]}"]
    return _page(sides, names, comparison.heading, comparison)


def _page(
    sides: Sequence[Side[RunResult]], files: Sequence[str], heading: str, comparison: Comparison | None = None
) -> str:
    drawn, logarithmic = _plots(sides)
    emulated = _emulated(sides)
    shown = [comparison.base_file, comparison.candidate_file] if comparison is not None else files
    return filled(
        "report.html.j2",
        [plot for plot in [*drawn.values(), *emulated] if plot is not None],
        headline=plots.time_heading(sides),
        heading=heading,
        kicker="comparison" if comparison is not None else "report",
        raw=[(file, _raw(side.result)) for side, file in zip(sides, files, strict=True)],
        sides=[_side(side, file) for side, file in zip(sides, shown, strict=True)],
        different=comparison.different if comparison is not None else (),
        changes=comparison.table if comparison is not None else None,
        change_notes=comparison.notes if comparison is not None else (),
        plots={name: in_template(plot) for name, plot in drawn.items()},
        emulated=[in_template(plot) for plot in emulated],
        logarithmic=logarithmic,
        times_title=f"{time_prefix(sides)}time of the requests".capitalize(),
    )


def render_overview(overview: Overview) -> str:
    """Return the page of several results: their device times in one plot, and all figures in one table."""
    sides = [Side(result, label) for result, label in zip(overview.results, overview.labels, strict=True)]
    device = plots.device_time(sides)
    # Files of the same name are downloaded under different names.
    names = [f"{i + 1}-{Path(file).name}" for i, file in enumerate(overview.files)]
    return filled(
        "overview.html.j2",
        [device] if device is not None else [],
        heading=overview.heading,
        kicker="overview",
        raw=[(name, _raw(side.result)) for name, side in zip(names, sides, strict=True)],
        sides=[(side.name, phrases.side(side.result, file)) for side, file in zip(sides, overview.files, strict=True)],
        shown=overview.table(files=False),
        notes=list(overview.notes()),
        device=in_template(device),
    )


def render_stack(result: StackResult, file: str) -> str:
    """Return the page of a stack's result; `file` is the name of the raw data's download."""
    sides = [Side(result)]
    drawn: dict[str, Plot | None] = {
        "distribution": request_times.distribution(sides),
        "percentiles": request_times.percentiles(sides),
        "timeline": timeline(sides),
    }
    logarithmic = _same_axes(drawn)
    return filled(
        "stack.html.j2",
        [plot for plot in drawn.values() if plot is not None],
        heading=stack_phrases.title(result),
        kicker="report of a stack",
        raw=[(file, _raw(result))],
        execution=stack_phrases.execution(result),
        created=_when(result),
        validity=result.validity,
        badge=_BADGES[result.validity.words],
        rules=_rules(result),
        about_stack=list(stack_phrases.facts(result)),
        services=tables.services(result),
        beside=tables.beside_board(result),
        times=tables.times(result, result.scenario) if result.scenario is not None else None,
        about_times=phrases.about_times(result) if result.scenario is not None else [],
        plots={name: in_template(plot) for name, plot in drawn.items()},
        logarithmic=logarithmic,
    )


def render_plots(result: RunResult) -> str | None:
    """Return a page of the distribution and the percentiles, without the raw data; None if nothing was answered."""
    sides = [Side(result)]
    distribution, percentiles = request_times.distribution(sides), request_times.percentiles(sides)
    if distribution is None or percentiles is None:
        return None
    drawn = [distribution, percentiles]
    return filled("plots.html.j2", drawn, heading=phrases.title(result), plots=[in_template(plot) for plot in drawn])


def filled(template: str, drawn: Sequence[Plot], *, scripts: Sequence[str] = (), **values: Any) -> str:
    """Return a template with its values, and with all that the page needs to draw its plots.

    Args:
        scripts: names of scripts of the page's own, which run after the script of all pages.
    """
    environment = Environment(
        loader=FunctionLoader(_asset), autoescape=True, undefined=StrictUndefined, finalize=_finalized
    )
    return environment.get_template(template).render(
        figures=_figures(drawn),
        library=packed(get_plotlyjs()),
        style=_asset("style.css"),
        script="\n".join(map(_asset, ("page.js", *scripts))),
        version=__version__,
        **values,
    )


def _finalized(value: Any) -> Any:
    """Return what a template writes for a value: text of a result, such as a name, without control characters."""
    return harmless(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _plots(sides: Sequence[Side[RunResult]]) -> tuple[dict[str, Plot | None], bool]:
    """Return all plots by name, and whether the axes of time start logarithmic: the times spread that far."""
    drawn = {
        "device": plots.device_time(sides),
        "distribution": request_times.distribution(sides),
        "percentiles": request_times.percentiles(sides),
        "timeline": timeline(sides),
        "levels": plots.levels(sides),
        "lifecycle": plots.lifecycle(sides),
    }
    return drawn, _same_axes(drawn)


def _same_axes(drawn: Mapping[str, Plot | None]) -> bool:
    """Give time the same kind of axis in every plot; return whether it is logarithmic."""
    distribution = drawn["distribution"]
    logarithmic = distribution is not None and distribution.figure.layout.xaxis.type == "log"
    if logarithmic:
        for name in ("percentiles", "timeline"):
            if (plot := drawn[name]) is not None:
                plot.figure.layout.yaxis.update(LOGARITHMIC)
    return logarithmic


def _emulated(sides: Sequence[Side[RunResult]]) -> list[Plot]:
    """Return the plots of the emulated runs inside scaled ones; their time has nothing to do with the scaled time."""
    emulated = [Side(side.result.emulated, side.name) for side in sides if side.result.emulated is not None]
    if not emulated:
        return []
    drawn = [timeline(emulated, "emulated-timeline"), plots.lifecycle(emulated, "emulated-lifecycle")]
    return [plot for plot in drawn if plot is not None]


def in_template(plot: Plot | None) -> dict[str, Any] | None:
    if plot is None:
        return None
    return {
        "name": plot.name,
        "title": plot.title,
        "summary": plot.summary,
        "notes": plot.notes,
        "heads": plot.heads,
        "rows": plot.rows,
        "legend": plot.legend,
        "height": plot.figure.layout.height,
        "zooms": "timeline" in plot.name,
    }


def _figures(drawn: Sequence[Plot]) -> str:
    figures = {plot.name: json.loads(to_json(styled(plot.figure), validate=False)) for plot in drawn}
    # A `<` could end the script that holds this.
    return json.dumps({**figures, "most_single": thinning.MOST_SINGLE}).replace("<", "\\u003c")


def packed(text: str) -> str:
    """Return a large text as a page holds it: compressed, in base64."""
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode()


def _asset(name: str) -> str:
    return (resources.files("edgesim.reports.formats.html") / name).read_text(encoding="utf-8")


def _raw(result: Recorded) -> Markup:
    return Markup(packed(result.as_json(indented=False)))  # noqa: S704  # base64


def _when(result: Recorded) -> str:
    return result.created.replace("T", " ")


def _rules(result: Recorded) -> list[tuple[str, str, str]]:
    return [(rule.name, rule.verdict, rule.finding) for rule in result.validity.rules]


def _side(side: Side[RunResult], file: str) -> Mapping[str, Any]:
    """Return all that the page says about one result; `file` is the name of its file."""
    result = side.result
    board = result.emulated if result.emulated is not None else result
    lead, band = phrases.device_time(result)
    return {
        "name": side.name,
        "about": phrases.side(result, file) if side.name else f"{phrases.execution(result)} · {_when(result)}",
        "known": result.device_time_ms.p50 is not None,
        "lead": lead,
        "band": band,
        "about_device_time": phrases.about_device_time(result),
        "targets": tables.targets(result) if len(result.targets) > 1 else None,
        "published": tables.published(result),
        "validity": result.validity,
        "badge": _BADGES[result.validity.words],
        "rules": _rules(result),
        "times_title": side.labelled(phrases.times_title(result, result.scenario)),
        "times": tables.times(result, result.scenario),
        "about_times": phrases.about_times(result),
        "containers": tables.containers(result),
        "spread": list(tables.spread_lines(result)),
        "facts": [*list(phrases.facts(result))[1:], *phrases.stages(result)],
        "limits": [_limit(limit) for limit in board.device.limits if limit.requested is not None],
    }


def _limit(limit: LimitSection) -> tuple[str, str, str, str]:
    proven = {True: "yes", False: "no", None: "not tried"}[limit.proven]
    name = phrases.LIMIT_NAMES.get(limit.name, limit.name.replace("_", " "))
    return name, _amount(limit.name, limit.requested), _amount(limit.name, limit.applied), proven


def _amount(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if name.endswith("_bytes_per_s"):
        return format_rate(value)
    if name.endswith("_bytes"):
        return format_bytes(value)
    return f"{value:g}{' ms' if name.endswith('_ms') else ''}"
