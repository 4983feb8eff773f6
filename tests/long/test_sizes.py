"""All operator tests of the standard: sizes from inference and a run agree, and nothing that runs is declined."""

from pathlib import Path

from tests.unit.predictions.test_sizes import check


def test_sizes_of_every_operator_agree(tmp_path: Path) -> None:
    assert check(tmp_path, 1) > 1500
