"""One board that is up: first inference, warm-up, load and comparison, and the readings of its resources meanwhile."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace

import numpy as np

from edgesim.boards import gpu_provider
from edgesim.boards.board import DESCRIPTION, Board
from edgesim.boards.time_scaling import Scale
from edgesim.errors import EdgesimError, HostError, ModelError
from edgesim.host.cores import affinity
from edgesim.inputs import samples_in
from edgesim.inputs.sequences import RequestSequence
from edgesim.jobs.board_load import BoardLoad
from edgesim.jobs.instructions import count
from edgesim.jobs.load_session import Keeping
from edgesim.jobs.measurement import Measurement
from edgesim.jobs.session_plan import SessionPlan
from edgesim.loadgen import client
from edgesim.loadgen.endpoint import Peer
from edgesim.loadgen.generator import Requests
from edgesim.loadgen.sequence_requests import SequenceRequests
from edgesim.measure import resource_usage, sequence_comparison
from edgesim.measure.output_difference import Outputs, joined
from edgesim.measure.reference import Comparison, RunFailed, compare, compare_sequence
from edgesim.measure.release_reference import AnyReference
from edgesim.measure.sequence_comparison import compared_steps
from edgesim.progress import Stages
from edgesim.recording import Sample

# Of labelled inputs, where the model fixes how many samples a request has: an emulated request takes seconds.
_MOST_LABELLED_REQUESTS = 8
# A difference that adds up shows within these steps; emulated, each of them takes a while.
_COMPARED_STEPS = 16


def measure(board: Board, plan: SessionPlan, stages: Stages, *, into: Measurement, keeping: Keeping) -> None:
    """Measure a board that is ready; a board that fails the first inference gets no more requests.

    An interrupt or an error leaves in `into` what was measured until then. `keeping` keeps the samples of each load.
    """
    begin_s = time.monotonic()
    with (
        on_cores(plan.client_cores),
        resource_usage.Recorder(board.device.read, interval_s=board.device.reading_interval_s) as recorder,
        closing(board.endpoint.peer(plan.model, timeout_s=plan.timeout_s)) as peer,
    ):
        # The recorder fills these lists from now on: after an interrupt they hold what was read until then.
        into.readings, into.phases = recorder.readings, recorder.phases
        into.description = peer.get_json(DESCRIPTION)
        if board.gpus is not None:
            gpu_provider.look_for(into.description, stages, target=board.target)
        payload = peer.encode(plan.inputs.requests[0])
        with stages.stage("first inference", "first inference"), recorder.phase("first inference"):
            sent_ns = time.monotonic_ns()
            first = peer.infer(payload)
            done_ns = time.monotonic_ns()
        if first.outcome != "ok":
            into.samples.append(Sample(sent_ns, sent_ns, done_ns, first.outcome))
            return
        into.first_inference_s = (done_ns - sent_ns) / 1e9

        requests = requests_of(plan, peer, board.scale)
        load = BoardLoad(board, plan, requests, recorder, stages, into, keeping)
        load.warm_up()
        into.steady_at_s = time.monotonic() - begin_s
        with _heating(board, into):
            if plan.peak is not None:
                load.find_peak(plan.peak)
            elif plan.sweep:
                load.sweep()
            else:
                load.run(plan.scenario, str(plan.scenario))

        if not board.device.state().running or (into.samples and not into.samples[-1].ok and not load.is_alive()):
            return  # the address of a dead server may be nobody's now, and connecting to nobody takes minutes to fail
        with (
            stages.stage("comparison", "comparing the device's answers with this host's"),
            recorder.phase("comparison"),
        ):
            try:
                into.agreement = compare_answers(peer, first, plan)
            except (RunFailed, ModelError, HostError) as error:  # what was measured stands without the comparison
                stages.note(f"the answers are not compared: {error}")
        if board.counter is not None:
            into.instructions = count(board, board.counter, plan, stages)
        if board.scale is not None:
            with stages.stage("scale", "checking that the scaled times still hold"), suppress(OSError):
                board.scale.check()
            into.scaling = board.scale.record()


def requests_of(plan: SessionPlan, peer: Peer, scale: Scale | None) -> Sequence[bytes] | Callable[[int], Requests]:
    """Return the requests of a plan: their bytes, or what begins a sequence of them for a number of clients."""
    sequence = plan.inputs.sequence
    if sequence is None:
        # Each request's bytes on the wire, and no second copy of the inputs: real inputs can be many and large.
        return [peer.on_the_wire(peer.encode(arrays)) for arrays in plan.inputs.requests]

    def pace(step: int) -> None:
        if scale is not None:
            with suppress(OSError):  # the request itself fails if the server is gone
                scale.pace_step(step)

    return lambda clients: SequenceRequests(
        sequence,
        peer,
        clients=clients,
        is_whole=sequence.is_whole and plan.whole_sequences,
        prepare=pace,
    )


@contextmanager
def _heating(board: Board, into: Measurement) -> Iterator[None]:
    """Throttle a scaled board once it has been under load for as long as its profile says."""
    scale, after_s = board.scale, board.full_speed_s
    if scale is None or after_s is None:
        yield
        return

    def heat() -> None:
        with suppress(OSError, EdgesimError):  # the load itself reports a board that is gone
            scale.heat()
            into.heated_ns = time.monotonic_ns()

    timer = threading.Timer(after_s, heat)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def compare_answers(peer: Peer, first: client.Answer, plan: SessionPlan) -> Comparison | None:
    """Compare the answers to all labelled inputs together, or to the first request if there are no labels.

    Labelled inputs are one batch where the model takes them so, else a few requests.

    Returns None if the board does not answer, or nothing is there to compare with.
    """
    if (model := plan.reference) is None:
        return None
    if (sequence := plan.inputs.sequence) is not None:
        return _compare_sequence(peer, sequence, model)
    labelled = plan.inputs.labelled[:_MOST_LABELLED_REQUESTS]
    requests = [one.arrays for one in labelled] or [plan.inputs.requests[0]]
    answers = [peer.infer(peer.encode(arrays)) for arrays in requests] if labelled else [first]
    if any(answer.outcome != "ok" for answer in answers):
        return None

    def reference() -> Outputs:
        return joined([model.run(arrays) for arrays in requests])

    compared = compare(
        joined([peer.decode(answer.payload) for answer in answers]),
        reference(),
        np.concatenate([one.labels for one in labelled]) if labelled else None,
        samples=samples_in(plan.model, requests[0]),
        again=reference,
        matcher=plan.matcher,
    )
    return replace(compared, reference=model.release, other_release=model.other_release)


def _compare_sequence(peer: Peer, sequence: RequestSequence, reference: AnyReference) -> Comparison | None:
    """Compare the board's answers to the steps of a sequence; None if the board does not answer."""
    host = sequence_comparison.run_on_host(sequence, reference.run, compared_steps(sequence, _COMPARED_STEPS))
    try:
        board = sequence_comparison.ask_board(sequence, host, peer.answer)
    except client.RequestFailed:
        return None
    compared = compare_sequence(sequence, board, host, again=reference.run)
    return replace(compared, reference=reference.release, other_release=reference.other_release)


@contextmanager
def on_cores(cores: Sequence[int] | None) -> Iterator[None]:
    """Run this thread, and the threads it starts within the block, on `cores` alone; None means any core."""
    if cores is None:
        yield
        return
    before = affinity()
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
