"""A check as people and as CI systems read it."""

from xml.etree import ElementTree

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgesim.verdict import Check, Verdict

_STYLES: dict[Verdict, str] = {"PASS": "green", "FAIL": "bold red", "INCONCLUSIVE": "yellow"}


def render(check: Check) -> RenderableType:
    """A table of the items, and the verdict of the whole."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for item in check.items:
        table.add_row(Text(item.verdict, style=_STYLES[item.verdict]), Text(item.name, style="bold"), item.finding)
    heading = Text.assemble((f"{check.model} on {check.board}", "bold"), f", {check.execution or 'did not run'}")
    return Group(heading, Text(), table, Text(), Text(check.verdict, style=_STYLES[check.verdict]))


def junit(check: Check) -> str:
    """JUnit XML, a case for each item: what is INCONCLUSIVE is skipped, with the reason."""
    failures = sum(item.verdict == "FAIL" for item in check.items)
    skipped = sum(item.verdict == "INCONCLUSIVE" for item in check.items)
    suite = ElementTree.Element(
        "testsuite",
        name=f"edgesim check {check.profile} {check.model}",
        tests=str(len(check.items)),
        failures=str(failures),
        skipped=str(skipped),
        errors="0",
        timestamp=check.created,
    )
    for item in check.items:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"edgesim.check.{check.profile}.{check.model}", name=item.name
        )
        if item.verdict == "FAIL":
            ElementTree.SubElement(case, "failure", message=_clean(item.finding))
        elif item.verdict == "INCONCLUSIVE":
            ElementTree.SubElement(case, "skipped", message=_clean(item.finding))
        ElementTree.SubElement(case, "system-out").text = _clean(item.finding)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _clean(text: str) -> str:
    """Without what XML cannot hold, such as the escape of a coloured log."""
    return "".join(letter for letter in text if letter in "\t\n" or letter >= " ")
