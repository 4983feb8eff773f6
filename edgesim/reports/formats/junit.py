"""JUnit XML, which CI systems show: a case for each item of a verdict, or for each rule of a run's validity."""

from collections.abc import Iterator
from typing import Literal, NamedTuple
from xml.etree import ElementTree

from edgesim.errors import UsageError
from edgesim.printable import harmless
from edgesim.reports import phrases
from edgesim.reports.comparison import Comparison
from edgesim.reports.overview import Overview
from edgesim.reports.sweep_overview import SweepOverview, outcome
from edgesim.results.cell_result import CellResult
from edgesim.results.load import Recorded
from edgesim.results.run_result import RunResult
from edgesim.results.stack_result import StackResult
from edgesim.results.verdict import Verdict, VerdictWord

DESCRIPTION = "JUnit, a case for each rule of validity"
_Kind = Literal["passed", "failure", "skipped"]
_VERDICT_KINDS: dict[VerdictWord, _Kind] = {"PASS": "passed", "FAIL": "failure", "INCONCLUSIVE": "skipped"}
_RULE_KINDS: dict[str, _Kind] = {"ok": "passed", "suspect": "passed", "invalid": "failure", "unknown": "skipped"}

_CELL_KINDS: dict[str, _Kind] = {
    "FAIL": "failure",
    "INVALID": "failure",
    "INCONCLUSIVE": "skipped",
    "not predicted": "skipped",
}


class _Case(NamedTuple):
    name: str
    kind: _Kind
    message: str


def render_result(result: RunResult, file: str = "") -> str:
    """Return a case for each rule of validity; a rule whose facts this host does not report is skipped.

    The headline and the latency's figures are properties.
    """
    properties = {result.time_label: " ".join(phrases.device_time(result))}
    properties |= {fact.label: " ".join(filter(None, (fact.lead, fact.words))) for fact in phrases.targets(result)}
    return _run(result, result.model.name, properties)


def render_stack(result: StackResult, file: str = "") -> str:
    """Return a case for each rule of validity, as `render_result` does; a stack has no device time."""
    return _run(result, result.stack.name, {})


def render_comparison(comparison: Comparison) -> str:
    """Decline: a comparison gives no verdict.

    Raises:
        UsageError: always.
    """
    raise UsageError("a comparison has no JUnit format, since it is not a verdict", fix="edgesim gate --junit FILE")


def render_overview(overview: Overview) -> str:
    """Decline: an overview gives no verdict.

    Raises:
        UsageError: always.
    """
    raise UsageError(
        "several results have no JUnit format, since they are not a verdict", fix="edgesim gate --junit FILE"
    )


def render_sweep(overview: SweepOverview) -> str:
    """Return a case for each cell: one that failed is a failure; a check's verdict is the case's; others passed."""
    cases = [_Case(cell.name, *_kind_of(cell)) for cell in overview.cells]
    created = max(cell.created for cell in overview.cells)
    return _suite("edgesim sweep", "edgesim.sweep", created, cases, {})


def _kind_of(cell: CellResult) -> tuple[_Kind, str]:
    if cell.error is not None:
        return "failure", cell.error.problem
    word = outcome(cell)
    return _CELL_KINDS.get(word, "passed"), "; ".join((word, *cell.notes))


def render_verdict(verdict: Verdict, command: str) -> str:
    """Return a case for each item; one that is INCONCLUSIVE or not judged is skipped, with the reason.

    `command` is the one that gave the verdict.
    """
    cases = [_Case(item.name, _VERDICT_KINDS[item.verdict], item.finding) for item in verdict.items]
    cases += [_Case(item.name, "skipped", f"not judged: {item.verdict}: {item.finding}") for item in verdict.not_judged]
    name = f"edgesim {command} {verdict.profile} {verdict.model}"
    return _suite(
        name, f"edgesim.{command}.{verdict.profile}.{verdict.model}", verdict.created, cases, dict(verdict.sides)
    )


def _run(result: Recorded, name: str, properties: dict[str, str]) -> str:
    profile, mode = result.profile.name, f":{result.profile.mode}" if result.profile.mode else ""
    properties = {**properties, "validity": result.validity.words}
    properties |= {f"latency_ms.{statistic}": str(value) for statistic, value in _figures(result)}
    return _suite(
        f"edgesim run {profile}{mode} {name}",
        f"edgesim.run.{profile}.{name}",
        result.created,
        list(_rules(result)),
        properties,
    )


def _figures(result: Recorded) -> Iterator[tuple[str, float]]:
    for name in ("min", "mean", "p50", "p90", "p95", "p99", "p99_9", "max"):
        if (value := getattr(result.latency_ms, name)) is not None:
            yield name, value


def _rules(result: Recorded) -> Iterator[_Case]:
    in_rules = set()
    emulated = result.emulated if isinstance(result, RunResult) else None
    for prefix, part in (("", result), ("emulated: ", emulated)):
        for rule in part.validity.rules if part is not None else ():
            message = f"suspect: {rule.finding}" if rule.verdict == "suspect" else rule.finding
            yield _Case(f"{prefix}{rule.name}", _RULE_KINDS[rule.verdict], message)
            in_rules.add(f"{prefix}{rule.name}: {rule.finding}")
    # A reason that no rule gives, as for a run that was cut short before its second part.
    for reason in result.validity.reasons:
        if reason not in in_rules:
            name, _, finding = reason.partition(": ")
            yield _Case(name, "failure", finding or reason)


def _suite(
    name: str, classname: str, created: str, cases: list[_Case], properties: dict[str, str] | None = None
) -> str:
    suite = ElementTree.Element(
        "testsuite",
        name=_clean(name),
        tests=str(len(cases)),
        failures=str(sum(case.kind == "failure" for case in cases)),
        skipped=str(sum(case.kind == "skipped" for case in cases)),
        errors="0",
        timestamp=_clean(created),
    )
    if properties:
        parent = ElementTree.SubElement(suite, "properties")
        for key, value in properties.items():
            ElementTree.SubElement(parent, "property", name=_clean(key), value=_clean(value))
    for case in cases:
        element = ElementTree.SubElement(suite, "testcase", classname=_clean(classname), name=_clean(case.name))
        if case.kind != "passed":
            ElementTree.SubElement(element, case.kind, message=_clean(case.message))
        ElementTree.SubElement(element, "system-out").text = _clean(case.message)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _clean(text: str) -> str:
    """Return text without the characters that XML cannot hold, such as the escape codes of a coloured log.

    CI systems print it in their logs, too.
    """
    return "".join(letter for letter in harmless(text) if letter not in "\ufffe\uffff")
