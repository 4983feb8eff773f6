"""Verdicts: the word for the whole, and JUnit for CI systems."""

from xml.etree import ElementTree

import pytest

from edgesim.reports.formats import junit
from edgesim.results.verdict import Item, Verdict, VerdictWord


def made(*verdicts: VerdictWord, finding: str = "2 < 3 & \x1b[31mred\x1b[0m") -> Verdict:
    return Verdict(
        created="2026-01-02T03:04:05+00:00",
        edgesim_version="0.1.0",
        profile="p",
        board="Board",
        model="net",
        execution="emulated",
        items=tuple(Item(name=f"item {i}", verdict=verdict, finding=finding) for i, verdict in enumerate(verdicts)),
    )


@pytest.mark.parametrize(
    ("items", "whole"),
    [
        (("PASS", "PASS"), "PASS"),
        (("PASS", "INCONCLUSIVE"), "INCONCLUSIVE"),
        (("PASS", "INCONCLUSIVE", "FAIL"), "FAIL"),
        ((), "INCONCLUSIVE"),
    ],
)
def test_a_verdict_is_that_of_its_worst_item_and_no_items_are_inconclusive(
    items: tuple[VerdictWord, ...], whole: VerdictWord
) -> None:
    assert made(*items).word == whole


def test_junit_has_a_case_for_each_item_and_stays_readable_with_control_characters() -> None:
    suite = ElementTree.fromstring(junit.render_verdict(made("PASS", "FAIL", "INCONCLUSIVE"), "check"))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    passed, failed, skipped = suite.findall("testcase")
    assert [child.tag for child in passed] == ["system-out"]
    assert failed.find("failure") is not None
    assert skipped.find("skipped") is not None
    assert failed.find("failure").get("message") == r"2 < 3 & \u001b[31mred\u001b[0m"  # type: ignore[union-attr]


def test_junit_skips_what_was_not_judged() -> None:
    item = Item(name="gpu", verdict="FAIL", finding="no fast path")
    suite = ElementTree.fromstring(
        junit.render_verdict(made("PASS").model_copy(update={"not_judged": (item,)}), "check")
    )
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "0", "1")
    skipped = suite.findall("testcase/skipped")
    assert [each.get("message") for each in skipped] == ["not judged: FAIL: no fast path"]
