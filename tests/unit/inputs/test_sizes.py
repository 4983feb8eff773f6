"""The sizes of inputs: the model's, the user's by input or by name, and what is said of those that are missing."""

from pathlib import Path

import pytest

from edgesim.errors import ModelError
from edgesim.inputs.sizes import Sizes
from tests.support.input_models import BERT, FLOAT, INT64, VOICE, model_with


def test_a_size_by_name_is_that_of_all_inputs_that_use_the_name(tmp_path: Path) -> None:
    sizes = Sizes(model_with(tmp_path / "b.onnx", BERT), dims={"sequence": 16}).complete()
    assert sizes == dict.fromkeys(BERT, (1, 16))


def test_batch_is_one_wherever_the_model_names_it(tmp_path: Path) -> None:
    voice = model_with(tmp_path / "v.onnx", VOICE)
    assert Sizes(voice, dims={"samples": 512}).complete() == {"audio": (1, 512), "state": (2, 1, 8), "rate": ()}
    assert Sizes(voice, dims={"samples": 512}, batch=3).complete()["state"] == (2, 3, 8)
    assert Sizes(voice, dims={"samples": 512, "batch": 5}).complete()["state"] == (2, 5, 8)


def test_a_shape_that_is_given_tells_the_sizes_of_its_names(tmp_path: Path) -> None:
    sizes = Sizes(model_with(tmp_path / "v.onnx", VOICE), shapes={"audio": (4, 512)}).complete()
    assert sizes["state"] == (2, 4, 8)


def test_a_sum_of_names_follows_from_the_names(tmp_path: Path) -> None:
    decoder = model_with(
        tmp_path / "d.onnx",
        {
            "ids": (INT64, ("batch", "sequence")),
            "mask": (INT64, ("batch", "past + sequence")),
            "cache": (FLOAT, ("batch", 2, "past", 8)),
        },
    )
    assert Sizes(decoder, dims={"sequence": 3, "past": 0}).complete() == {
        "ids": (1, 3),
        "mask": (1, 3),
        "cache": (1, 2, 0, 8),
    }
    with pytest.raises(ModelError) as caught:
        Sizes(decoder, dims={"past": 0}).complete()
    assert caught.value.fix.startswith("`dims` sequence=N, ")


def test_all_open_sizes_are_told_at_once_with_the_options_to_give(tmp_path: Path) -> None:
    mixed = model_with(
        tmp_path / "m.onnx",
        {
            "images": (FLOAT, ("batch", 3, None, None)),
            "pixels": (FLOAT, (None, None, None, 3)),
            "ids": (INT64, ("batch", "sequence")),
            "mask": (INT64, ("batch", "sequence")),
            "any": (FLOAT, None),
            "fixed": (FLOAT, (1, 4)),
        },
    )
    with pytest.raises(ModelError) as caught:
        Sizes(mixed).complete()
    assert caught.value.fix.startswith(
        "`shapes` images=1,3,H,W `shapes` pixels=1,H,W,3 `shapes` any=N,N `dims` sequence=N, with your sizes"
    )
    for name in ("images", "pixels", "ids", "mask", "any"):
        assert name in caught.value.problem
    assert "fixed" not in caught.value.problem


def test_a_size_of_zero_is_a_size(tmp_path: Path) -> None:
    cache = model_with(tmp_path / "c.onnx", {"front": (FLOAT, (0, 4)), "behind": (FLOAT, (1, 4, 0))})
    assert Sizes(cache).complete() == {"front": (0, 4), "behind": (1, 4, 0)}


def test_a_tensor_of_any_rank_is_no_scalar(tmp_path: Path) -> None:
    any_rank = model_with(tmp_path / "a.onnx", {"x": (FLOAT, None)})
    assert str(any_rank.inputs[0]) == "x FP32[...]"
    assert Sizes(any_rank, shapes={"x": (1, 8)}).complete() == {"x": (1, 8)}
    with pytest.raises(ModelError, match="any number of dimensions"):
        Sizes(any_rank).complete()


def test_a_name_that_the_model_does_not_have_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no size of that name; its inputs have batch, sequence; did you mean 'seq"):
        Sizes(model_with(tmp_path / "b.onnx", BERT), dims={"sequenc": 4})


def test_a_shape_that_contradicts_the_model_is_refused_unless_it_asks_for_another_resolution(tmp_path: Path) -> None:
    net = model_with(tmp_path / "n.onnx", {"x": (FLOAT, (1, 3, 8, 8))})
    with pytest.raises(ModelError, match=r"`shapes` x=1,3,4,4: model n takes x FP32\[1, 3, 8, 8\]"):
        Sizes(net, shapes={"x": (1, 3, 4, 4)})
    assert Sizes(net, shapes={"x": (1, 3, 4, 4)}, resize=True).complete() == {"x": (1, 3, 4, 4)}
    with pytest.raises(ModelError, match="takes x FP32"):
        Sizes(net, shapes={"x": (1, 3)}, resize=True)
