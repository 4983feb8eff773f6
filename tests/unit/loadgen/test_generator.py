"""The load generator on a virtual clock: the server's behaviour is known exactly, and the samples must show it."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesim.loadgen import generator
from edgesim.loadgen.scenario import Misses, Scenario, StopRule
from edgesim.options import Precision
from edgesim.recording import Sample
from tests.support.virtual_transport import MS, VirtualTransport


def drive(transport: VirtualTransport, scenario: Scenario, *, alive: bool = True, enough: bool = True) -> list[Sample]:
    samples: list[Sample] = []
    generator.drive(
        scenario, transport, [b"a", b"b"], into=samples, still_alive=lambda: alive, enough=lambda times: enough
    )
    return samples


def single_stream(requests: int = 1, duration_s: float = 0.0, **more: object) -> Scenario:
    return Scenario(name="single-stream", stop=StopRule(requests=requests, duration_s=duration_s), **more)  # type: ignore[arg-type]


def server(qps: float, requests: int = 1, duration_s: float = 0.0, seed: int = 0) -> Scenario:
    return Scenario(name="server", qps=qps, seed=seed, stop=StopRule(requests=requests, duration_s=duration_s))


def latencies_ms(samples: list[Sample]) -> list[float]:
    return [sample.latency_ms for sample in samples]


def test_a_request_is_due_when_the_one_before_it_is_done() -> None:
    samples = drive(VirtualTransport(lambda n: 10), single_stream(requests=5))
    assert latencies_ms(samples) == [10] * 5
    assert all(later.scheduled_ns == earlier.done_ns for earlier, later in itertools.pairwise(samples))


@settings(max_examples=25)  # each example collects garbage first, as a real load does
@given(requests=st.integers(1, 50), duration_ms=st.integers(0, 500), service_ms=st.integers(1, 100))
def test_a_run_ends_after_both_its_requests_and_its_duration(requests: int, duration_ms: int, service_ms: int) -> None:
    samples = drive(VirtualTransport(lambda n: service_ms), single_stream(requests, duration_ms / 1000))
    assert len(samples) == max(requests, -(-duration_ms // service_ms))


def test_inputs_are_sent_in_turn() -> None:
    transport = VirtualTransport(lambda n: 1)
    drive(transport, single_stream(requests=5))
    assert transport.seen == [b"a", b"b", b"a", b"b", b"a"]


def test_a_failed_request_is_a_sample_and_the_run_continues() -> None:
    samples = drive(VirtualTransport(lambda n: 1, failing=[1]), single_stream(requests=4))
    assert [sample.ok for sample in samples] == [True, False, True, True]


def test_a_run_ends_when_the_board_is_gone() -> None:
    samples = drive(VirtualTransport(lambda n: 1, failing=[2]), single_stream(requests=99), alive=False)
    assert [sample.outcome for sample in samples] == ["ok", "ok", "connection: reset"]


def test_requests_under_way_to_a_board_that_is_gone_end_at_once() -> None:
    transport = VirtualTransport(lambda n: 1 if n == 0 else 600_000, workers=4, failing=[0])
    samples = drive(transport, single_stream(requests=99, clients=4), alive=False)
    assert [sample.outcome for sample in samples] == ["connection: reset", *["connection: the server has ended"] * 3]
    assert max(latencies_ms(samples)) == 1


@pytest.mark.parametrize("service_ms", [1, 600_000], ids=["while it answers", "while it is silent"])
def test_a_board_that_is_lost_ends_the_run_within_a_second(service_ms: float) -> None:
    transport, samples = VirtualTransport(lambda n: service_ms), list[Sample]()
    lost_at = transport.begun_ns + 5_000 * MS
    generator.drive(
        single_stream(requests=10**6),
        transport,
        [b"a"],
        into=samples,
        still_alive=lambda: True,
        lost=lambda: transport.now_ns() >= lost_at,
    )
    assert lost_at <= samples[-1].done_ns <= lost_at + 1_000 * MS
    assert samples[-1].outcome == "connection: the server has ended" or service_ms == 1


def test_what_is_raised_while_the_oldest_request_waits_ends_the_run() -> None:
    transport, samples, waits = VirtualTransport(lambda n: 100 if n < 3 else 600_000), list[Sample](), list[float]()

    def give_up(waited_s: float) -> None:
        waits.append(waited_s)
        if waited_s > 5:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        generator.drive(
            single_stream(requests=99),
            transport,
            [b"a"],
            into=samples,
            still_alive=lambda: True,
            while_waiting=give_up,
        )
    assert [sample.outcome for sample in samples] == ["ok"] * 3
    assert waits == pytest.approx(sorted(waits))
    assert len(waits) == 11


@given(st.integers(1, 16))
def test_each_client_has_one_request_under_way(clients: int) -> None:
    transport = VirtualTransport(lambda n: 5, workers=clients)
    samples = drive(transport, single_stream(requests=100, clients=clients))
    assert transport.most_under_way == clients
    assert latencies_ms(samples) == [5] * len(samples)


def test_the_next_query_waits_for_the_slowest_request() -> None:
    stop = StopRule(requests=12)
    samples = drive(
        VirtualTransport(lambda n: 10 if n % 4 else 30, workers=4),
        Scenario(name="multi-stream", samples_per_query=4, stop=stop),
    )
    assert sorted({sample.scheduled_ns // MS - 5000 for sample in samples}) == [0, 30, 60]
    assert len(samples) == 12


def test_a_run_does_not_end_within_a_query() -> None:
    samples = drive(
        VirtualTransport(lambda n: 1), Scenario(name="multi-stream", samples_per_query=4, stop=StopRule(requests=6))
    )
    assert len(samples) == 8


def test_offline_requests_are_all_due_at_the_start() -> None:
    transport = VirtualTransport(lambda n: 10, workers=2)
    samples = drive(transport, Scenario(name="offline", clients=8, stop=StopRule(requests=100)))
    assert {sample.scheduled_ns for sample in samples} == {transport.begun_ns}
    assert max(sample.done_ns for sample in samples) - transport.begun_ns == 100 * 10 / 2 * MS
    assert transport.most_under_way == 8


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.floats(10, 500))
def test_server_scenario_sends_on_time_however_slow_the_server_is(seed: int, qps: float) -> None:
    samples = drive(VirtualTransport(lambda n: 200), server(qps, requests=100, seed=seed))
    assert all(sample.sent_ns == sample.scheduled_ns for sample in samples)


def test_the_same_seed_gives_two_servers_the_same_schedule() -> None:
    fast, slow = (drive(VirtualTransport(lambda n, ms=ms: ms), server(100, duration_s=2)) for ms in (1, 9))  # type: ignore[misc]
    assert [sample.scheduled_ns for sample in fast] == [sample.scheduled_ns for sample in slow]


def test_too_few_connections_show_as_lag_and_not_as_service_time() -> None:
    samples = drive(VirtualTransport(lambda n: 50, workers=2, connections=2), server(100, requests=100))
    assert {sample.service_time_ms for sample in samples} == {50}
    assert max(sample.sent_ns - sample.scheduled_ns for sample in samples) > 1000 * MS


def test_a_sleeping_load_generator_shows_as_lag_and_in_the_latency() -> None:
    samples = drive(VirtualTransport(lambda n: 1, workers=50, asleep=(500, 700)), server(100, duration_s=1))
    lags = [(sample.sent_ns - sample.scheduled_ns) / MS for sample in samples]
    assert max(lags) == pytest.approx(200, abs=30)
    assert max(latencies_ms(samples)) == pytest.approx(1 + max(lags))
    assert {sample.service_time_ms for sample in samples} == {1}


# --- servers whose latencies are known --------------------------------------------------------------------------------


def test_a_stall_shows_in_the_p99_latency_and_not_in_the_service_time() -> None:
    """At 100 requests per second for 20 s, a stall of 500 ms delays 50 requests, 2.5 % of them.

    With one connection the other requests wait in the client: a clock that starts when a request is sent sees one slow
    request.
    """
    stalled = VirtualTransport(lambda n: 500 if n == 1000 else 1, connections=1)
    samples = drive(stalled, server(100, duration_s=20))
    by_schedule = np.percentile(latencies_ms(samples), 99)
    by_sending = np.percentile([sample.service_time_ms for sample in samples], 99)
    assert by_schedule > 200
    assert by_sending == 1


def test_two_modes_of_latency_keep_their_shares() -> None:
    samples = drive(VirtualTransport(lambda n: 50 if n % 5 == 0 else 10), single_stream(requests=1000))
    times = latencies_ms(samples)
    assert np.percentile(times, [50, 79, 81, 99]).tolist() == [10, 10, 50, 50]


def test_a_saturated_server_raises_latency_and_not_service_time() -> None:
    samples = drive(VirtualTransport(lambda n: 20, connections=1), server(100, duration_s=10))
    first, last = latencies_ms(samples[:50]), latencies_ms(samples[-50:])
    assert np.median(last) > 50 * np.median(first) / 10
    assert {sample.service_time_ms for sample in samples} == {20}


# --- stop rules -------------------------------------------------------------------------------------------------------


def test_a_run_ends_with_the_samples_that_were_precise_enough() -> None:
    stop = StopRule(precision=Precision(percentile=50, percent=5))
    counts: list[int] = []
    samples: list[Sample] = []

    def enough(latencies_ns: Sequence[int]) -> bool:
        counts.append(len(latencies_ns))
        return len(latencies_ns) >= 13

    scenario = Scenario(name="single-stream", stop=stop)
    transport = VirtualTransport(lambda n: 10)
    generator.drive(scenario, transport, [b"a"], into=samples, still_alive=lambda: True, enough=enough)
    assert counts[-1] == len(samples)


def test_a_run_until_precise_ends_at_its_limit_at_the_latest() -> None:
    stop = StopRule(precision=Precision(percentile=99, percent=5, limit_s=2))
    precise = drive(VirtualTransport(lambda n: 10), Scenario(name="single-stream", stop=stop), enough=True)
    never = drive(VirtualTransport(lambda n: 10), Scenario(name="single-stream", stop=stop), enough=False)
    assert len(precise) == 1
    assert len(never) == 200


def test_a_rate_that_misses_its_limit_too_often_ends_early() -> None:
    stop = StopRule(requests=1000, misses=Misses(limit_s=0.05, at_most=10))
    hopeless = drive(VirtualTransport(lambda n: 60), Scenario(name="single-stream", stop=stop))
    fine = drive(VirtualTransport(lambda n: 60 if n % 200 == 0 else 10), Scenario(name="single-stream", stop=stop))
    assert len(hopeless) == 12, "eleven misses, and the request that was sent meanwhile"
    assert len(fine) == 1000
