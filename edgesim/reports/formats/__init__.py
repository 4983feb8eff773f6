"""Reports as files: what each kind of file holds."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgesim.errors import HostError, UsageError
from edgesim.reports import phrases, stack_phrases
from edgesim.reports.comparison import Comparison
from edgesim.reports.formats import junit, markdown
from edgesim.results.run_result import RunResult
from edgesim.results.stack_result import Recorded, StackResult

# By its suffix, what a file is.
KINDS: Mapping[str, str] = {
    ".html": "a page to look at",
    ".md": "Markdown",
    ".json": "figures for programs, without the requests",
    ".xml": "JUnit: a case for each rule of validity",
    ".csv": "every request, a row each",
}


def kind(path: Path) -> str:
    """The suffix, one of `KINDS`.

    Raises:
        UsageError: no report is of that kind.
    """
    suffix = path.suffix.lower()
    if suffix not in KINDS:
        raise UsageError(f"{path}: no report is of this kind", fix=f"a file that ends in {', '.join(KINDS)}")
    return suffix


def of_result(result: Recorded, suffix: str, file: str) -> str:
    """One result's report; `file` is where the result is from.

    Raises:
        HostError: a page was asked for, and what draws it is not installed.
    """
    match suffix:
        case ".html":
            page = _html()
            return str((page.render_stack if isinstance(result, StackResult) else page.render)(result, file))
        case ".md":
            return markdown.stack(result) if isinstance(result, StackResult) else markdown.result(result)
        case ".json":
            return _json(_stack_summary(result) if isinstance(result, StackResult) else _summary(result))
        case ".xml":
            return junit.validity(result)
        case _:
            return _csv(_rows(result), ())


def of_comparison(both: Comparison, suffix: str) -> str:
    """The report of two.

    Raises:
        UsageError: a kind of file that two results have no form in.
        HostError: as for one.
    """
    match suffix:
        case ".html":
            return str(_html().render_comparison(both))
        case ".md":
            return markdown.comparison(both)
        case ".json":
            return _json(
                {
                    "different": both.different,
                    "base": _summary(both.base),
                    "candidate": _summary(both.candidate),
                    "metrics": both.metrics(),
                }
            )
        case ".csv":
            sides = (("base", both.base), ("candidate", both.candidate))
            return _csv((row for name, result in sides for row in _rows(result, name)), ("result",))
        case _:
            raise UsageError("a comparison has no JUnit form: it is no verdict", fix="edgesim gate --junit FILE")


def _html() -> Any:
    try:
        from edgesim.reports.formats.html import page as html
    except ModuleNotFoundError as error:
        if error.name not in ("plotly", "jinja2", "markupsafe"):
            raise
        raise HostError(
            f"a page takes {error.name}, which is not installed", fix="pip install 'edgesim[report]'"
        ) from error
    return html


def _summary(result: RunResult) -> dict[str, Any]:
    """The result without what is as long as the run, and with its headline in words."""
    lead, band = phrases.device_time(result)
    document = result.model_dump(mode="json", exclude={"samples", "timeline", "phases", "emulated"})
    if result.emulated is not None:
        document["emulated"] = _summary(result.emulated)
    verdict = phrases.verdict(result)
    caveats = [*phrases.about_device_time(result), *phrases.about_times(result), *verdict.reasons, *verdict.doubts]
    return {"headline": f"{lead} {band}", "verdict": str(verdict), "caveats": caveats, **document}


def _stack_summary(result: StackResult) -> dict[str, Any]:
    verdict = phrases.verdict(result)
    document = result.model_dump(mode="json", exclude={"samples", "timeline", "timelines", "phases"})
    about = phrases.about_times(result) if result.scenario is not None else []
    caveats = [*about, *verdict.reasons, *verdict.doubts]
    return {"headline": stack_phrases.title(result), "verdict": str(verdict), "caveats": caveats, **document}


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


_COLUMNS = ("request", "scheduled_ns", "sent_ns", "done_ns", "latency_ms", "service_time_ms", "outcome")


def _rows(result: Recorded, *first: str) -> Iterator[tuple[Any, ...]]:
    for number, sample in enumerate(result.samples):
        # How long a request took that failed is no latency.
        times = (sample.latency_ms, sample.service_time_ms) if sample.ok else ("", "")
        yield (*first, number, sample.scheduled_ns, sample.sent_ns, sample.done_ns, *times, sample.outcome)


def _csv(rows: Iterator[tuple[Any, ...]], first: tuple[str, ...]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*first, *_COLUMNS))
    writer.writerows(rows)
    return text.getvalue()
