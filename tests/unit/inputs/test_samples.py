"""Arrays with many samples, divided into the requests that a model takes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesim import inputs
from edgesim.errors import ModelError
from edgesim.inputs import Inputs
from edgesim.models.repository import Model
from edgesim.options import InputOptions
from tests.support.input_models import FLOAT, INT64, STRING, VOICE, model_with


def real(model: Model, directory: Path, **arrays: np.ndarray) -> Inputs:
    """Return what a file with these arrays gives."""
    np.savez(directory / "real.npz", **arrays)  # type: ignore[arg-type]
    return inputs.choose(model, InputOptions(input=directory / "real.npz"))


def test_a_request_has_as_many_samples_as_the_model_fixes(tmp_path: Path) -> None:
    eight = model_with(tmp_path / "e.onnx", {"x": (FLOAT, (8, 3))})
    values = np.arange(72, dtype=np.float32).reshape(24, 3)
    chosen = real(eight, tmp_path, x=values, labels=np.arange(24))
    assert chosen.origin == "3 real ones of 8 samples from real.npz"
    assert np.array_equal(np.concatenate([request["x"] for request in chosen.requests]), values)
    assert [one.labels.tolist() for one in chosen.labelled] == [[*range(8)], [*range(8, 16)], [*range(16, 24)]]
    with pytest.raises(ModelError, match="x has 20 samples, and a request of model e has 8") as caught:
        real(eight, tmp_path, x=values[:20])
    assert "multiple of 8" in caught.value.fix


def test_samples_of_a_state_lie_along_the_axis_that_is_called_as_the_batch(tmp_path: Path) -> None:
    voice = model_with(tmp_path / "v.onnx", VOICE)
    states = np.arange(80, dtype=np.float32).reshape(2, 5, 8)
    chosen = real(voice, tmp_path, audio=np.ones((5, 16), np.float32), state=states, rate=np.array(16000))
    assert len(chosen.requests) == 5
    assert np.array_equal(chosen.requests[3]["state"], states[:, 3:4])
    assert chosen.requests[3]["rate"].shape == ()


def test_samples_of_a_state_without_names_lie_along_its_open_axis(tmp_path: Path) -> None:
    voice = model_with(tmp_path / "v.onnx", {"audio": (FLOAT, (None, 16)), "state": (FLOAT, (2, None, 8))})
    chosen = real(voice, tmp_path, audio=np.ones((5, 16), np.float32), state=np.ones((2, 5, 8), np.float32))
    assert [request["state"].shape for request in chosen.requests] == [(2, 1, 8)] * 5


def test_a_request_may_be_a_row_of_an_array_with_one_axis_more(tmp_path: Path) -> None:
    net = model_with(tmp_path / "n.onnx", {"x": (FLOAT, (1, 4)), "t": (FLOAT, ())})
    chosen = real(net, tmp_path, x=np.ones((3, 1, 4), np.float32), t=np.arange(3, dtype=np.float32))
    assert [(request["x"].shape, float(request["t"])) for request in chosen.requests] == [
        ((1, 4), 0.0),
        ((1, 4), 1.0),
        ((1, 4), 2.0),
    ]


def test_numbers_of_samples_that_differ_are_refused(tmp_path: Path) -> None:
    pair = model_with(tmp_path / "p.onnx", {"a": (FLOAT, ("n", 2)), "b": (FLOAT, ("n", 2))})
    with pytest.raises(ModelError, match="a has 3 requests, and b 5") as caught:
        real(pair, tmp_path, a=np.ones((3, 2), np.float32), b=np.ones((5, 2), np.float32))
    assert "a directory" in caught.value.fix


def test_arrays_with_numbers_are_requests_of_different_lengths(tmp_path: Path) -> None:
    pair = model_with(tmp_path / "p.onnx", {"a": (INT64, ("n", "m")), "t": (FLOAT, ())})
    arrays: dict[str, Any] = {
        "a.0": np.ones((1, 3), np.int64),
        "a.1": np.ones((1, 7), np.int64),
        "t": np.array(0.5, np.float32),
    }
    assert [request["a"].shape for request in real(pair, tmp_path, **arrays).requests] == [(1, 3), (1, 7)]


def test_an_input_called_labels_is_an_input(tmp_path: Path) -> None:
    net = model_with(tmp_path / "n.onnx", {"x": (FLOAT, ("n", 2)), "labels": (INT64, ("n",))})
    chosen = real(net, tmp_path, x=np.ones((3, 2), np.float32), labels=np.arange(3))
    assert [request["labels"].tolist() for request in chosen.requests] == [[0], [1], [2]]
    assert chosen.labelled == ()


def test_labels_of_another_number_than_the_samples_are_refused(tmp_path: Path) -> None:
    net = model_with(tmp_path / "n.onnx", {"x": (FLOAT, ("n", 2))})
    with pytest.raises(ModelError, match=r"labels have the shape \[2\], and there are 3 samples"):
        real(net, tmp_path, x=np.ones((3, 2), np.float32), labels=np.arange(2))


def test_texts_are_taken_as_text_whatever_kind_of_array_they_are(tmp_path: Path) -> None:
    net = model_with(tmp_path / "n.onnx", {"t": (STRING, ("n", 1))})
    for values in (np.array([["é"], ["b"]]), np.array([["é".encode()], [b"b"]])):
        chosen = real(net, tmp_path, t=values)
        assert [request["t"].tolist() for request in chosen.requests] == [[["é"]], [["b"]]]
        assert chosen.requests[0]["t"].dtype == np.object_
    with pytest.raises(ModelError, match="not UTF-8"):
        real(net, tmp_path, t=np.array([[b"\xff"]]))


def test_rows_of_a_file_that_fit_no_request_are_refused_with_both_ways_out(tmp_path: Path) -> None:
    net = model_with(tmp_path / "n.onnx", {"x": (FLOAT, (1, 4))})
    with pytest.raises(ModelError, match=r"x is float32 \[1, 5\] per request; the model takes x FP32") as caught:
        real(net, tmp_path, x=np.ones((3, 5), np.float32))
    assert "`input=DIR`" in caught.value.fix
