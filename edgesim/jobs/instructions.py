"""The instructions of a board that is up: its start, the load of its model, and single inferences."""

from collections.abc import Mapping
from contextlib import closing

from edgesim.boards.board import Board
from edgesim.counting.counter import Counter, between
from edgesim.counting.counts import Counts, InstructionCount
from edgesim.jobs.session_plan import SessionPlan
from edgesim.progress import Stages

# How many inferences are counted. Whether a request is small goes by its instructions: by its time, a busy host would
# count others than an idle one.
_TINY, _SMALL, _LARGE = 2_000_000, 20_000_000, 500_000_000
_FEW, _MANY = 5, 9
# The memory allocator takes some hundred instructions more or fewer by what it has free, which is one percent of a tiny
# model's inference. So there are more inferences of it, by requests that follow each other at once.
_MORE_OF_TINY = 52
# Python's interpreter takes fewer instructions once it has specialised its byte code (PEP 659), which shows beside a
# small model.
_WARM_UP = 12


def count(board: Board, counter: Counter, plan: SessionPlan, stages: Stages) -> InstructionCount:
    """Count the instructions of inferences with the first request's inputs, one at a time.

    The board has answered before, so that memory is mapped and caches are filled.

    Raises:
        EmulatorCrashed: the emulator does not answer. OSError: the server does not.
    """
    requests: list[Mapping[int, Counts]] = []
    with (
        stages.stage("count", "counting the instructions of single inferences"),
        closing(board.endpoint.peer(plan.model, timeout_s=plan.timeout_s)) as peer,
    ):
        payload = peer.encode(plan.inputs.requests[0])

        def request() -> Mapping[int, Counts] | None:
            """Send one request; return its instructions by thread, None if it was not answered."""
            before = counter.when_idle()
            answered = peer.infer(payload).outcome == "ok"
            after = counter.when_idle()
            return {each: after[each] - before.get(each, Counts()) for each in after} if answered else None

        if (first := request()) is not None:
            size = _total(first).instructions
            for _ in range(_WARM_UP if size < _SMALL else 0):
                request()
            first_mark = len(counter.marks())
            counted = (request() for _ in range(_FEW if size > _LARGE else _MANY))
            requests = [each for each in counted if each is not None]
            for _ in range(_MORE_OF_TINY if size < _TINY else 0):
                peer.infer(payload)
        marks = counter.marks()
    several = board.intra_op_threads > 1
    loads = between(marks, "load begins", "load ends", of_all_threads=True)
    return InstructionCount(
        inferences=between(marks[first_mark:], "inference begins", "inference ends", of_all_threads=several)
        if requests
        else (),
        requests=[_total(each) for each in requests],
        load=loads[0] if loads else None,
        start=next((mark.all for mark in marks if mark.kind == "load begins"), None),
        threads={each: counts.instructions for each, counts in requests[-1].items() if counts.instructions}
        if requests
        else {},
        emulator=board.host.emulator or "",
    )


def _total(by_thread: Mapping[int, Counts]) -> Counts:
    return sum(by_thread.values(), Counts())
