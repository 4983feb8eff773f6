"""The start of a scaled board: with one thread, or with all cores if one thread is too slow."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgesim import profiles
from edgesim.boards import start as starting
from edgesim.boards import time_scaling
from edgesim.boards.board import Board
from edgesim.boards.dial import Target
from edgesim.boards.launch import Launch
from edgesim.boards.limits import limits_of
from edgesim.boards.time_scaling import Scale, ScalingRecord
from edgesim.engine.engine_facts import EngineFacts
from edgesim.errors import HostTooSlow, LimitsDenied
from edgesim.host.host_facts import HostFacts
from edgesim.models.repository import Model
from edgesim.options import BoardOptions
from edgesim.progress import Stages
from tests.support.fake_device import FakeDevice

HOST = HostFacts(cpu="a test", cores=4, memory_bytes=8 << 30, kernel="Linux 6")
PREVIOUS = ScalingRecord(share=1.0, quota_us=1000, period_us=1000, threads=4, method="", models=())


class Host:
    """A host without an engine: the threads of each container that it started, and those that still run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, cores: int, too_slow: set[int]) -> None:
        self.started: list[int] = []
        self.running: list[int] = []
        self._limits = limits_of(profiles.load("jetson-nano"), host_cores=cores, host_memory_bytes=8 << 30)
        self._too_slow = too_slow
        monkeypatch.setattr(starting, "_prepare", lambda *_: self)
        monkeypatch.setattr(starting, "_start_container", self._start)
        monkeypatch.setattr(time_scaling, "tune", self._tune)

    limits = property(lambda self: self._limits)

    def _start(self, launch: Launch, _: Any, threads: int, __: Stages, stack: ExitStack) -> tuple[Board, FakeDevice]:
        stack.enter_context(self._container(threads))
        device = FakeDevice()
        board = Board(
            device=device,
            execution="scaled",
            host=HOST,
            cpus=self._limits.cpus,
            intra_op_threads=threads,
            shortfalls=(),
            models=launch.models,
            create_s=0.0,
            limits=self._limits,
        )
        return board, device

    @contextmanager
    def _container(self, threads: int) -> Iterator[None]:
        self.started.append(threads)
        self.running.append(threads)
        try:
            yield
        finally:
            self.running.remove(threads)

    def _tune(
        self, _: Any, targets: list[Target], *, threads: int, cores: float, by_pace: bool, previous: Any
    ) -> Scale:
        assert not by_pace, "the processor's time comes from its share"
        if threads in self._too_slow:
            raise HostTooSlow("too slow")
        return Scale(None, targets, threads=threads, cores=cores / 4)  # type: ignore[arg-type]


@pytest.fixture
def launch(digits: Model) -> Launch:
    return Launch.of(profiles.load("jetson-nano"), [digits], BoardOptions()).scaled_to([])


def test_one_thread_is_enough(monkeypatch: pytest.MonkeyPatch, launch: Launch) -> None:
    host = Host(monkeypatch, cores=4, too_slow=set())
    with starting.start(launch, Stages()) as board:
        assert (board.intra_op_threads, host.running) == (1, [1])
        assert board.scale is not None
        assert board.limits is not None
        assert board.cpus == board.limits.cpus == board.scale.quota.share == 1.0
    assert host.running == []


def test_all_cores_are_tried_if_one_thread_is_too_slow(monkeypatch: pytest.MonkeyPatch, launch: Launch) -> None:
    host = Host(monkeypatch, cores=4, too_slow={1})
    with starting.start(launch, Stages()) as board:
        assert board.intra_op_threads == 4
        assert (host.started, host.running) == ([1, 4], [4]), "the first container is gone"
    assert host.running == []


@pytest.mark.parametrize(("cores", "started"), [(4, [1, 4]), (1, [1])])
def test_host_that_is_too_slow_with_all_cores_is_an_error(
    monkeypatch: pytest.MonkeyPatch, launch: Launch, cores: int, started: list[int]
) -> None:
    host = Host(monkeypatch, cores=cores, too_slow={1, 4})
    with pytest.raises(HostTooSlow), starting.start(launch, Stages()):
        pytest.fail("the board started")
    assert (host.started, host.running) == (started, [])


def test_board_like_an_earlier_one_takes_its_threads(monkeypatch: pytest.MonkeyPatch, launch: Launch) -> None:
    host = Host(monkeypatch, cores=4, too_slow=set())
    with starting.start(replace(launch, previous_scaling=PREVIOUS), Stages()):
        assert host.started == [4]
    host.started.clear()
    with starting.start(replace(launch, previous_scaling=replace(PREVIOUS, threads=1)), Stages()):
        assert host.started == [1]


@pytest.mark.parametrize(("unlimited", "emulates"), [(("CPU", "cores"), True), (("memory", "swap", "CPU"), False)])
def test_engine_that_cannot_limit_cpu_time_is_told_what_it_can_do(unlimited: tuple[str, ...], emulates: bool) -> None:
    facts = EngineFacts("26.1", 2, 1 << 30, Path("/"), "amd64", "host", "6.1", rootless=True, cgroup_version="2")
    profile = profiles.load("jetson-nano")
    starting.require_cpu_limit(facts, profile)
    with pytest.raises(LimitsDenied) as caught:
        starting.require_cpu_limit(replace(facts, unlimited=unlimited), profile)
    assert ("`execution=emulated`" in caught.value.fix) == emulates
