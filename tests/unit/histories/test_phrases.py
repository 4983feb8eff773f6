"""What a history says of a step."""

from datetime import UTC, datetime

from edgesim.histories import phrases
from edgesim.histories.entry import Revision
from edgesim.histories.series import Step


def revision(name: str) -> Revision:
    return Revision(name=name * 40, date=datetime(2026, 1, 1, tzinfo=UTC))


def step(first: str, last: str) -> Step:
    levels = {"before": 50.0, "after": 51.5, "change": 0.03, "confidence": 0.99999}
    where = {"at": 9, "commits": 1, "revision": revision("b"), "previous": revision("a")}
    return Step(**levels, **where, first=revision(first), last=revision(last), worse=True, recent=True)  # type: ignore[arg-type]  # of several types


def test_range_of_revisions_comes_before_the_most_likely_one() -> None:
    lead, sure = phrases.step_facts(step("b", "c"))
    short = [revision(name).short for name in "bc"]
    assert lead.startswith(f"{short[0]} to {short[1]} with 95 % confidence, most likely at {short[0]}")
    assert sure == "confidence 0.9999"


def test_revision_that_is_alone_in_its_range_is_named_as_the_place() -> None:
    assert phrases.step_facts(step("b", "b"))[0].startswith(f"at {revision('b').short}")
