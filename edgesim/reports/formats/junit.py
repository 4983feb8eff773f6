"""JUnit XML, which CI systems show: of a verdict a case for each item, of a run one for each rule of validity."""

from collections.abc import Iterator
from typing import Literal, NamedTuple
from xml.etree import ElementTree

from edgesim.reports import phrases
from edgesim.results.run_result import RunResult
from edgesim.results.stack_result import Recorded
from edgesim.results.verdict import Verdict


class _Case(NamedTuple):
    name: str
    kind: Literal["passed", "failure", "skipped"]
    said: str


def check(found: Verdict, command: str = "check") -> str:
    """Of the command that gave it. What is INCONCLUSIVE is skipped, with the reason."""
    kinds: dict[str, Literal["passed", "failure", "skipped"]] = {
        "PASS": "passed",
        "FAIL": "failure",
        "INCONCLUSIVE": "skipped",
    }
    cases = [_Case(item.name, kinds[item.verdict], item.finding) for item in found.items]
    name = f"edgesim {command} {found.profile} {found.model}"
    return _suite(name, f"edgesim.{command}.{found.profile}.{found.model}", found.created, cases)


def validity(result: Recorded) -> str:
    """What this host does not tell is skipped; the headline is a property, and so is each figure beside it."""
    properties = {"validity": str(phrases.verdict(result))}
    if isinstance(result, RunResult):
        properties = {"device time": " ".join(phrases.device_time(result)), **properties}
    properties |= {f"latency_ms.{name}": str(value) for name, value in _figures(result)}
    name, mode = result.profile.name, f":{result.profile.mode}" if result.profile.mode else ""
    subject = result.model.name if isinstance(result, RunResult) else result.stack.name
    return _suite(
        f"edgesim run {name}{mode} {subject}",
        f"edgesim.run.{name}.{subject}",
        result.created,
        list(_rules(result)),
        properties,
    )


def _figures(result: Recorded) -> Iterator[tuple[str, float]]:
    for name in ("min", "mean", "p50", "p90", "p95", "p99", "p99_9", "max"):
        if (value := getattr(result.latency_ms, name)) is not None:
            yield name, value


def _rules(result: Recorded) -> Iterator[_Case]:
    told: dict[str, Literal["passed", "failure", "skipped"]] = {"invalid": "failure", "unknown": "skipped"}
    seen = set()
    emulated = result.emulated if isinstance(result, RunResult) else None
    for prefix, found in (("", result), ("emulated: ", emulated)):
        for rule in found.validity.rules if found is not None else ():
            said = f"suspect: {rule.finding}" if rule.verdict == "suspect" else rule.finding
            yield _Case(f"{prefix}{rule.name}", told.get(rule.verdict, "passed"), said)
            seen.add(f"{prefix}{rule.name}: {rule.finding}")
    # A reason that no rule gives, as when a run was cut short before its second part.
    for reason in result.validity.reasons:
        if reason not in seen:
            name, _, finding = reason.partition(": ")
            yield _Case(name, "failure", finding or reason)


def _suite(
    name: str, classname: str, created: str, cases: list[_Case], properties: dict[str, str] | None = None
) -> str:
    suite = ElementTree.Element(
        "testsuite",
        name=name,
        tests=str(len(cases)),
        failures=str(sum(case.kind == "failure" for case in cases)),
        skipped=str(sum(case.kind == "skipped" for case in cases)),
        errors="0",
        timestamp=created,
    )
    if properties:
        holder = ElementTree.SubElement(suite, "properties")
        for key, value in properties.items():
            ElementTree.SubElement(holder, "property", name=key, value=_clean(value))
    for case in cases:
        element = ElementTree.SubElement(suite, "testcase", classname=classname, name=_clean(case.name))
        if case.kind != "passed":
            ElementTree.SubElement(element, case.kind, message=_clean(case.said))
        ElementTree.SubElement(element, "system-out").text = _clean(case.said)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _clean(text: str) -> str:
    """Without what XML cannot hold, such as the escape of a coloured log."""
    return "".join(letter for letter in text if letter in "\t\n" or (letter >= " " and letter not in "\ufffe\uffff"))
