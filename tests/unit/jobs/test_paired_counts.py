"""A paired count: two models, or one in two releases of ONNX Runtime."""

from typing import Any

import pytest

from edgesim import profiles
from edgesim.errors import UsageError
from edgesim.gates import Rules
from edgesim.jobs import paired_counts
from edgesim.models.repository import Model
from edgesim.options import RunOptions
from edgesim.results.run_result import RunResult
from tests.support.results import counted

NANO = profiles.load("jetson-nano")
RULE = Rules.of(["instructions: +1 %"])


@pytest.fixture
def releases_counted(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Replace the count by one of 2 % more in release 1.18.1; return the releases in the order of the counts."""
    releases: list[str | None] = []

    def count(profile: Any, model: Model, options: RunOptions, *, listener: Any) -> RunResult:
        releases.append(options.board.runtime)
        instructions = 1_020_000 if options.board.runtime == "1.18.1" else 1_000_000
        return counted((instructions - 10, instructions, instructions + 10))

    monkeypatch.setattr(paired_counts, "count", count)
    return releases


def test_one_model_is_counted_in_two_releases_and_the_verdict_names_them(
    digits: Model, releases_counted: list[str | None]
) -> None:
    pair = paired_counts.count_pair(
        NANO, digits, digits, RULE, RunOptions(), base_runtime="1.16", cand_runtime="1.18.1"
    )
    assert releases_counted == ["1.16.3", "1.18.1"]
    assert pair.verdict.word == "FAIL"
    assert (pair.verdict.base, pair.verdict.candidate) == tuple(
        f"digits, ONNX Runtime {release}" for release in ("1.16.3", "1.18.1")
    )


def test_two_models_are_counted_in_the_boards_release(digits: Model, releases_counted: list[str | None]) -> None:
    assert paired_counts.count_pair(NANO, digits, digits, RULE, RunOptions()).verdict.word == "PASS"
    assert releases_counted == [None, None]


def test_predicted_change_of_two_releases_is_refused_before_the_work(
    digits: Model, releases_counted: list[str | None]
) -> None:
    rules = Rules.of(["instructions: +1 %", "device_time_ms.p50: +5 %"])
    with pytest.raises(UsageError, match="same predicted time"):
        paired_counts.count_pair(NANO, digits, digits, rules, RunOptions(), base_runtime="1.16", cand_runtime="1.18")
    assert releases_counted == []
