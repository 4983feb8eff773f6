"""A check and a paired run refuse wrong options before a model runs on this host."""

from types import SimpleNamespace
from typing import Any

import pytest

import edgesim
from edgesim import profiles
from edgesim.boards import scaling_targets
from edgesim.errors import ModelError, UsageError
from edgesim.gates import Rules
from edgesim.jobs import check as checking
from edgesim.jobs import paired, same_release
from edgesim.models.repository import Model
from edgesim.options import RunKeywords, RunOptions
from edgesim.predictions import Declined
from edgesim.progress import Stages


def _no_reference(*_: object) -> None:
    raise AssertionError("the model ran on this host")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"engine": "local", "mount": "bind"}, "need a container, which `engine=local` does not have"),
        ({"engine": "docker", "mount": "bind", "volume": "v"}, "`volume=v`: needs `mount=volume`"),
    ],
)
def test_check_refuses_wrong_options_before_the_model_runs(
    digits: Model, monkeypatch: pytest.MonkeyPatch, options: RunKeywords, words: str
) -> None:
    monkeypatch.setattr(checking, "_reference_outputs", _no_reference)
    with pytest.raises(UsageError, match=words):
        checking.check("jetson-nano", digits.path, **options)


def test_paired_run_refuses_wrong_options_before_the_models_run(digits: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(same_release, "Reference", _no_reference)
    rules = Rules.of(["latency_ms.p50: +5 %"])
    with pytest.raises(UsageError, match="need a container, which `engine=local` does not have"):
        paired.run_pair("jetson-nano", digits, digits, rules, engine="local", mount="bind")


@pytest.mark.parametrize("fix", ["", "give the sizes"])
def test_a_paired_run_without_a_prediction_names_the_engine_that_needs_none(
    digits: Model, monkeypatch: pytest.MonkeyPatch, fix: str
) -> None:
    declined = Declined(reason="If has no price", fix=fix)
    monkeypatch.setattr(scaling_targets, "predicted", lambda *_, target: declined)
    launch: Any = SimpleNamespace(
        profile=profiles.load("raspberry-pi-4"), target="cpu", options=SimpleNamespace(execution="scaled")
    )
    chosen: Any = SimpleNamespace(requests=[{}], sequence=None)
    with pytest.raises(ModelError, match="If has no price") as raised:
        paired._side("base", digits, chosen, Stages(), launch, None, RunOptions())
    assert raised.value.fix.startswith(fix)
    assert raised.value.fix.endswith("`engine=local` judges the change by this host's own time")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"target": "gpu"},
            "`target=gpu`: NVIDIA Jetson Nano 4GB .* has no such target; .* did you mean 'gpu:tensorrt-f",
        ),
        (
            {"target": "gpu:tensorrt-fp16", "execution": "native"},
            "a native run measures edgesim's server, which runs on",
        ),
    ],
)
def test_a_target_that_a_run_cannot_take_is_refused(options: dict[str, Any], problem: str, digits: Model) -> None:
    with pytest.raises(UsageError, match=problem):
        edgesim.run("jetson-nano", digits, **options)


def test_a_board_answers_at_a_targets_pace_only_if_it_is_scaled() -> None:
    board = edgesim.board("jetson-nano", target="gpu:tensorrt-fp16")
    with pytest.raises(UsageError, match="only a scaled board answers at the speed of a target"), board:
        pass
