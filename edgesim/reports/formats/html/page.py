"""Results → a page that is whole in itself, with the raw data in it. Takes the `report` extra: Jinja and Plotly."""

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

from edgesim import __version__
from edgesim.reports import phrases, series, stack_phrases
from edgesim.reports.comparison import HEADS, Comparison
from edgesim.reports.figures import COLUMNS, rows
from edgesim.reports.formats.html import plots, thinning
from edgesim.reports.formats.html.plots import Plot, Side
from edgesim.reports.formats.html.timeline import timeline
from edgesim.results.run_result import LimitSection, RunResult
from edgesim.results.stack_result import Recorded, StackResult
from edgesim.units import format_bytes

_BADGES = {"VALID": "good", "VALID, but suspect": "doubt", "INVALID": "bad"}


def render(result: RunResult, file: str) -> str:
    """The page of one result; `file` is the name that its raw data is downloaded under."""
    return _page([Side(result)], [file], phrases.title(result))


def render_comparison(both: Comparison) -> str:
    """The page of two, laid over each other."""
    sides = [Side(both.base, "base"), Side(both.candidate, "candidate")]
    # Two files of one name are downloaded under two.
    names = [Path(file).name for file in (both.base_file, both.candidate_file)]
    if names[0] == names[1]:
        names = [f"base-{names[0]}", f"candidate-{names[1]}"]
    return _page(sides, names, both.heading, both)


def _page(sides: Sequence[Side[RunResult]], files: Sequence[str], heading: str, both: Comparison | None = None) -> str:
    found, spread = _plots(sides)
    emulated = _emulated(sides)
    return _filled(
        "report.html.j2",
        [plot for plot in [*found.values(), *emulated] if plot is not None],
        heading=heading,
        kicker="comparison" if both is not None else "report",
        raw=[(file, _raw(side.result)) for side, file in zip(sides, files, strict=True)],
        sides=[_side(side) for side in sides],
        different=both.different if both is not None else (),
        changes=both.rows if both is not None else (),
        change_heads=HEADS,
        change_notes=both.notes if both is not None else (),
        plots={name: _shown(plot) for name, plot in found.items()},
        emulated=[_shown(plot) for plot in emulated],
        spread=spread,
        times_title=f"{plots.of_what_time(sides)}time of the requests".capitalize(),
    )


def render_stack(result: StackResult, file: str) -> str:
    """The page of a stack's result."""
    sides = [Side(result)]
    found: dict[str, Plot | None] = {
        "distribution": plots.distribution(sides),
        "percentiles": plots.percentiles(sides),
        "timeline": timeline(sides),
    }
    spread = _alike(found)
    verdict = phrases.verdict(result)
    sent = result.scenario is not None
    return _filled(
        "stack.html.j2",
        [plot for plot in found.values() if plot is not None],
        heading=stack_phrases.title(result),
        kicker="report of a stack",
        raw=[(file, _raw(result))],
        execution=stack_phrases.execution(result),
        created=_when(result),
        verdict=str(verdict),
        verdict_class=_BADGES[str(verdict)],
        reasons=verdict.reasons,
        doubts=verdict.doubts,
        rules=_rules(result),
        about_stack=list(stack_phrases.facts(result)),
        service_heads=stack_phrases.service_heads(result),
        services=list(stack_phrases.service_rows(result)),
        times_title=phrases.times_title(result, result.scenario) if result.scenario is not None else "",
        times_heads=("ms", *COLUMNS.values()),
        times=[(label, *figures) for label, figures in rows(result)] if sent else [],
        about_times=phrases.about_times(result) if sent else [],
        plots={name: _shown(plot) for name, plot in found.items()},
        spread=spread,
    )


def plots_alone(result: RunResult) -> str | None:
    """A page of the distribution and the percentiles, without the raw data; None where nothing was answered."""
    sides = [Side(result)]
    distribution, percentiles = plots.distribution(sides), plots.percentiles(sides)
    if distribution is None or percentiles is None:
        return None
    drawn = [distribution, percentiles]
    return _filled("plots.html.j2", drawn, heading=phrases.title(result), plots=[_shown(plot) for plot in drawn])


def _filled(template: str, drawn: Sequence[Plot], **values: Any) -> str:
    """A template with its values, and with all that a page needs to draw itself."""
    environment = Environment(loader=FunctionLoader(_asset), autoescape=True, undefined=StrictUndefined)
    return environment.get_template(template).render(
        figures=_figures(drawn),
        library=packed(get_plotlyjs()),
        style=_asset("style.css"),
        script=_asset("page.js"),
        version=__version__,
        **values,
    )


def _plots(sides: Sequence[Side[RunResult]]) -> tuple[dict[str, Plot | None], bool]:
    """All plots, and whether the times are so far spread that their axes are logarithmic at first."""
    found = {
        "device": plots.device_time(sides),
        "distribution": plots.distribution(sides),
        "percentiles": plots.percentiles(sides),
        "timeline": timeline(sides),
        "levels": plots.levels(sides),
        "lifecycle": plots.lifecycle(sides),
    }
    return found, _alike(found)


def _alike(found: Mapping[str, Plot | None]) -> bool:
    """One kind of axis for the time wherever it stands, and whether that is logarithmic."""
    distribution = found["distribution"]
    spread = distribution is not None and distribution.figure.layout.xaxis.type == "log"
    if spread:
        for name in ("percentiles", "timeline"):
            if (plot := found[name]) is not None:
                plot.figure.layout.yaxis.update(plots.LOGARITHMIC)
    return spread


def _emulated(sides: Sequence[Side[RunResult]]) -> list[Plot]:
    """What the runs were emulated beside, apart from their own time."""
    inside = [Side(side.result.emulated, side.name) for side in sides if side.result.emulated is not None]
    made = [timeline(inside, "emulated-timeline"), plots.lifecycle(inside, "emulated-lifecycle")] if inside else []
    return [plot for plot in made if plot is not None]


def _shown(plot: Plot | None) -> dict[str, Any] | None:
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
    found = {plot.name: json.loads(to_json(plots.styled(plot.figure), validate=False)) for plot in drawn}
    # Inside a script, a `<` could end it.
    return json.dumps({**found, "most_single": thinning.MOST_SINGLE}).replace("<", "\\u003c")


def packed(text: str) -> str:
    """A large text as it stands in a page: compressed, in base64."""
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode()


def _asset(name: str) -> str:
    return (resources.files("edgesim.reports.formats.html") / name).read_text(encoding="utf-8")


def _raw(result: Recorded) -> Markup:
    return Markup(packed(result.as_json(indented=False)))  # noqa: S704  # base64


def _when(result: Recorded) -> str:
    return result.created.replace("T", " ")


def _rules(result: Recorded) -> list[tuple[str, str, str]]:
    return [(rule.name, rule.verdict, rule.finding) for rule in result.validity.rules]


def _side(side: Side[RunResult]) -> Mapping[str, Any]:
    """All that the page says of one result."""
    result = side.result
    board = result.emulated if result.emulated is not None else result
    lead, band = phrases.device_time(result)
    verdict = phrases.verdict(result)
    return {
        "name": side.name,
        "title": phrases.title(result),
        "execution": phrases.execution(result),
        "created": _when(result),
        "known": result.device_time_ms.p50 is not None,
        "lead": lead,
        "band": band,
        "about_device_time": phrases.about_device_time(result),
        "verdict": str(verdict),
        "verdict_class": _BADGES[str(verdict)],
        "reasons": verdict.reasons,
        "doubts": verdict.doubts,
        "rules": _rules(result),
        "times_title": side.called(phrases.times_title(result, result.scenario)),
        "times_heads": ("ms", *COLUMNS.values()),
        "times": [(label, *figures) for label, figures in rows(result)],
        "about_times": phrases.about_times(result),
        "restart_heads": series.RESTART_HEADS,
        "restarts": list(series.restart_rows(result)),
        "spread": list(series.spread_lines(result)),
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
    if name.endswith("_bytes") or name.endswith("_bytes_per_s"):
        return format_bytes(value) + (" a second" if name.endswith("_per_s") else "")
    return f"{value:g}{' ms' if name.endswith('_ms') else ''}"
