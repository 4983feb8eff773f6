"""JSON: the result without its requests, readings and phases, and with its headline in words."""

import json
from collections.abc import Mapping
from typing import Any

from edgesim.reports import phrases, stack_phrases
from edgesim.reports.comparison import Comparison
from edgesim.reports.overview import Overview
from edgesim.reports.sweep_overview import SweepOverview
from edgesim.results.run_result import RunResult
from edgesim.results.stack_result import StackResult

DESCRIPTION = "all figures without the requests"


def render_result(result: RunResult, file: str) -> str:
    """Return the summary of a run."""
    return _json(_summary(result))


def render_stack(result: StackResult, file: str) -> str:
    """Return the summary of a stack's run."""
    validity = result.validity
    document = result.model_dump(mode="json", exclude={"samples", "timeline", "timelines", "phases"})
    about = phrases.about_times(result) if result.scenario is not None else []
    caveats = [*about, *validity.reasons, *validity.suspicions]
    return _json({"headline": stack_phrases.title(result), "verdict": validity.words, "caveats": caveats, **document})


def render_comparison(comparison: Comparison) -> str:
    """Return the summaries of both results, and every change."""
    return _json(
        {
            "different": comparison.different,
            "base": _summary(comparison.base),
            "candidate": _summary(comparison.candidate),
            "metrics": comparison.metrics(),
        }
    )


def render_overview(overview: Overview) -> str:
    """Return the figures of each result, and what makes them less certain."""
    return _json(overview.document())


def render_sweep(overview: SweepOverview) -> str:
    """Return the figures of each cell, and why some have none."""
    return _json(overview.document())


def _summary(result: RunResult) -> dict[str, Any]:
    lead, band = phrases.device_time(result)
    document = result.model_dump(mode="json", exclude={"samples", "timeline", "phases", "emulated"})
    if result.emulated is not None:
        document["emulated"] = _summary(result.emulated)
    validity = result.validity
    caveats = [
        *phrases.about_device_time(result),
        *phrases.about_times(result),
        *validity.reasons,
        *validity.suspicions,
    ]
    # The field is called `verdict` since its first version; scripts read it.
    return {"headline": f"{lead} {band}", "verdict": validity.words, "caveats": caveats, **document}


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
