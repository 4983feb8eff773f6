"""What `edgesim serve` says when a board is up."""

from types import SimpleNamespace
from typing import Any

from edgesim.cli import _serving


def board(*names: str) -> Any:
    models = [SimpleNamespace(name=name, inputs=()) for name in names]
    return SimpleNamespace(models=models, execution="emulated", scale=None, url="http://127.0.0.1:1")


def test_a_board_with_few_models_names_all_and_ends_with_a_command_to_copy() -> None:
    first, *_, last = _serving.introduction(board("a", "b", "c"), "jetson-nano")
    assert first == "serving a, b, c on jetson-nano (emulated); Ctrl-C ends it"
    assert last.startswith("curl -s http://127.0.0.1:1/v2/models/a/infer ")


def test_a_board_with_many_models_names_the_first_and_how_many_more() -> None:
    first = _serving.introduction(board(*"abcdefgh"), "jetson-nano")[0]
    assert first == "serving a, b, c and 5 more on jetson-nano (emulated); Ctrl-C ends it"
