"""One line that sums up a result, a comparison or a verdict: what ``--quiet`` prints."""

from collections import Counter

from edgesim.reports import phrases, stack_phrases
from edgesim.reports.comparison import Comparison
from edgesim.reports.overview import Overview
from edgesim.results.load import Recorded
from edgesim.results.run_result import RunResult
from edgesim.results.verdict import Verdict
from edgesim.units import counted, format_ms


def of_result(result: Recorded) -> str:
    """Return whether a run is VALID, what ran, the device time with its band, the median latency, and why INVALID."""
    valid = "VALID" if result.validity.valid else "INVALID"
    if isinstance(result, RunResult):
        time, band = phrases.device_time(result)
        summary = f"{phrases.title(result)}, {phrases.execution(result)}: {result.time_label} {time} {band}"
    else:
        summary = stack_phrases.title(result)
    p50 = result.latency_ms.p50
    whose = "this host's" if result.time_origin == "host" else result.execution
    latency = f", {whose} latency p50 {format_ms(p50)} ms" if p50 is not None else ""
    reasons = result.validity.reasons
    more = f" (and {counted(len(reasons) - 1, 'reason')} more)" if len(reasons) > 1 else ""
    why = f": {reasons[0]}{more}" if reasons and not result.validity.valid else ""
    return f"{valid}  {summary}{latency}, {counted(result.requests.ok, 'request')}{why}"


def of_comparison(comparison: Comparison) -> str:
    """Return the changes of the device time, the median latency and the memory, as far as both results have them."""
    changes = {change.metric: change.change for change in comparison.changes}
    names = [name for name in ("device_time_ms.p50", "latency_ms.p50", "memory_peak_bytes") if name in changes]
    figures = ", ".join(f"{name} {changes[name]}" for name in names)
    different = "  (different things are compared)" if comparison.different else ""
    return f"{comparison.candidate_file} to {comparison.base_file}: {figures or 'no metric in common'}{different}"


def of_overview(overview: Overview) -> str:
    """Return the device time of each result."""
    times = (
        f"{label} {phrases.device_time(result)[0]}"
        for label, result in zip(overview.labels, overview.results, strict=True)
    )
    return f"{overview.heading}: device time {', '.join(times)}"


def of_several(compared: Comparison | Overview) -> str:
    """Return `of_comparison` or `of_overview`."""
    return of_overview(compared) if isinstance(compared, Overview) else of_comparison(compared)


def of_verdict(verdict: Verdict) -> str:
    """Return the verdict, what was judged, and how many items have which verdict; name those that fail."""
    counts = Counter(item.verdict for item in verdict.items)
    words = ", ".join(f"{count} {word}" for word, count in counts.items())
    failed = [item.name for item in verdict.items if item.verdict == "FAIL"]
    names = f" ({', '.join(failed)})" if failed else ""
    return f"{verdict.word}  {verdict.model} on {verdict.board}: {words}{names}"
