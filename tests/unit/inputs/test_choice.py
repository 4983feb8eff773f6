"""Inputs: real inputs from files, and random inputs that fit the model's signature."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgesim import inputs
from edgesim.errors import ModelError
from edgesim.inputs.random_arrays import random_array
from edgesim.models import repository
from edgesim.models.signature import Tensor
from edgesim.options import InputOptions
from tests.conftest import write_model
from tests.unit.predictions.test_arithmetic import model


def test_inputs_that_came_with_the_model_are_sent_one_by_one_with_their_labels(digits: repository.Model) -> None:
    chosen = inputs.choose(digits, InputOptions())
    assert len(chosen.requests) == 360
    assert chosen.requests[0]["image"].shape == (1, 8, 8)
    assert chosen.labelled is not None
    assert chosen.origin == "360 real ones from samples.npz"


def test_the_same_seed_gives_the_same_inputs_and_another_gives_others(resnet18: repository.Model) -> None:
    first, again, other = (inputs.choose(resnet18, InputOptions(seed=seed)).requests[0]["image"] for seed in (1, 1, 2))
    assert first.shape == (1, 3, 224, 224)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_sizes_that_the_model_leaves_open_must_be_given(tmp_path: Path) -> None:
    open_model = repository.find(str(write_model(tmp_path / "net.onnx", shape=("n", "tokens"))))
    with pytest.raises(ModelError) as caught:
        inputs.choose(open_model, InputOptions())
    assert caught.value.fix.startswith("`dims` tokens=N, ")
    chosen = inputs.choose(open_model, InputOptions(shapes={"x": (2, 7)}))
    assert chosen.requests[0]["x"].shape == (2, 7)


@pytest.mark.parametrize(("name", "shape"), [("y", (1, 4)), ("x", (1, 5)), ("x", (4,))])
def test_a_shape_that_does_not_fit_is_refused(tmp_path: Path, name: str, shape: tuple[int, ...]) -> None:
    net = repository.find(str(write_model(tmp_path / "net.onnx", shape=("n", 4))))
    with pytest.raises(ModelError, match=r"`shapes` .*takes x FP32\[\?, 4\]"):
        inputs.choose(net, InputOptions(shapes={name: shape}))


@pytest.mark.parametrize(
    "datatype",
    ["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"],
)
def test_every_type_has_random_values(datatype: str) -> None:
    tensor = Tensor(name="x", datatype=datatype, shape=(2, 3))
    assert random_array(np.random.default_rng(0), tensor, (2, 3)).shape == (2, 3)


@pytest.mark.parametrize("datatype", ["FP32", "INT64", "BOOL", "BYTES"])
def test_random_scalar_is_an_array_without_axes(datatype: str) -> None:
    values = random_array(np.random.default_rng(0), Tensor(name="t", datatype=datatype, shape=()), ())
    assert isinstance(values, np.ndarray)
    assert values.shape == ()


@pytest.mark.parametrize(("size", "rows", "samples"), [(-1, 4, 4), (8, 8, 1)])
def test_samples_of_a_request_are_the_first_size_that_the_model_leaves_open(
    tmp_path: Path, size: int, rows: int, samples: int
) -> None:
    model = repository.find(str(write_model(tmp_path / "net.onnx", shape=("n" if size < 0 else size, 3))))
    assert inputs.samples_in(model, {"x": np.ones((rows, 3), np.float32)}) == samples


def test_a_file_with_a_wrong_input_name_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path / "net" / "1" / "model.onnx")
    np.savez(tmp_path / "net" / "samples.npz", wrong=np.zeros((2, 4), np.float32))
    with pytest.raises(ModelError, match=r"samples\.npz: contains wrong; the model takes x"):
        inputs.choose(repository.find("net", tmp_path), InputOptions())


def token_model(directory: Path) -> repository.Model:
    return repository.find(str(write_model(directory / "net.onnx", shape=(1, 4), datatype=onnx.TensorProto.INT64)))


def test_token_ids_stay_within_the_given_range(tmp_path: Path) -> None:
    chosen = inputs.choose(token_model(tmp_path), InputOptions(ranges={"x": (1000, 1003)}))
    seen = {int(value) for request in chosen.requests for value in request["x"].reshape(-1)}
    assert seen == {1000, 1001, 1002, 1003}


@pytest.mark.parametrize(
    ("ranges", "problem"),
    [
        ({"y": (0, 1)}, "`ranges` y: model net takes x INT64"),
        ({"x": (0.5, 1)}, "INT64 takes"),
        ({"x": (0, 1e30)}, "takes"),
    ],
)
def test_a_range_that_does_not_fit_is_refused(
    tmp_path: Path, ranges: dict[str, tuple[float, float]], problem: str
) -> None:
    with pytest.raises(ModelError, match=problem):
        inputs.choose(token_model(tmp_path), InputOptions(ranges=ranges))


def test_real_inputs_from_a_file_are_sent_one_by_one(tmp_path: Path) -> None:
    net = repository.find(str(write_model(tmp_path / "net.onnx", shape=("n", 4))))
    np.savez(tmp_path / "real.npz", x=np.arange(12, dtype=np.float32).reshape(3, 4))
    chosen = inputs.choose(net, InputOptions(input=tmp_path / "real.npz"))
    assert [request["x"].tolist() for request in chosen.requests] == [[[0, 1, 2, 3]], [[4, 5, 6, 7]], [[8, 9, 10, 11]]]


def test_each_file_of_a_directory_is_one_request_of_any_size(tmp_path: Path) -> None:
    net = repository.find(str(write_model(tmp_path / "net.onnx", shape=("n", "m"))))
    directory = tmp_path / "real"
    directory.mkdir()
    np.savez(directory / "b.npz", x=np.zeros((2, 5), np.float32))
    np.save(directory / "a.npy", np.ones((1, 3), np.float32))
    chosen = inputs.choose(net, InputOptions(input=directory))
    assert [request["x"].shape for request in chosen.requests] == [(1, 3), (2, 5)]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (np.zeros((3, 5), np.float32), r"x is float32 \[1, 5\] per request; the model takes x FP32\[\?, 4\]"),
        (np.zeros((3, 4), np.float64), "x is float64"),
        (np.zeros((0, 4), np.float32), "contains no inputs"),
    ],
)
def test_real_inputs_that_do_not_fit_are_refused(tmp_path: Path, values: np.ndarray, problem: str) -> None:
    net = repository.find(str(write_model(tmp_path / "net.onnx", shape=("n", 4))))
    np.savez(tmp_path / "real.npz", x=values)
    with pytest.raises(ModelError, match=problem):
        inputs.choose(net, InputOptions(input=tmp_path / "real.npz"))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04broken"])
def test_a_file_without_arrays_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "real.npz").write_bytes(content)
    net = repository.find(str(write_model(tmp_path / "net.onnx")))
    with pytest.raises(ModelError, match=r"real\.npz: not a file of inputs"):
        inputs.choose(net, InputOptions(input=tmp_path / "real.npz"))


def test_a_model_without_inputs_has_none_and_no_random_ones(tmp_path: Path) -> None:
    nodes = [onnx.helper.make_node("RandomUniform", [], ["y"], shape=[3])]
    noise = model(tmp_path / "m.onnx", nodes, {})
    assert inputs.choose(noise, InputOptions()).origin == "no inputs"
