"""What a cell needs of the machine that runs it."""

from pathlib import Path
from typing import Any

import pytest

from edgesim.sweeps.matrix import Matrix
from edgesim.sweeps.plan import plan
from edgesim.sweeps.workers.needs import in_words, needs


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ({"job": "predict"}, ""),
        ({"job": "run"}, "arm64=1,board=1,engine=1"),
        ({"job": "check"}, "arm64=1,board=1,engine=1"),
        ({"job": "run", "execution": "scaled"}, "board=1,engine=1"),
        ({"job": "run", "execution": "emulated"}, "arm64=1,board=1,engine=1"),
        ({"job": "run", "execution": "same-architecture"}, "board=1,engine=1,native-arm64=1"),
        ({"job": "run", "execution": "native"}, "board=1,engine=1,jetson-nano=1,native-arm64=1"),
        ({"job": "run", "engine": "local"}, "board=1"),
        ({"job": "run", "count": True}, "arm64=1,board=1,counting=1,engine=1"),
        ({"job": "run", "gpus": "all"}, "arm64=1,board=1,engine=1,gpu=1"),
    ],
)
def test_cell_needs_what_its_options_ask_for(settings: dict[str, Any], needed: str, models: Path) -> None:
    (cell,) = plan(Matrix.of(["jetson-nano"], [f"{models}/small"], settings)).cells
    assert in_words(needs(cell)) == needed
