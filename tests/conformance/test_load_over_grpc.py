"""edgesim's client and load generator over gRPC, beside those over HTTP: the same answers, failures in words."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from edgesim.errors import DeviceError
from edgesim.inputs import Arrays
from edgesim.loadgen import generator, grpc_calls
from edgesim.loadgen.client import RequestFailed
from edgesim.loadgen.endpoint import Endpoint, Peer
from edgesim.loadgen.payload import Payload
from edgesim.loadgen.scenario import Scenario, StopRule, closed_loop
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.recording import Sample
from edgesim.server.rpc.messages import TYPES
from tests.conformance.conftest import TYPES as DATATYPES
from tests.conformance.test_infer import VALUES
from tests.support.serving import Server, identity, running_server, save


@pytest.fixture
def endpoint(server: Server) -> Endpoint:
    return Endpoint(url=f"http://{server.address}", grpc_address=server.grpc_address)


def model_of(directory: Path, datatype: str = "FP32") -> Model:
    """Return the model that the server has under the same name."""
    save(identity(DATATYPES[datatype], (None, None)), directory, f"identity_{datatype.lower()}")
    return repository.find(f"identity_{datatype.lower()}", directory)


@pytest.fixture
def peer(endpoint: Endpoint, tmp_path: Path) -> Iterator[Peer]:
    with closing(endpoint.peer(model_of(tmp_path), timeout_s=30)) as peer:
        yield peer


ONES: Arrays = {"x": np.ones((1, 2), np.float32)}


@pytest.mark.parametrize("datatype", DATATYPES)
def test_every_type_is_answered_as_over_http(endpoint: Endpoint, tmp_path: Path, datatype: str) -> None:
    model, arrays = model_of(tmp_path, datatype), {"x": VALUES[datatype]}
    with (
        closing(endpoint.peer(model, timeout_s=30)) as over_grpc,
        closing(Endpoint(url=endpoint.url).peer(model, timeout_s=30)) as over_http,
    ):
        (expected,), (actual,) = (each.answer(arrays).values() for each in (over_http, over_grpc))
    assert actual.dtype == expected.dtype
    assert actual.tolist() == expected.tolist()


def test_typed_fields_of_another_server_are_read_as_raw_ones(peer: Peer) -> None:
    message = TYPES["ModelInferResponse"]()
    message.outputs.add(name="y", datatype="INT64", shape=[1, 2]).contents.int64_contents.extend([3, 4])
    message.outputs.add(name="z", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"ja")
    decoded = peer.decode(Payload(message.SerializeToString()))
    assert decoded["y"].tolist() == [[3, 4]]
    assert decoded["z"].tolist() == ["ja"]


@pytest.mark.parametrize("clients", [1, 8])
def test_load_generator_sends_and_times_every_request(endpoint: Endpoint, peer: Peer, clients: int) -> None:
    samples = list[Sample]()
    request = peer.on_the_wire(peer.encode(ONES))
    scenario = Scenario.of("single-stream", stop=StopRule(requests=50), clients=clients)
    with endpoint.transport(connections=clients, timeout_s=30, keeps_answers=False) as transport:
        generator.drive(scenario, transport, [request], into=samples, still_alive=lambda: True)
        assert transport.most_open == 1
    assert len(samples) >= 50
    assert {sample.outcome for sample in samples} == {"ok"}
    assert all(sample.scheduled_ns <= sample.sent_ns < sample.done_ns for sample in samples)


def test_answers_are_kept_for_a_sequence(endpoint: Endpoint, peer: Peer) -> None:
    with endpoint.transport(connections=1, timeout_s=30, keeps_answers=True) as transport:
        token = transport.send(peer.on_the_wire(peer.encode(ONES)))
        assert transport.send(b"") is None, "one request is under way, and no more may be"
        (done,) = transport.wait(None)
    assert done.token == token
    assert peer.decode(done.payload)["y"].tolist() == [[1, 1]]


def test_refused_request_has_the_servers_words(endpoint: Endpoint, peer: Peer) -> None:
    with pytest.raises(RequestFailed, match=r"gRPC INVALID_ARGUMENT: .*'x'"):
        peer.answer({"x": np.ones(2, np.float32)})
    with endpoint.transport(connections=1, timeout_s=30, keeps_answers=False) as transport:
        transport.send(b"\xff\xff\xff")
        (done,) = transport.wait(None)
    assert done.outcome.startswith("gRPC ")


def test_nothing_is_waited_for_beyond_the_moment_that_is_due(endpoint: Endpoint) -> None:
    with endpoint.transport(connections=1, timeout_s=30, keeps_answers=False) as transport:
        assert transport.wait(transport.now_ns()) == []


def test_server_that_does_not_listen_is_an_error_of_the_connection(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    assert not grpc_calls.is_ready(address, 1)
    nobody = Endpoint(url=f"http://{address}", grpc_address=address)
    with pytest.raises(OSError, match="no gRPC server answers at"):
        nobody.transport(connections=1, timeout_s=0.2, keeps_answers=False)
    with closing(nobody.peer(model_of(tmp_path), timeout_s=5)) as peer:
        assert peer.infer(peer.encode(ONES)).outcome.startswith("connection: ")
        assert peer.get_json("/v2") == {}


def test_server_that_takes_connections_and_never_answers_is_told_with_the_time(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        assert not grpc_calls.is_ready(address, 0.2)
        with closing(
            Endpoint(url="http://127.0.0.1:1", grpc_address=address).peer(model_of(tmp_path), timeout_s=0.2)
        ) as peer:
            assert peer.infer(peer.encode(ONES)).outcome == "no answer within 0.2 s"


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_what_is_raised_while_an_answer_is_awaited_ends_the_wait(tmp_path: Path, protocol: str) -> None:
    def give_up(waited_s: float) -> None:
        raise DeviceError(f"waited for {waited_s:.0f} s")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        by_grpc = address if protocol == "grpc" else None
        endpoint = Endpoint(url=f"http://{address}", grpc_address=by_grpc, while_waiting=give_up)
        with closing(endpoint.peer(model_of(tmp_path), timeout_s=60)) as peer, pytest.raises(DeviceError):
            peer.infer(Payload(b"{}"))


def test_server_that_ends_fails_the_requests_under_way(tmp_path: Path) -> None:
    models = tmp_path / "models"
    model = model_of(models)
    samples = list[Sample]()
    with running_server(models, "--grpc-port", "0") as server:
        endpoint = Endpoint(url=f"http://{server.address}", grpc_address=server.grpc_address)
        assert grpc_calls.is_ready(server.grpc_address, 5)
        with closing(endpoint.peer(model, timeout_s=5)) as peer:
            request = peer.on_the_wire(peer.encode(ONES))
        transport = endpoint.transport(connections=1, timeout_s=5, keeps_answers=False)
    with transport:
        generator.drive(closed_loop(3), transport, [request], into=samples, still_alive=lambda: False)
    assert samples
    assert all(sample.outcome.startswith("connection: ") for sample in samples)
