"""Results, comparisons and verdicts as Markdown: for a pull request's comment, or a CI job's summary."""

import re
from collections.abc import Iterable, Iterator, Sequence

from edgesim.reports import phrases, series
from edgesim.reports import stack_phrases as stack_words
from edgesim.reports.comparison import HEADS, Comparison
from edgesim.reports.figures import COLUMNS, rows
from edgesim.reports.phrases import Fact
from edgesim.results.run_result import RunResult, ScenarioSection
from edgesim.results.stack_result import Recorded, StackResult
from edgesim.results.verdict import Verdict, VerdictWord

_MARKS: dict[VerdictWord, str] = {"PASS": "✅", "FAIL": "❌", "INCONCLUSIVE": "⚠️"}
# What would begin a tag, a table's cell, emphasis, code or a link.
_SPECIAL = re.compile(r"([\\`*_|<>\[\]])")


def result(found: RunResult) -> str:
    """The same headline, figures and caveats as on the terminal."""
    lines = [
        f"### {_plain(phrases.title(found))}",
        "",
        *_headline(found),
        "",
        *_trust(found),
        "",
        *_times(found, found.scenario),
    ]
    if found.levels:
        lines += [series.LEVELS, "", *_table(series.LEVEL_HEADS, series.level_rows(found)), ""]
    if found.restarts:
        lines += [series.RESTARTS, "", *_table(series.RESTART_HEADS, series.restart_rows(found)), ""]
        lines += [*(f"- {_plain(line)}" for line in series.spread_lines(found)), ""]
    lines += _details("The board and the run", [*list(phrases.facts(found))[1:], *phrases.stages(found)])
    return "\n".join(lines) + "\n"


def stack(found: StackResult) -> str:
    """A stack's result: the verdict, each service beside the board, and the times."""
    lines = [
        f"### {_plain(stack_words.title(found))}",
        "",
        _plain(stack_words.execution(found)),
        "",
        *_trust(found),
        "",
    ]
    lines += [*_table(stack_words.service_heads(found), stack_words.service_rows(found)), ""]
    if found.scenario is not None:
        lines += _times(found, found.scenario)
    lines += [*_details("The board and the run", stack_words.facts(found))]
    return "\n".join(lines) + "\n"


def comparison(both: Comparison) -> str:
    """Two results side by side: what keeps them from being compared first, then the headlines, then every figure."""
    lines = [f"### {_plain(both.heading)}"]
    lines += ["", *(f"**NOT COMPARABLE** {_plain(field)}  " for field in both.different)] if both.different else []
    sides = (("base", both.base, both.base_file), ("candidate", both.candidate, both.candidate_file))
    for name, found, file in sides:
        head = f"**{name}** {_plain(phrases.title(found))}, {phrases.execution(found)} ({_plain(file)})"
        lines += ["", head, "", *_headline(found, execution=False), "", *_trust(found)]
    lines += ["", *_table(HEADS, both.rows), "", *(f"> {_plain(note)}  " for note in both.notes)]
    return "\n".join(lines) + "\n"


def check(found: Verdict) -> str:
    """The verdict of the whole, and a row for each item."""
    heading = f"### {_MARKS[found.word]} {found.word}: {_plain(found.model)} on {_plain(found.board)}"
    items = ((f"{_MARKS[item.verdict]} {item.verdict}", item.name, item.finding) for item in found.items)
    lines = [heading, "", _plain(found.execution or "did not run"), "", *_table(("", "", "found"), items)]
    return "\n".join(lines) + "\n"


def _headline(found: RunResult, *, execution: bool = True) -> Iterator[str]:
    lead, band = phrases.device_time(found)
    how = f", {phrases.execution(found)}" if execution else ""
    yield f"**Device time {_plain(lead)}** {_plain(band)}{how}"
    if about := phrases.about_device_time(found):
        yield ""
        yield from (f"> {_plain(note)}  " for note in about)
    if found.not_scaled is not None:
        yield from ("", f"not scaled: {_plain(found.not_scaled)}")


def _times(found: Recorded, scenario: ScenarioSection) -> Iterator[str]:
    yield _plain(phrases.times_title(found, scenario))
    yield ""
    yield from _table(("", *COLUMNS.values()), ((label, *figures) for label, figures in rows(found)))
    yield ""
    yield from (f"> {_plain(line)}  " for line in phrases.about_times(found))
    yield ""


def _details(summary: str, facts: Iterable[Fact]) -> Iterator[str]:
    yield from (f"<details><summary>{summary}</summary>", "")
    yield from _table(("", ""), ((fact.label, f"{fact.lead} {fact.words}".strip()) for fact in facts))
    yield from ("", "</details>")


def _trust(found: Recorded) -> list[str]:
    verdict = phrases.verdict(found)
    return [f"**{verdict}**", *(f"- {_plain(line)}" for line in (*verdict.reasons, *verdict.doubts))]


def _table(heads: Sequence[str], cells: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in cells:
        yield f"| {' | '.join(map(_plain, row))} |"


def _plain(text: str) -> str:
    """Text that stays what it is: a model's name may hold anything. Nobody is called by an @ in it."""
    one_line = " ".join(text.split())
    return _SPECIAL.sub(r"\\\1", one_line).replace("@", "@\u200b")
