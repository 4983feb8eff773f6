"""The requests of sequences on a virtual clock: each is made of the answer before it, and the time for that is free."""

from typing import Any

import numpy as np
import orjson

from edgesim.inputs.sequences import StateSequence
from edgesim.loadgen import client, generator
from edgesim.loadgen.payload import Payload
from edgesim.loadgen.scenario import Scenario, StopRule
from edgesim.loadgen.sequence_requests import SequenceRequests
from edgesim.recording import Sample
from tests.support.virtual_transport import VirtualTransport


class Peer:
    """Encodes the state of a request as its bytes."""

    def encode(self, arrays: Any) -> Payload:
        return Payload(str(int(arrays["sum"][0])).encode())

    def on_the_wire(self, payload: Payload) -> bytes:
        return payload.content

    def decode(self, payload: Payload) -> Any:
        return client.decode(payload)


class Counting(VirtualTransport):
    """A server that answers with the state plus 1."""

    def wait(self, until_ns: int | None) -> Any:
        def answer(request: bytes) -> Payload:
            output = {"name": "total", "datatype": "INT64", "shape": [1], "data": [int(request) + 1]}
            return Payload(orjson.dumps({"outputs": [output]}))

        return [one._replace(payload=answer(self.seen[one.token])) for one in super().wait(until_ns)]


def sent(
    requests: int, *, steps: int = 3, clients: int = 1, is_whole: bool = False, failing: tuple[int, ...] = ()
) -> tuple[list[int], list[Sample], list[int]]:
    """Return the states that were sent, the samples, and the steps that were prepared."""
    sequence = StateSequence(({"sum": np.array([0])},), {"total": "sum"}, steps)
    peer: Any = Peer()
    prepared: list[int] = []
    source = SequenceRequests(sequence, peer, clients=clients, is_whole=is_whole, prepare=prepared.append)
    transport, samples = Counting(lambda n: 10 + n % clients, workers=clients, failing=failing), list[Sample]()
    scenario = Scenario(name="single-stream", clients=clients, stop=StopRule(requests=requests))
    generator.drive(scenario, transport, source, into=samples, still_alive=lambda: True)
    return [int(request) for request in transport.seen], samples, prepared


def test_request_has_the_state_of_the_answer_before_it() -> None:
    states, samples, _ = sent(7)
    assert states == [0, 1, 2, 0, 1, 2, 0]
    assert [sample.step for sample in samples] == [1, 2, 3, 1, 2, 3, 1]


def test_load_ends_with_a_whole_sequence_where_that_is_asked_for() -> None:
    assert len(sent(7, is_whole=True)[1]) == 9
    assert len(sent(6, is_whole=True)[1]) == 6
    assert len(sent(7)[1]) == 7


def test_each_client_has_a_state_of_its_own() -> None:
    states, samples, _ = sent(12, clients=2)
    assert sorted(states) == [0] * 4 + [1] * 4 + [2] * 4
    assert len(samples) == 12


def test_failed_request_begins_its_sequence_anew() -> None:
    states, samples, _ = sent(5, failing=(1,))
    assert states == [0, 1, 0, 1, 2]
    assert [sample.ok for sample in samples] == [True, False, True, True, True]


def test_each_step_is_prepared_before_its_request_is_due() -> None:
    assert sent(4)[2] == [0, 1, 2, 0, 1]
