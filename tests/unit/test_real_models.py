"""The table of real models: measured once for each edgesim, and whole after an interruption."""

from pathlib import Path

import pytest

from benchmarks import real_models
from benchmarks.real_models import COLUMNS, Listed, Said


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the commands that would run; the third of them is interrupted."""
    called: list[str] = []

    def say(model: Path, column: str, tree: str) -> Said:
        called.append(f"{model.stem} {column}")
        if len(called) == 3:
            raise KeyboardInterrupt
        return Said(model=model.stem, column=column, tree=tree, code="0", seconds=1.2, words=f"a | b of {model.stem}")

    monkeypatch.setattr(real_models, "say", say)
    return called


MODELS = [Listed(path=Path(f"{name}.onnx"), kind="detector", source="built") for name in "ab"]


def test_measuring_goes_on_after_the_last_row(tmp_path: Path, commands: list[str]) -> None:
    rows = tmp_path / "models.csv"
    with pytest.raises(KeyboardInterrupt):
        real_models.measure(MODELS, ["predict", "check"], rows)
    real_models.measure(MODELS, ["predict", "check"], rows)
    assert commands == ["a predict", "b predict", "a check", "a check", "b check"]


def test_what_another_tree_said_is_measured_again_and_shown_once(
    tmp_path: Path, commands: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tmp_path / "models.csv"
    real_models.measure(MODELS, ["predict"], rows)
    monkeypatch.setattr(real_models, "tree_digest", lambda: "another")
    commands[:] = ["", "", ""]
    real_models.measure(MODELS[:1], ["predict"], rows)
    assert commands[3:] == ["a predict"]
    lines = list(real_models.table(MODELS, rows))
    assert len(lines) == 4
    assert [line.count("a \\| b of a") for line in lines[2:]] == [1, 0]


def test_a_column_that_nobody_measured_says_so(tmp_path: Path, commands: list[str]) -> None:
    rows = tmp_path / "models.csv"
    real_models.measure(MODELS[:1], ["check"], rows)
    row = list(real_models.table(MODELS[:1], rows))[2]
    assert row.count("not measured") == len(COLUMNS) - 1
