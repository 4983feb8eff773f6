"""Sequences of requests: a state that is fed, and the generation of tokens."""

from pathlib import Path

import numpy as np
import pytest

from edgesim import inputs
from edgesim.errors import ModelError
from edgesim.inputs.sequences import GenerationSequence, RequestSequence
from edgesim.measure.input_fit import require_fit
from edgesim.measure.reference import Reference
from edgesim.models.decoder import Decoder
from edgesim.models.repository import Model
from edgesim.options import Generate, InputOptions
from tests.support import sequence_models
from tests.unit.models.test_state import model_of


def tokens_of(model: Model, sequence: RequestSequence) -> list[int]:
    """Return the tokens that a model generates on this host."""
    reference, arrays, tokens = Reference(model), sequence.first(), []
    for step in range(sequence.steps):
        outputs = reference.run(arrays)
        chosen = sequence.tokens_of(outputs)
        assert chosen is not None
        tokens.append(int(chosen[0, 0]))
        if step + 1 < sequence.steps:
            arrays = sequence.following(step + 1, arrays, outputs)
    return tokens


def without_a_cache(model: Model, prompt: list[int], count: int) -> list[int]:
    """Return the tokens that a model generates if each request has the whole text."""
    text = list(prompt)
    for _ in range(count):
        sequence = GenerationSequence(decoder_of(model), np.array([text]), 1)
        text += tokens_of(model, sequence)
    return text[len(prompt) :]


def decoder_of(model: Model) -> Decoder:
    return Decoder.of(model, {})


@pytest.mark.parametrize("spelling", ["optimum", "merged", "past"])
def test_tokens_with_a_cache_are_those_of_the_whole_text(spelling: str, tmp_path: Path) -> None:
    model = model_of(sequence_models.decoder(spelling=spelling), tmp_path)
    chosen = inputs.choose(model, InputOptions(generate=Generate(prompt=6, tokens=12)))
    assert isinstance(chosen.sequence, GenerationSequence)
    tokens = tokens_of(model, chosen.sequence)
    assert tokens == without_a_cache(model, chosen.sequence.prompt[0].tolist(), 12)
    assert len(set(tokens)) > 3, "a model that repeats itself would hide a cache that is not fed"


def test_decoder_without_mask_and_positions_generates_too(tmp_path: Path) -> None:
    model = model_of(sequence_models.decoder(mask=False), tmp_path)
    chosen = inputs.choose(model, InputOptions(generate=Generate(prompt=6, tokens=8)))
    assert chosen.sequence is not None
    require_fit(model, Reference(model), chosen)


def test_prompt_is_of_tokens_that_the_model_has(tmp_path: Path) -> None:
    model = model_of(sequence_models.decoder(spelling="merged"), tmp_path)
    chosen = inputs.choose(model, InputOptions(generate=Generate(prompt=400, tokens=2)))
    ids = chosen.requests[0]["input_ids"]
    assert ids.shape == (1, 400)
    assert (ids.min(), ids.max()) == (0, sequence_models.VOCABULARY - 1)


def test_cache_grows_by_a_token_a_step(tmp_path: Path) -> None:
    model = model_of(sequence_models.decoder(), tmp_path)
    sequence = inputs.choose(model, InputOptions(generate=Generate(prompt=6, tokens=4))).sequence
    assert isinstance(sequence, GenerationSequence)
    assert [sequence.cached(step) for step in range(5)] == [0, 6, 7, 8, 9]
    # Two layers, keys and values, two heads of 8 numbers.
    assert sequence.cache_bytes_at(9) == 9 * 2 * 2 * 2 * 8 * 4
    assert sequence.with_cache(7)["attention_mask"].shape == (1, 8)


def test_state_comes_from_the_answer_before_and_begins_with_zeros(tmp_path: Path) -> None:
    model = model_of(sequence_models.counter(), tmp_path)
    chosen = inputs.choose(model, InputOptions(state={"total": "sum"}, ranges={"x": (1, 1)}))
    assert chosen.sequence is not None
    reference, arrays = Reference(model), chosen.sequence.first()
    assert arrays["sum"].tolist() == [[0, 0]]
    for step in range(1, 5):
        outputs = reference.run(arrays)
        assert outputs["total"].tolist() == [[step, step]]
        arrays = chosen.sequence.following(step, arrays, outputs)
    assert "state total → sum" in chosen.origin


def test_first_value_of_a_state_is_the_users_own_if_there_is_one(tmp_path: Path) -> None:
    model = model_of(sequence_models.counter(), tmp_path)
    chosen = inputs.choose(model, InputOptions(state={"total": "sum"}, ranges={"sum": (7, 7)}))
    assert chosen.sequence is not None
    assert chosen.sequence.first()["sum"].tolist() == [[7, 7]]


def test_state_that_looks_like_one_is_fed_on_request_alone(tmp_path: Path) -> None:
    model = model_of(sequence_models.gru(), tmp_path)
    assert inputs.choose(model, InputOptions()).sequence is None
    chosen = inputs.choose(model, InputOptions(state="auto"))
    assert chosen.sequence is not None
    assert chosen.sequence.fed == {"hn": "h0"}


def test_auto_state_of_a_model_without_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="looks like the state of a next request: total beside x, sum"):
        inputs.choose(model_of(sequence_models.counter(), tmp_path), InputOptions(state="auto"))


def test_state_beside_a_mask_that_would_have_to_grow_is_refused_with_the_sizes(tmp_path: Path) -> None:
    model = model_of(sequence_models.decoder(layers=1), tmp_path)
    shapes: dict[str, tuple[int, ...]] = {"input_ids": (1, 1), "attention_mask": (1, 2), "position_ids": (1, 1)}
    shapes |= {f"past_key_values.0.{what}": (1, 2, 1, 8) for what in ("key", "value")}
    options = InputOptions(state="auto", shapes=shapes, ranges={"position_ids": (0, 9)})
    with pytest.raises(ModelError, match=r"takes the first 1 requests .* with past_key_values.0.key \[1, 2, 2, 8\]"):
        require_fit(model, Reference(model), inputs.choose(model, options))
