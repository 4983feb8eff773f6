"""Outputs that look like the state of the next request, and those that the user feeds."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest

from edgesim.errors import ModelError
from edgesim.models import repository, state
from edgesim.models.repository import Model
from edgesim.models.signature import Tensor
from tests.support import sequence_models


def model_of(proto: onnx.ModelProto, directory: Path) -> Model:
    onnx.save(proto, directory / "net.onnx")
    return repository.find(directory / "net.onnx")


def named(output: str, name: str, *, output_shape: tuple[int, ...] = (1, 4), shape: tuple[int, ...] = (1, 4)) -> Any:
    """Return a model with this output, this input, and an input of another type."""
    tensors = [Tensor(name="ids", datatype="INT64", shape=(1, 1)), Tensor(name=name, datatype="FP32", shape=shape)]
    outputs = [Tensor(name=output, datatype="FP32", shape=output_shape)]
    return SimpleNamespace(name="net", inputs=tuple(tensors), outputs=tuple(outputs))


@pytest.mark.parametrize(
    ("output", "name"),
    [
        ("present.0.key", "past_key_values.0.key"),
        ("present.3.decoder.value", "past_key_values.3.decoder.value"),
        ("present_key_values", "past_key_values"),
        ("present_0", "past_0"),
        ("stateN", "state"),
        ("hn", "h0"),
        ("hn", "h"),
        ("c_n", "c_0"),
        ("state_out", "state_in"),
        ("new_cached_len_0", "cached_len_0"),
        ("r1o", "r1i"),
    ],
)
def test_output_looks_like_the_state_that_an_input_takes_by_their_names(output: str, name: str) -> None:
    assert state.look_alikes(named(output, name)) == {output: name}


@pytest.mark.parametrize(
    ("output", "name"),
    [
        ("output", "input"),
        ("image_out", "image_in"),
        ("present.0.key", "past_key_values.1.key"),
        ("present.0.key", "past_key_values.0.value"),
        ("present.10.key", "past_key_values.1.key"),
        ("hn", "c0"),
        ("output_0", "input_0"),
        ("y", "x"),
    ],
)
def test_names_of_different_things_look_like_no_state(output: str, name: str) -> None:
    assert state.look_alikes(named(output, name)) == {}


def test_sizes_that_contradict_each_other_look_like_no_state() -> None:
    assert state.look_alikes(named("stateN", "state", output_shape=(1, 4), shape=(1, 8))) == {}
    assert state.look_alikes(named("stateN", "state", output_shape=(1, -1), shape=(1, 8))) == {"stateN": "state"}


@pytest.mark.parametrize(
    ("fed", "problem"),
    [
        ({"hn": "h"}, "has no input h; did you mean 'h0'?"),
        ({"h": "h0"}, "has no output h; did you mean 'hn'?"),
        ({"y": "h0"}, r"output y FP32\[1, 1, 1, 16\] does not fit into input h0 FP32\[1, 1, 16\]"),
    ],
)
def test_state_that_does_not_fit_the_model_is_refused(fed: dict[str, str], problem: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=problem.replace("?", r"\?")):
        state.require(model_of(sequence_models.gru(), tmp_path), fed)
