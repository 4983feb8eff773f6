"""Recommendations: which cells hold rules, and in which order."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

import edgesim
from edgesim.cli import _console
from edgesim.cli.main import _run
from edgesim.errors import ModelError, UsageError
from edgesim.results.cell_result import CellResult, Figure, Price
from edgesim.sweeps.recommend import recommend
from tests.support.cells import cell, failed
from tests.support.command_line import edgesim_here


def priced(profile: str, amount: float, ms: float, currency: str = "EUR") -> CellResult:
    return cell(profile, ms=ms, price=Price(amount=amount, currency=currency))


def test_boards_that_hold_the_rule_come_first_and_the_cheapest_of_them_first() -> None:
    cells = [
        cell("quickest", ms=1.0),
        priced("dear", 200, 2.0),
        priced("cheap", 50, 10.0),
        priced("slow", 10, 100.0),
        cell("doubtful", ms=20.0),
    ]
    choices = recommend(cells, ["device_time_ms.p50 <= 25"])
    assert [(choice.cell.profile, choice.verdict) for choice in choices] == [
        ("cheap", "PASS"),
        ("dear", "PASS"),
        ("quickest", "PASS"),
        ("doubtful", "INCONCLUSIVE"),
        ("slow", "FAIL"),
    ]


def test_best_target_stands_for_a_board_and_each_variant_for_itself() -> None:
    cells = [
        cell(precision="fp32", ms=30.0),
        cell(precision="fp32", ms=3.0, target="gpu:tensorrt-fp16"),
        cell(precision="int8", ms=20.0),
    ]
    choices = recommend(cells, ["device_time_ms.high <= 10"]), recommend(cells, ["device_time_ms.p50 <= 10"])
    assert [choice.verdict for choice in choices[0]] == ["INCONCLUSIVE", "INCONCLUSIVE"]
    assert [(choice.cell.precision, choice.cell.target, choice.verdict) for choice in choices[1]] == [
        ("fp32", "gpu:tensorrt-fp16", "PASS"),
        ("int8", "cpu", "INCONCLUSIVE"),
    ]


def test_unknown_figure_never_passes_and_a_board_without_the_memory_fails() -> None:
    unknown = cell("unknown", ms=None, figures={"device_time_ms.p50": Figure(note="not predicted: why")})
    small = cell("small", ms=1.0, does_not_fit="does not fit: the model's files take 5 GiB")
    impossible = Figure(note="not predicted: no int8 on the GPU", impossible=True)
    cells = [unknown, small, failed("oom"), cell("other", ms=None, figures={"device_time_ms.p50": impossible})]
    choices = {one.cell.profile: one for one in recommend(cells, ["device_time_ms.p50 <= 25"])}
    assert {name: choice.verdict for name, choice in choices.items()} == {
        "unknown": "INCONCLUSIVE",
        "small": "FAIL",
        "oom": "FAIL",
        "other": "FAIL",
    }
    assert choices["unknown"].why == "device_time_ms.p50 <= 25: not predicted: why"


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([], "at least one"),
        (["latency_ms.p50: +5 %"], "bounds a change"),
        (["latency_ms.p50 <= 5"], "a time of a run's host"),
        (["device_time <= 5"], "no metric"),
    ],
)
def test_rule_that_cells_cannot_be_judged_by_is_refused(rules: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        recommend([cell()], rules)


def test_prices_in_two_currencies_are_refused() -> None:
    with pytest.raises(UsageError, match="EUR, USD"):
        recommend([priced("a", 1, 1.0), priced("b", 1, 1.0, "USD")], ["device_time_ms.p50 <= 25"])


def test_price_of_a_users_profile_reaches_the_recommendation_and_changes_no_digest(
    models: Path, tmp_path: Path
) -> None:
    own = tmp_path / "kiosk.yaml"
    own.write_text("extends: rk3588\nname: kiosk\ntitle: Kiosk\n")
    before = edgesim.sweep(profile=str(own), model=f"{models}/small", output=tmp_path / "out").cells[0].price
    own.write_text(own.read_text() + "price: {amount: 80, currency: EUR}\n")
    result = edgesim.sweep(profile=str(own), model=f"{models}/small", output=tmp_path / "out")
    assert before is None
    assert result.cells[0].price == Price(amount=80, currency="EUR")
    (choice,) = edgesim.recommend(tmp_path / "out", rule="device_time_ms.p50 <= 50")
    assert (choice.verdict, choice.price) == ("PASS", Price(amount=80, currency="EUR"))


def test_command_predicts_on_every_target_and_its_exit_code_is_the_best_verdicts(models: Path) -> None:
    words = ("recommend", "--profile", "jetson-nano", "--profile", "rk3588", "--model", f"{models}/small", "--json")
    held = edgesim_here(*words, "--rule", "device_time_ms.p50 <= 50")
    assert held.returncode == 0
    assert [entry["verdict"] for entry in json.loads(held.stdout)] == ["PASS", "PASS"]
    assert edgesim_here(*words, "--rule", "artifact_bytes <= 1").returncode == 1
    assert edgesim_here(*words, "--rule", "accuracy >= 0.5").returncode == 6


def test_precision_without_a_fast_path_does_not_stand_for_a_board(models: Path) -> None:
    (choice,) = edgesim.recommend(
        profile="jetson-nano", model=str(models / "small"), rule="device_time_ms.p50 <= 0.0001"
    )
    assert choice.verdict == "FAIL"
    assert choice.cell.target != "gpu:tensorrt-int8"


def test_unknown_model_at_an_absolute_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="unknown model"):
        edgesim.recommend(profile="jetson-nano", model=str(tmp_path / "none"), rule="device_time_ms.p50 <= 1")


def test_boards_are_told_apart_on_a_narrow_terminal_and_a_reason_stands_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cells").mkdir()
    for profile in ("jetson-nano", "jetson-nano-2gb", "jetson-agx-orin-64gb"):
        text = cell(profile, "detector", key=profile, precision="fp32", settings={"threads": 4}, ms=1.0).as_json()
        (tmp_path / "cells" / f"{profile}.json").write_text(text)
    stream = io.StringIO()
    monkeypatch.setattr(_console, "out", Console(file=stream, force_terminal=True, width=80, color_system=None))
    assert _run(["recommend", str(tmp_path), "--rule", "accuracy >= 0.9"]) == 6
    heads, *rows, reason = filter(None, stream.getvalue().splitlines())
    assert heads.split() == ["rules", "board", "model", "device", "time,", "ms", "model", "size"]
    assert sorted(row.split()[1] for row in rows[:3]) == ["jetson-agx-orin-64gb", "jetson-nano", "jetson-nano-2gb"]
    assert " ".join([*rows[3:], reason]).endswith("and 2 others: accuracy >= 0.9: a prediction has no accuracy")
