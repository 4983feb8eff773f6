"""The contract of a transport, tested on the virtual transport and on the one over connections."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest

from edgesim.loadgen import generator
from edgesim.loadgen.generator import Transport
from edgesim.loadgen.scenario import Scenario, StopRule
from edgesim.loadgen.transport import HttpTransport
from edgesim.recording import Sample
from tests.support.scripted_server import Script, scripted
from tests.support.virtual_transport import VirtualTransport

REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
Starter = Callable[[Script, int], AbstractContextManager[Transport]]


@contextmanager
def virtual(script: Script, connections: int) -> Iterator[Transport]:
    delays = script.delays_ms
    yield VirtualTransport(
        lambda n: delays[n % len(delays)],
        workers=1 if script.one_at_a_time else 512,
        connections=connections,
        failing=[*script.fail, *script.reset],
    )


@contextmanager
def real(script: Script, connections: int) -> Iterator[Transport]:
    with scripted(script) as url, HttpTransport(url, connections=connections, timeout_s=5) as transport:
        yield transport


TRANSPORTS = pytest.mark.parametrize("start", [pytest.param(virtual, id="virtual"), pytest.param(real, id="http")])


def drive(transport: Transport, scenario: Scenario) -> list[Sample]:
    samples: list[Sample] = []
    generator.drive(scenario, transport, [REQUEST], into=samples, still_alive=lambda: True)
    return samples


def single_stream(requests: int, clients: int = 1) -> Scenario:
    return Scenario(name="single-stream", clients=clients, stop=StopRule(requests=requests))


@TRANSPORTS
@pytest.mark.timing
def test_the_service_time_is_the_server_s_delay(start: Starter) -> None:
    with start(Script(delays_ms=(30,)), 1) as transport:
        samples = drive(transport, single_stream(10))
    assert len(samples) == 10
    assert all(sample.ok for sample in samples)
    assert all(sample.service_time_ms >= 30 for sample in samples)
    assert np.median([sample.service_time_ms for sample in samples]) < 40


@TRANSPORTS
def test_a_failure_is_an_outcome_and_later_requests_succeed(start: Starter) -> None:
    with start(Script(fail=(1,), reset=(3,)), 1) as transport:
        samples = drive(transport, single_stream(6))
    assert [sample.ok for sample in samples] == [True, False, True, False, True, True]


@TRANSPORTS
def test_requests_over_several_connections_are_concurrent(start: Starter) -> None:
    with start(Script(delays_ms=(100,)), 8) as transport:
        samples = drive(transport, single_stream(16, clients=8))
    begin, end = min(sample.sent_ns for sample in samples), max(sample.done_ns for sample in samples)
    assert (end - begin) / 1e6 < 16 * 100 / 2


@TRANSPORTS
def test_concurrent_requests_do_not_exceed_the_connections(start: Starter) -> None:
    scenario = Scenario(name="server", qps=200, stop=StopRule(requests=20))
    with start(Script(delays_ms=(50,)), 2) as transport:
        samples = drive(transport, scenario)
    for sample in samples:
        overlapping = [s for s in samples if s.sent_ns < sample.done_ns and s.done_ns > sample.sent_ns]
        assert sum(s.sent_ns <= sample.sent_ns for s in overlapping) <= 2
    assert max(sample.sent_ns - sample.scheduled_ns for sample in samples) > 100e6


@TRANSPORTS
def test_a_wait_ends_at_its_time(start: Starter) -> None:
    with start(Script(), 1) as transport:
        until = transport.now_ns() + 50_000_000
        assert list(transport.wait(until)) == []
        assert transport.now_ns() >= until


# --- over connections only --------------------------------------------------------------------------------------------


def test_a_request_without_an_answer_fails_and_its_connection_is_closed() -> None:
    with scripted(Script(silent=(1,))) as url, HttpTransport(url, connections=1, timeout_s=0.2) as transport:
        samples = drive(transport, single_stream(4))
    assert [sample.outcome for sample in samples] == ["ok", "no answer within 0.2 s", "ok", "ok"]
    assert 200 <= samples[1].service_time_ms < 2000


def test_the_outcome_has_the_server_s_error_message() -> None:
    with scripted(Script(fail=(0,))) as url, HttpTransport(url, connections=1, timeout_s=5) as transport:
        assert [sample.outcome for sample in drive(transport, single_stream(2))] == ["HTTP 500: said", "ok"]


@pytest.mark.parametrize("script", [Script(close_after=True), Script(chunked=True)])
def test_closed_connections_and_chunked_answers_are_supported(script: Script) -> None:
    with scripted(script) as url, HttpTransport(url, connections=2, timeout_s=5) as transport:
        samples = drive(transport, single_stream(20, clients=2))
    assert [sample.outcome for sample in samples] == ["ok"] * len(samples)


def test_a_request_of_many_megabytes_is_sent_completely() -> None:
    body = bytes(20_000_000)
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    samples: list[Sample] = []
    with scripted(Script()) as url, HttpTransport(url, connections=2, timeout_s=20) as transport:
        generator.drive(single_stream(4, clients=2), transport, [request], into=samples, still_alive=lambda: True)
    assert [sample.outcome for sample in samples] == ["ok"] * 4


def test_a_server_that_is_gone_fails_every_request_and_raises_nothing() -> None:
    with scripted(Script()) as url:
        transport = HttpTransport(url, connections=4, timeout_s=1)
    with transport:
        time.sleep(0.1)
        samples = drive(transport, single_stream(6, clients=2))
    assert all(sample.outcome.startswith("connection: ") for sample in samples), samples


def test_a_port_without_a_server_is_refused_at_once() -> None:
    with scripted(Script()) as url:
        pass
    with pytest.raises(ConnectionRefusedError):
        HttpTransport(url, connections=1, timeout_s=1)
