"""The samples of a result that somebody else wrote: no answer is older than its request."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edgesim.errors import ResultError
from edgesim.recording import Sample
from edgesim.results.load import load
from edgesim.results.run_result import RunResult
from edgesim.results.stack_result import StackResult
from tests.support import results

GOOD = Sample(0, 0, 10**7, "ok")


@pytest.mark.parametrize("of", [results.emulated_and_invalid, results.of_a_stack], ids=["run", "stack"])
@pytest.mark.parametrize("wrong", [Sample(10, 10, 7, "ok"), Sample(10, 20, 15, "ok")], ids=["scheduled", "sent"])
def test_answer_from_before_its_request_is_refused_with_its_number(
    of: Callable[[], RunResult | StackResult], wrong: Sample, tmp_path: Path
) -> None:
    path = tmp_path / "r.json"
    path.write_text(of().model_copy(update={"samples": (GOOD, wrong)}).as_json())
    with pytest.raises(ResultError, match=r"samples: .*sample 2 was answered before it was scheduled or sent"):
        load(path)


def test_request_that_failed_has_no_answer_to_be_in_order(tmp_path: Path) -> None:
    failed = Sample(10, 10, 0, "no answer")
    result = results.emulated_and_invalid().model_copy(update={"samples": (GOOD, failed)})
    result.write(tmp_path / "r.json")
    assert load(tmp_path / "r.json").samples == (GOOD, failed)
