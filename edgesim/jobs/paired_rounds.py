"""The rounds of a paired run: fresh boards for both sides, and their turns within a round."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Literal

from edgesim.boards.board import DESCRIPTION, Board
from edgesim.boards.launch import Launch
from edgesim.boards.scaling_targets import PredictedTimes
from edgesim.boards.start import start
from edgesim.errors import DeviceError, HostTooSlow
from edgesim.host.priority import real_time_priority
from edgesim.jobs.board_session import compare_answers, requests_of
from edgesim.jobs.load_session import LoadMeter, LoadSession, Sent
from edgesim.jobs.measurement import Measurement
from edgesim.jobs.result_builder import ResultBuilder
from edgesim.jobs.session_plan import SessionPlan
from edgesim.loadgen import client, generator
from edgesim.loadgen.endpoint import LoadTransport, Peer
from edgesim.measure.output_difference import Outputs
from edgesim.measure.steady_state import WarmUp
from edgesim.models.repository import Model
from edgesim.progress import Stages, Tally
from edgesim.recording import Phase, Sample

# A turn is so short that the host's load hardly changes before the other side's turn.
_TURN_S = 0.004
# Load of one side in one round: long enough that containers scatter more than their requests do.
_SIDE_S = 0.2
_FEWEST_BLOCKS, _MOST_BLOCKS = 2, 25
_WARM_UP_S, _WARM_UP_LEAST, _WARM_UP_MOST = 0.05, 2, 50

SideName = Literal["base", "candidate"]


@dataclass(kw_only=True)
class Side:
    """One of the two models or releases: how its boards are started, and what was measured on them.

    Attributes:
        answer: to the first request of the first round; None before it.
    """

    name: SideName
    model: Model
    launch: Launch
    plan: SessionPlan
    builder: ResultBuilder
    times: PredictedTimes
    answer: Outputs | None = None

    def __str__(self) -> str:
        release = self.launch.options.runtime
        return f"{self.name} (ONNX Runtime {release})" if release is not None else self.name


@dataclass(kw_only=True)
class Turns:
    """How a round is divided: blocks of four turns, and requests in each turn."""

    blocks: int
    requests: int
    warm_up: int

    @classmethod
    def of(cls, request_s: float, needed: int) -> "Turns":
        """Choose by the time of a request, and by the requests that a side needs for its percentiles to be known."""
        each = max(round(_TURN_S / request_s), 1)
        blocks = min(max(round(_SIDE_S / (2 * each * request_s)), _FEWEST_BLOCKS), _MOST_BLOCKS)
        each = max(each, -(-needed // (2 * blocks)))
        return cls(blocks=blocks, requests=each, warm_up=_warm_up_requests(request_s))


@dataclass
class Seat:
    """One side's board in one round."""

    side: Side
    board: Board
    measurement: Measurement
    peer: Peer
    session: LoadSession | None = None
    first: client.Answer | None = None

    def read(self) -> None:
        """Append a reading of the board's resources."""
        self.measurement.readings.append(self.board.device.read())

    def is_alive(self) -> bool:
        """Return whether the board still runs."""
        return self.board.device.state().running


@dataclass(kw_only=True)
class Rounds:
    """The rounds so far.

    Attributes:
        needed: requests that each side needs in a round.
        most: the most rounds.
        all_rounds: whether all of them will run.
        failed: whether a request failed: more rounds would then show nothing.
    """

    sides: tuple[Side, Side]
    stages: Stages
    needed: int
    most: int
    all_rounds: bool = False
    done: int = 0
    failed: bool = False
    turns: Turns | None = None

    def __post_init__(self) -> None:
        self._tally = Tally(self.most, "rounds", fewer_if="" if self.all_rounds else "the rules are decided")

    def prime(self) -> None:
        """Start a board of each image once and take it down.

        The first container of an image reads pages from this host's disk: they count as its memory, and reading them
        as part of its start. Without this, that would fall on one side alone.
        """
        base, candidate = self.sides
        same_image = base.launch.options.runtime == candidate.launch.options.runtime
        for side in self.sides[: 1 if same_image else 2]:
            doing = "starting a board once to fill this host's page cache"
            with self.stages.stage("rounds", doing), self._board(side):
                pass

    def round(self) -> None:
        """Start fresh boards and let them take turns; the side that goes first goes second in the next round."""
        order = self.sides if self.done % 2 == 0 else self.sides[::-1]
        doing = f"round {self.done + 1}, a fresh board for each side"
        if not self.done:
            self._tally.begin()
        with self.stages.stage("rounds", doing, self._tally.progress), ExitStack() as stack:
            seats = [stack.enter_context(self._seat(side)) for side in order]
            for seat in seats:
                self._warm_up(seat)
            if not self.failed:
                self._take_turns(seats)
            for seat in seats:
                self._finish(seat)
        self.done += 1
        self._tally.add()
        self._tally.announce(self.stages)

    @contextmanager
    def _board(self, side: Side) -> Iterator[Board]:
        with ExitStack() as stack:
            try:
                board = stack.enter_context(start(side.launch, _quiet(self.stages)))
            except (DeviceError, HostTooSlow) as error:
                error.problem = f"the {side}: {error.problem}"
                raise
            if board.scale is not None and side.launch.previous_scaling is None:
                side.launch = replace(side.launch, previous_scaling=board.scale.record())
            yield board

    @contextmanager
    def _seat(self, side: Side) -> Iterator[Seat]:
        with self._board(side) as board:
            measurement = side.builder.add(board, side.plan)
            peer = board.endpoint.peer(side.model, timeout_s=side.plan.timeout_s)
            with closing(peer):
                yield Seat(side=side, board=board, measurement=measurement, peer=peer)

    def _warm_up(self, seat: Seat) -> None:
        """Send the first inference, and a few more until caches and threads have settled."""
        measurement, plan = seat.measurement, seat.side.plan
        measurement.description = seat.peer.get_json(DESCRIPTION)
        begun = time.monotonic_ns()
        seat.first = seat.peer.infer(seat.peer.encode(plan.inputs.requests[0]))
        done = time.monotonic_ns()
        if seat.first.outcome != "ok":
            self._fail(seat, Sample(begun, begun, done, seat.first.outcome))
            return
        measurement.first_inference_s = (done - begun) / 1e9
        seat.session = LoadSession(
            seat.board.endpoint,
            requests_of(plan, seat.peer, seat.board.scale),
            timeout_s=plan.timeout_s,
            is_alive=seat.is_alive,
        )
        times: list[float] = []
        count = self.turns.warm_up if self.turns is not None else _WARM_UP_MOST
        until = time.monotonic() + _WARM_UP_S
        while len(times) < count and (
            self.turns is not None or len(times) < _WARM_UP_LEAST or time.monotonic() < until
        ):
            begun = time.monotonic_ns()
            answer = seat.peer.infer(seat.peer.encode(plan.inputs.requests[0]))
            done = time.monotonic_ns()
            if answer.outcome != "ok":
                self._fail(seat, Sample(begun, begun, done, answer.outcome))
                return
            times.append((done - begun) / 1e9)
        measurement.warm_up = WarmUp(requests=len(times), rule=f"{len(times)} requests to a fresh server")
        if self.turns is None:
            self.turns = Turns.of(min(times), self.needed)

    def _fail(self, seat: Seat, sample: Sample) -> None:
        seat.measurement.samples.append(sample)
        self.failed = True

    def _take_turns(self, seats: Sequence[Seat]) -> None:
        """Take turns in blocks of first, second, second, first: a steady drift of the host affects both sides alike."""
        assert self.turns is not None, "the warm-up has chosen them"
        for seat in seats:
            seat.read()
        meter, begin_ns = LoadMeter(), time.monotonic_ns()
        with ExitStack() as stack:
            real_time = stack.enter_context(real_time_priority())
            stack.enter_context(generator.no_garbage_collection())
            lines: list[tuple[Seat, LoadSession, LoadTransport]] = []
            for seat in seats:
                assert seat.session is not None, "the warm-up has made it"
                transport = seat.session.connect(1, seat.measurement.samples)
                if transport is None:
                    self.failed = True
                    return
                lines.append((seat, seat.session, stack.enter_context(transport)))
            for _ in range(self.turns.blocks):
                for turn in (0, 1, 1, 0):
                    seat, session, transport = lines[turn]
                    samples = seat.measurement.samples
                    session.take_turn(transport, self.turns.requests, samples)
                    self.failed = self.failed or not all(sample.ok for sample in samples[-self.turns.requests :])
                if self.failed:
                    break
        meter.stop()
        end_ns = time.monotonic_ns()
        for seat in seats:
            seat.read()
        used = [_cpu_seconds(seat.measurement) for seat in seats]
        # The CPU time of boards on another machine is no part of this host's load.
        on_this_host = None not in used and seats[0].board.host.context is None
        load = meter.host_load(sum(seconds for seconds in used if seconds is not None) if on_this_host else None)
        for seat in seats:
            seat.measurement.phases.append(Phase("load", begin_ns, end_ns))
            seat.measurement.host_loads.append(load)
            seat.measurement.stopped_s = seat.session.stopped_s if seat.session is not None else 0.0
            sent = Sent(connections=1, real_time=real_time)
            seat.measurement.generator = meter.generator_use(len(seat.measurement.samples), sent, sides=2)

    def _finish(self, seat: Seat) -> None:
        """Compare the answers and check the scaled times after the turns.

        Raises:
            DeviceError: the board has died.
        """
        state = seat.board.device.state()
        seat.measurement.alive, seat.measurement.paused_s = state.running, seat.board.device.paused_s()
        if not state.running:
            raise seat.board.death(state, f"measuring the {seat.side.name}")
        if self.failed or seat.first is None:
            return
        if self.done == 0:
            seat.side.answer = seat.peer.decode(seat.first.payload)
            seat.measurement.agreement = compare_answers(seat.peer, seat.first, seat.side.plan)
        if seat.board.scale is not None:
            with suppress(OSError):
                seat.board.scale.check()
            seat.measurement.scaling = seat.board.scale.record()


def _warm_up_requests(request_s: float) -> int:
    return min(max(round(_WARM_UP_S / request_s), _WARM_UP_LEAST), _WARM_UP_MOST)


def _cpu_seconds(measurement: Measurement) -> float | None:
    seconds = [reading.cpu_seconds for reading in measurement.readings[-2:]]
    if len(seconds) < 2 or seconds[0] is None or seconds[1] is None:
        return None
    return seconds[1] - seconds[0]


def _quiet(stages: Stages) -> Stages:
    """Return stages that report nothing, since a board starts twice a round, but add up the same seconds."""
    quiet = Stages()
    quiet.seconds = stages.seconds
    return quiet
