"""Decoders with a cache, as their exporters spell them."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgesim.errors import ModelError
from edgesim.models.decoder import Decoder
from tests.support import sequence_models
from tests.unit.models.test_state import model_of


@pytest.mark.parametrize("spelling", ["optimum", "merged", "past"])
def test_decoder_is_known_by_its_names_in_each_spelling(spelling: str, tmp_path: Path) -> None:
    decoder = Decoder.of(model_of(sequence_models.decoder(spelling=spelling), tmp_path), {})
    assert decoder.ids.name == "input_ids"
    assert decoder.mask is not None
    assert decoder.positions is not None
    assert (decoder.branch is not None) is (spelling == "merged")
    assert set(decoder.growing.values()) == {3 if spelling == "past" else 2}
    assert (decoder.vocabulary, decoder.others) == (sequence_models.VOCABULARY, [])


def test_mask_and_positions_grow_with_the_cache(tmp_path: Path) -> None:
    decoder = Decoder.of(model_of(sequence_models.decoder(spelling="merged"), tmp_path), {})
    prompt = decoder.request(np.array([[5, 6, 7]]), 0, decoder.empty_cache({}))
    assert prompt["attention_mask"].tolist() == [[1, 1, 1]]
    assert prompt["position_ids"].tolist() == [[0, 1, 2]]
    assert prompt["use_cache_branch"].tolist() == [False]
    assert prompt["past_key_values.0.key"].shape == (1, 2, 0, 8)
    step = decoder.request(np.array([[9]]), 3, decoder.empty_cache({}, 3))
    assert step["attention_mask"].tolist() == [[1, 1, 1, 1]]
    assert step["position_ids"].tolist() == [[3]]
    assert step["use_cache_branch"].tolist() == [True]
    assert step["past_key_values.0.key"].shape == (1, 2, 3, 8)


def test_mask_of_a_fixed_length_is_one_for_the_tokens_so_far(tmp_path: Path) -> None:
    proto = sequence_models.decoder()
    mask = next(value for value in proto.graph.input if value.name == "attention_mask")
    mask.type.tensor_type.shape.dim[1].dim_value = 8
    decoder = Decoder.of(model_of(proto, tmp_path), {})
    arrays = decoder.request(np.array([[5, 6]]), 3, decoder.empty_cache({}, 3))
    assert arrays["attention_mask"].tolist() == [[1, 1, 1, 1, 1, 0, 0, 0]]


def test_token_with_the_highest_score_after_the_last_one_is_chosen(tmp_path: Path) -> None:
    decoder = Decoder.of(model_of(sequence_models.decoder(), tmp_path), {})
    scores = np.zeros((1, 2, 50), np.float32)
    scores[0, 0, 3], scores[0, 1, 7] = 9, 1
    assert decoder.choice({"logits": scores}).tolist() == [[7]]


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (sequence_models.gru(), "no input of token ids"),
        (sequence_models.counter(), "no output looks like the cache"),
    ],
)
def test_model_that_is_no_decoder_is_refused_with_the_reason(
    model: onnx.ModelProto, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=problem):
        Decoder.of(model_of(model, tmp_path), {})


def test_decoder_that_takes_one_token_a_request_is_refused(tmp_path: Path) -> None:
    proto = sequence_models.decoder()
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1
    with pytest.raises(ModelError, match="takes one token a request"):
        Decoder.of(model_of(proto, tmp_path), {})
