"""Inputs, the protocol's encoding, and the generator, on a clock of their own."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesim import model
from edgesim.errors import ModelError
from edgesim.load import generator, inputs
from edgesim.load.client import Answer
from edgesim.load.scenario import SingleStream
from edgesim.model import Tensor
from edgesim.result import Sample
from tests.conftest import write_model

MS = 1_000_000


class Server:
    """Takes `service_ms` of the clock for each request, and fails those whose numbers are in `failing`."""

    def __init__(self, service_ms: int, failing: tuple[int, ...] = ()) -> None:
        self.now_ns = 5_000 * MS
        self.seen: list[bytes] = []
        self._service_ms = service_ms
        self._failing = failing

    def __call__(self, body: bytes) -> Answer:
        self.now_ns += self._service_ms * MS
        self.seen.append(body)
        return Answer("connection: reset" if len(self.seen) - 1 in self._failing else "ok")


def drive(server: Server, scenario: SingleStream, *, alive: bool = True) -> list[Sample]:
    samples: list[Sample] = []
    generator.single_stream(
        server, [b"a", b"b"], scenario, into=samples, still_alive=lambda: alive, clock_ns=lambda: server.now_ns
    )
    return samples


def test_a_request_is_due_when_the_one_before_it_is_done() -> None:
    samples = drive(Server(10), SingleStream(requests=5, duration_s=0))
    assert [sample.latency_ms for sample in samples] == [10] * 5
    assert all(later.scheduled_ns == earlier.done_ns for earlier, later in itertools.pairwise(samples))


@given(requests=st.integers(1, 50), duration_ms=st.integers(0, 500), service_ms=st.integers(1, 100))
def test_a_run_ends_when_both_enough_requests_and_enough_time_have_passed(
    requests: int, duration_ms: int, service_ms: int
) -> None:
    samples = drive(Server(service_ms), SingleStream(requests=requests, duration_s=duration_ms / 1000))
    assert len(samples) == max(requests, -(-duration_ms // service_ms))


def test_inputs_are_sent_in_turn() -> None:
    server = Server(1)
    drive(server, SingleStream(requests=5, duration_s=0))
    assert server.seen == [b"a", b"b", b"a", b"b", b"a"]


def test_a_failed_request_is_a_sample_and_the_run_goes_on() -> None:
    samples = drive(Server(1, failing=(1,)), SingleStream(requests=4, duration_s=0))
    assert [sample.ok for sample in samples] == [True, False, True, True]


def test_a_run_ends_with_the_device() -> None:
    samples = drive(Server(1, failing=(2,)), SingleStream(requests=99, duration_s=0), alive=False)
    assert [sample.outcome for sample in samples] == ["ok", "ok", "connection: reset"]


# --- inputs -----------------------------------------------------------------------------------------------------------


def test_a_model_s_own_samples_are_sent_one_by_one_and_their_labels_kept(digits: model.Model) -> None:
    chosen = inputs.choose(digits, seed=0)
    assert len(chosen.requests) == 360
    assert chosen.requests[0]["image"].shape == (1, 8, 8)
    assert chosen.labelled is not None
    assert chosen.origin == "360 real ones from samples.npz"


def test_the_same_seed_gives_the_same_inputs_and_another_gives_others(resnet18: model.Model) -> None:
    first, again, other = (inputs.choose(resnet18, seed=seed).requests[0]["image"] for seed in (1, 1, 2))
    assert first.shape == (1, 3, 224, 224)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_sizes_that_the_model_leaves_open_must_be_given(tmp_path: Path) -> None:
    open_model = model.find(str(write_model(tmp_path / "net.onnx", shape=("n", "tokens"))))
    with pytest.raises(ModelError) as caught:
        inputs.choose(open_model, seed=0)
    assert caught.value.fix.startswith("--shape x=1,1")
    chosen = inputs.choose(open_model, seed=0, shapes={"x": (2, 7)})
    assert chosen.requests[0]["x"].shape == (2, 7)


@pytest.mark.parametrize(("name", "shape"), [("y", (1, 4)), ("x", (1, 5)), ("x", (4,))])
def test_a_shape_that_does_not_fit_is_refused(tmp_path: Path, name: str, shape: tuple[int, ...]) -> None:
    net = model.find(str(write_model(tmp_path / "net.onnx", shape=("n", 4))))
    with pytest.raises(ModelError, match=r"--shape .*takes x FP32\[\?, 4\]"):
        inputs.choose(net, seed=0, shapes={name: shape})


@pytest.mark.parametrize(
    "datatype",
    ["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"],
)
def test_random_values_can_be_made_of_every_type(datatype: str) -> None:
    tensor = Tensor(name="x", datatype=datatype, shape=(2, 3))
    assert inputs.random_array(np.random.default_rng(0), tensor, (2, 3)).shape == (2, 3)


def test_a_file_of_samples_that_does_not_fit_the_model_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path / "net" / "1" / "model.onnx")
    np.savez(tmp_path / "net" / "samples.npz", allow_pickle=False, wrong=np.zeros((2, 4), np.float32))
    with pytest.raises(ModelError, match=r"samples\.npz: holds wrong; the model takes x"):
        inputs.choose(model.find("net", tmp_path), seed=0)
