"""A verdict as people read it on the command line."""

import pytest

from edgesim.cli import _verdict
from edgesim.results.verdict import Item, Verdict


def test_options_are_named_by_their_flags_in_items_that_are_judged_and_in_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    items = [Item(name=name, verdict="PASS", finding=f"{name}: `runtime=board`") for name in ("release", "loads")]
    verdict = Verdict(
        created="2026-01-01T00:00:00+00:00",
        edgesim_version="0",
        profile="p",
        board="b",
        model="m",
        execution=None,
        items=(items[0],),
        not_judged=(items[1],),
    )
    _verdict.deliver(verdict, junit=None, as_json=False, command="check")
    output = capsys.readouterr().out
    assert "`" not in output
    assert output.count("--runtime board") == 2
