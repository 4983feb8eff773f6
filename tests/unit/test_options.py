"""Options of a run: one list of fields for Python, the command line and other machines."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import edgesim
from edgesim.cli._run_options import BoardFlags, InputFlags, TrafficFlags
from edgesim.errors import UsageError
from edgesim.gates import Rules
from edgesim.jobs.paired import run_pair
from edgesim.models.repository import Model
from edgesim.options import BoardOptions, InputOptions, RunKeywords, RunOptions, TrafficOptions
from edgesim.stacks import benchmark

SECTIONS: dict[str, type[BaseModel]] = {"traffic": TrafficOptions, "inputs": InputOptions, "board": BoardOptions}
FIELDS = {field for section in SECTIONS.values() for field in section.model_fields} | (
    set(RunOptions.model_fields) - set(SECTIONS)
)


def test_every_field_is_a_typed_keyword_and_no_other_name_is() -> None:
    assert set(RunKeywords.__annotations__) == FIELDS


def test_a_flag_of_the_command_line_is_named_like_its_field() -> None:
    flags = {name for group in (TrafficFlags, InputFlags, BoardFlags) for name in group.__annotations__}
    # `find_peak` and `p99_under` are the two halves of `peak`.
    assert flags - FIELDS <= {"find_peak", "p99_under"}, flags - FIELDS


def test_keywords_reach_their_sections_and_leave_the_rest() -> None:
    options = RunOptions.of(RunOptions(repeat=2), qps=20, seed=3, mount="volume", models="my-models")
    assert (options.traffic.qps, options.inputs.seed, options.board.mount) == (20, 3, "volume")
    assert (options.repeat, options.models) == (2, Path("my-models"))
    assert options.changed() == {"qps", "seed", "mount", "models", "repeat"}
    assert RunOptions().changed() == set()


def test_options_travel_to_another_process_as_json() -> None:
    options = RunOptions.of(sweep=(10, 20), shapes={"x": (1, 3)}, context="board1", output="r.json")
    assert RunOptions.model_validate(options.model_dump(mode="json")) == options


def test_options_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(RunOptions(), "repeat", 2)  # noqa: B010 (the type checker would refuse the assignment)


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"qpz": 20}, "`qpz`: no such option; did you mean 'qps'?"),
        ({"requests": 0}, "`requests=0`"),
        ({"execution": "foo"}, "`execution=foo`"),
        ({"port": 70_000}, "`port=70000`"),
        ({"ready_timeout_s": 0}, "`ready_timeout_s=0`"),
    ],
)
def test_a_wrong_option_is_a_usage_error_that_names_its_field(keywords: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as refused:
        RunOptions.of(**keywords)
    assert words in refused.value.problem


def test_options_that_mean_nothing_to_a_check_a_board_a_pair_or_a_stack_are_refused(digits: Model) -> None:
    refused: list[Callable[[], object]] = [
        lambda: edgesim.check("jetson-nano", "digits", qps=20),
        lambda: edgesim.board("jetson-nano", requests=5).__enter__(),
        lambda: run_pair("jetson-nano", digits, digits, Rules.of(["latency_ms.p50: +5 %"]), qps=20),
        lambda: benchmark.run("stack.yaml", repeat=2),
    ]
    for call, name in zip(refused, ("qps", "requests", "qps", "repeat"), strict=True):
        with pytest.raises(UsageError, match=f"^`{name}`: "):
            call()


def test_fields_return_to_their_defaults() -> None:
    options = RunOptions.of(qps=20, seed=3, repeat=2)
    assert options.without(["qps", "repeat"]) == RunOptions.of(seed=3)


def test_what_is_no_options_is_refused_with_what_names_an_option() -> None:
    with pytest.raises(UsageError, match="'digits' is no `RunOptions`") as refused:
        RunOptions.of("digits", requests=3)  # type: ignore[arg-type]  # what edgesim.board("jetson-nano", "digits") asks
    assert refused.value.fix == "name each option: requests=20"
