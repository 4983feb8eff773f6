"""The clean-up that a program leaves to the background."""

import subprocess
from collections.abc import Sequence
from typing import Any

import pytest

from edgesim.cli import _clean_up


@pytest.mark.parametrize(
    ("arguments", "context"),
    [
        (["up", "stack.yaml"], []),
        (["run", "jetson-nano", "digits", "--context", "board1", "--requests", "5"], ["--context", "board1"]),
        (["run", "--context=ssh://pi@board1", "jetson-nano", "digits"], ["--context=ssh://pi@board1"]),
        (["run", "--context"], ["--context"]),
    ],
)
def test_background_cleans_the_engine_of_the_command_that_ends(
    arguments: Sequence[str], context: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[dict[str, Any]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda command, **options: started.append(options | {"command": command}))
    assert _clean_up.hand_over(arguments)
    (one,) = started
    assert one["command"][1:] == ["-P", "-m", "edgesim.cli", "gc", *context]
    assert one["start_new_session"], "Ctrl-C would reach it"


def test_command_ends_though_nothing_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert not _clean_up.hand_over(["run"])
