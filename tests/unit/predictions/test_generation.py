"""The predicted times of a generation: the prompt, and tokens that take longer the longer the cache is."""

from pathlib import Path

import onnx
import pytest

import edgesim
from edgesim import profiles
from edgesim.boards.scaling_targets import PredictedTimes
from edgesim.inputs import choose
from edgesim.models import repository
from edgesim.options import CPU, Generate, InputOptions
from tests.support import sequence_models


@pytest.mark.parametrize("spelling", ["optimum", "merged", "past"])
def test_prompt_takes_longer_than_a_token_and_a_longer_cache_takes_longer(spelling: str, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(sequence_models.decoder(spelling=spelling), path)
    predicted = edgesim.predict_generation("raspberry-pi-4", path, prompt=64, tokens=33)
    assert predicted.first is not None
    assert predicted.mean is not None
    assert predicted.last is not None
    steps = [predicted.first, predicted.mean, predicted.last]
    assert [(step.step, step.cached) for step in steps] == [(1, 64), (16, 79), (32, 95)]
    times_ms = [step.prediction.p50_ms for step in steps]
    assert times_ms == sorted(set(times_ms))
    assert predicted.prompt.prediction.p50_ms > times_ms[-1]
    assert predicted.tokens_per_second == pytest.approx(1e3 / times_ms[1])


def test_one_token_has_the_prompt_alone(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(sequence_models.decoder(), path)
    predicted = edgesim.predict_generation("raspberry-pi-4", path, prompt=8, tokens=1)
    assert (predicted.first, predicted.tokens_per_second) == (None, None)
    assert predicted.typical is predicted.prompt


def test_scaled_board_has_targets_for_the_prompt_and_both_ends_of_the_tokens(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(sequence_models.decoder(), path)
    model, profile = repository.find(path), profiles.load("raspberry-pi-4")
    chosen = choose(model, InputOptions(generate=Generate(prompt=8, tokens=6)))
    times = PredictedTimes.of(profile, model, chosen, CPU)
    targets = {target.step: target for target in times.scaling_targets()}
    assert targets.keys() == {0, 1, 5}
    assert targets[0].time_ms > targets[5].time_ms > targets[1].time_ms
    assert targets[5].name == "net, token 6"
    assert targets[5].arrays["attention_mask"].shape == (1, 13)
