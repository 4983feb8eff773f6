"""The resources' ruler: containers that burn and take exactly so much, and must be seen to."""

import time
from collections.abc import Callable

import pytest

from edgesim.engine.docker_engine import Engine
from edgesim.host.cgroup import Cgroup
from edgesim.recording import Reading
from tests.integration.ruler_image import FRAME, container, wait_for, work

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("nothing_left_behind")]

BURN = "begun = time.process_time()\nwhile time.process_time() - begun < {seconds}: pass"
TAKE = "taken = b'x' * {size}"
MIB = 1 << 20


@pytest.fixture(params=["control group", "engine"])
def _source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read from the control group's files, and from the engine as where those are on another machine."""
    if request.param == "engine":
        monkeypatch.setattr(Cgroup, "of_process", lambda pid: None)


def used(script: str, figure: Callable[[Reading], float | None], **limits: int) -> float:
    """What a figure went up by while the container worked."""
    started = container(FRAME.format(work=script), **limits)
    with Engine().start(started) as device:
        wait_for(device, "waiting")
        time.sleep(0.2)  # until it sleeps
        before = figure(device.read())
        work(started, device)
        after = figure(device.read())
    assert before is not None
    assert after is not None
    return after - before


@pytest.mark.timing
@pytest.mark.usefixtures("_source")
def test_two_seconds_of_cpu_time_are_two_seconds() -> None:
    assert used(BURN.format(seconds=2), lambda reading: reading.cpu_seconds) == pytest.approx(2, rel=0.02)


@pytest.mark.usefixtures("_source")
def test_a_hundred_mebibytes_are_a_hundred_mebibytes() -> None:
    taken = used(TAKE.format(size=100 * MIB), lambda reading: reading.memory_anon_bytes)
    assert taken == pytest.approx(100 * MIB, rel=0.02)


def test_what_was_given_back_is_still_in_the_peak() -> None:
    script = TAKE.format(size=100 * MIB) + "\ndel taken"
    assert used(script, lambda reading: reading.memory_peak_bytes) == pytest.approx(100 * MIB, rel=0.05)
    assert used(script, lambda reading: reading.memory_anon_bytes) < 5 * MIB


def test_a_file_s_pages_are_cache_and_no_process_s_memory() -> None:
    script = f"open('/tmp/f', 'wb').write(b'x' * {32 * MIB})"
    assert used(script, lambda reading: reading.memory_cache_bytes) == pytest.approx(32 * MIB, rel=0.05)
    assert used(script, lambda reading: reading.memory_anon_bytes) < 5 * MIB


def test_threads_and_processes_are_told_apart() -> None:
    script = "import threading, os\n[threading.Thread(target=time.sleep, args=[600]).start() for _ in range(7)]"
    assert used(script, lambda reading: reading.threads) == 7
    assert used(script, lambda reading: reading.processes) == 0


@pytest.mark.timing
def test_a_core_and_a_half_of_work_on_one_core_is_held_back() -> None:
    script = (
        "import os\nchild = os.fork()\nt = time.process_time()\nwhile time.process_time() - t < 1: pass\n"
        "if not child: os._exit(0)\nos.wait()"
    )
    assert used(script, lambda reading: reading.throttled_s) > 0.3
    assert used(script, lambda reading: reading.throttled_periods) > 30


def test_more_memory_than_the_limit_is_a_kill_and_told_as_one() -> None:
    script = f"import time\ntaken = b'x' * {200 * MIB}\ntime.sleep(60)"
    with Engine().start(container(script, memory_bytes=64 * MIB)) as device:
        until = time.monotonic() + 30
        while device.state().running and time.monotonic() < until:
            time.sleep(0.05)
        state = device.state()
    assert not state.running
    assert state.out_of_memory


def test_a_container_that_ends_at_once_with_3_is_told_with_its_code() -> None:
    with Engine().start(container("raise SystemExit(3)")) as device:
        until = time.monotonic() + 30
        while device.state().running and time.monotonic() < until:
            time.sleep(0.02)
        state = device.state()
    assert (state.running, state.exit_code, state.out_of_memory) == (False, 3, False)
