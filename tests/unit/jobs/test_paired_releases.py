"""A paired run of one model in two releases: what is refused before the work, and the item on the answers."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgesim import profiles
from edgesim.errors import DeviceError, NotReady, UsageError
from edgesim.gates import Rules
from edgesim.jobs import paired, paired_releases
from edgesim.models.repository import Model
from edgesim.options import RunOptions
from edgesim.results.verdict import Verdict

SCALED_TIME = "latency_ms.p50: +5 %"


def _of(base: str | None, candidate: str | None, *, same_model: bool = True, **options: Any) -> tuple[str, str] | None:
    nano = profiles.load("jetson-nano")
    return paired_releases.of(nano, base, candidate, RunOptions.of(**options), same_model=same_model)


def test_two_releases_are_named_by_their_patches_and_none_means_two_models() -> None:
    assert _of("1.16", "1.18.1") == ("1.16.3", "1.18.1")
    assert _of("board", "1.18") == ("1.11.0", "1.18.1")
    assert _of(None, None) is None


@pytest.mark.parametrize(
    ("releases", "options", "words"),
    [
        (("0.9", "1.16"), {}, "`base_runtime=0.9`: edgesim makes no image"),
        (("1.16", "newest"), {}, "`cand_runtime=newest`: 'newest' is not a version"),
        (("1.16", None), {}, "both of them"),
        (("1.16", "1.18"), {"same_model": False}, "give two models or two releases, not both"),
        (("1.16", "1.18"), {"runtime": "1.17"}, "`runtime=1.17`"),
        (("1.16", "1.18"), {"engine": "local"}, "`engine=local` has this host's release"),
        (("1.16", "1.14..1.18"), {}, "a board has one release"),
    ],
)
def test_what_compares_no_two_releases_is_refused(
    releases: tuple[str | None, str | None], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError) as raised:
        _of(*releases, **options)
    assert words in raised.value.problem


@pytest.mark.parametrize(
    ("rules", "execution", "refused"),
    [
        ([SCALED_TIME], "scaled", True),
        (["device_time_ms.p50: +5 %"], "same-architecture", True),
        ([SCALED_TIME], "same-architecture", False),
        ([SCALED_TIME], "native", False),
        ([SCALED_TIME, "memory_unreclaimable_bytes: +5 %"], "scaled", False),
        (["cold_start_s: +5 %"], "scaled", False),
    ],
)
def test_rules_that_can_show_no_release_are_refused_before_the_work(
    rules: list[str], execution: Any, refused: bool
) -> None:
    rows = Rules.of(rules).everywhere
    if not refused:
        paired_releases.refuse_hidden(rows, execution)
        return
    with pytest.raises(UsageError, match="tells no release from another") as raised:
        paired_releases.refuse_hidden(rows, execution)
    assert "x86-gateway" in raised.value.fix


def test_run_pair_refuses_a_scaled_time_of_two_releases_before_a_board_starts(
    digits: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paired, "default_execution", lambda launch, stages: "scaled")
    with pytest.raises(UsageError, match="tells no release from another"):
        paired.run_pair(
            "jetson-nano", digits, digits, Rules.of([SCALED_TIME]), base_runtime="1.16.3", cand_runtime="1.18.1"
        )


def _side(model: Model, release: str, value: float) -> Any:
    request = {"image": np.zeros((1, 8, 8), np.float32)}
    options = SimpleNamespace(runtime=release, execution="native")
    reference = SimpleNamespace(run=lambda _: {"probabilities": np.zeros((1, 10), np.float32)})
    plan = SimpleNamespace(inputs=SimpleNamespace(requests=[request]), reference=reference)
    answer = {"probabilities": np.full((1, 10), value, np.float32)}
    return SimpleNamespace(model=model, launch=SimpleNamespace(options=options), plan=plan, answer=answer)


@pytest.mark.parametrize(("value", "verdict"), [(0.0, "PASS"), (0.5, "FAIL")])
def test_answers_of_the_candidates_release_are_judged_by_those_of_the_bases(
    digits: Model, value: float, verdict: str
) -> None:
    nothing = Verdict(
        created="", edgesim_version="", profile="", board="", model="digits", execution="native", items=()
    )
    sides = [_side(digits, "1.16.3", 0.0), _side(digits, "1.18.1", value)]
    (item,) = paired_releases.with_answers(nothing, sides).items
    assert (item.name, item.verdict) == ("answers", verdict)
    assert "from ONNX Runtime 1.16.3" in item.finding


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (DeviceError("the candidate (ONNX Runtime 1.11.1): ended", log="opset 17 is under development"), "FAIL"),
        (NotReady("the candidate (ONNX Runtime 1.11.1): not ready in 180 s"), "INCONCLUSIVE"),
    ],
)
def test_a_release_that_does_not_load_the_model_fails_the_gate(digits: Model, error: DeviceError, word: str) -> None:
    verdict = paired_releases.verdict_on_failure(profiles.load("jetson-nano"), digits, error)
    assert verdict.word == word
    assert verdict.items[0].name == "loads"
    assert "the candidate (ONNX Runtime 1.11.1)" in verdict.items[0].finding
