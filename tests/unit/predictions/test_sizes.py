"""Both sources of sizes agree, and no model that runs on this host is declined."""

from pathlib import Path

import pytest

from edgesim import profiles
from edgesim.models import trial_load
from edgesim.predictions import Declined, predict_or_decline
from tests.support.compared_sizes import compare_sizes
from tests.support.operator_models import operator_models

# Of the standard's operator tests; `make test-long` takes all of them.
STEP = 47
BOARD = profiles.load("raspberry-pi-4")


def check(directory: Path, step: int) -> int:
    """Compare and predict operator models; return their number."""
    count = 0
    for operator in operator_models(directory, step=step):
        assert compare_sizes(operator.model, operator.arrays).disagreements == []
        shapes = {name: array.shape for name, array in operator.arrays.items()}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trial_load, "failure", lambda model: None)  # it has just run
            answer = predict_or_decline(BOARD, operator.model, shapes=shapes, arrays=operator.arrays)
        assert not isinstance(answer, Declined), answer.reason
        count += 1
    return count


def test_sizes_from_inference_and_from_a_run_agree_and_nothing_that_runs_is_declined(tmp_path: Path) -> None:
    assert check(tmp_path, STEP) > 20
