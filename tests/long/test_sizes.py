"""All operator tests of the standard: sizes from inference and a run agree, and nothing that runs is declined."""

from pathlib import Path

import pytest

from tests.unit.predictions.test_sizes import check


@pytest.mark.timeout(3600)
def test_sizes_of_every_operator_agree(tmp_path: Path) -> None:
    assert check(tmp_path, 1) > 1500
