"""One attempt: start a command, do something to it at a moment, and look for what is left of it."""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.endurance.lab import Lab
from benchmarks.endurance.victims import Victim

_PATIENCE_S = 240.0
_NOTICED_S = 8.0  # within which processes whose parent is gone are gone, too
_TRIES = 4
_SERVED_S = 1.5  # for how long a command that goes on is left in peace once it is ready
_STAGE = re.compile(r"^edgesim: ([\w .-]+): [\d.]+ m?s$", re.MULTILINE)
_OWN_FAULT = 70


@dataclass
class Attempt:
    """What an attempt showed.

    Attributes:
        stage: the last stage that the command had come to the end of; ``start`` before the first.
        orphans: what was left of the command, until the garbage was collected.
        faults: what is wrong with it, a line each; empty if all is well.
    """

    victim: Victim
    kind: str
    stage: str = "start"
    orphans: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)


@dataclass
class Running:
    """A command that runs; `log` has what it says on either stream."""

    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def said(self) -> str:
        """What the command has said so far."""
        return self.log.read_text(errors="replace")

    def wait(self, seconds: float, *, until: str = "") -> bool:
        """Wait until the command has ended or said `until`; return whether one of both is so."""
        end = time.monotonic() + seconds
        while self.process.poll() is None and not (until and until in self.said):
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True


@contextmanager
def started(lab: Lab, victim: Victim, environment: dict[str, str] | None = None) -> Iterator[Running]:
    """Start a command; end it in any case."""
    log = lab.directory.parent / "said"
    command = [sys.executable, "-m", "edgesim.cli", *victim.words]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=lab.directory,
            env=lab.environment | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        yield Running(process, log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def forget_results(lab: Lab) -> None:
    """Remove the results of earlier attempts, with which a sweep would have nothing to do."""
    for path in (*lab.directory.glob("*.json"), *lab.directory.glob("sweep/**/*.json")):
        if path.name != "body.json":
            path.unlink()


def kill_at_a_moment(lab: Lab, victim: Victim, seconds: dict[str, float], moments: random.Random) -> Attempt:
    """End a command by SIGKILL at a random moment of its run.

    Args:
        seconds: how long each command runs if nobody ends it; a quicker command is noted there, and begun anew.
    """
    attempt = Attempt(victim, "SIGKILL of edgesim")
    with _judged(lab, attempt):
        for _ in range(_TRIES):
            begin_s = time.monotonic()
            with started(lab, victim) as running:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    running.process.wait(timeout=moments.uniform(0.0, seconds[victim.name]))
                was_quicker = running.process.poll() is not None
                running.process.kill()
                running.process.wait()
                _note(attempt, running)
            if not was_quicker:
                break
            seconds[victim.name] = time.monotonic() - begin_s
            if running.process.returncode not in victim.codes:
                attempt.faults.append(f"exit code {running.process.returncode}: {running.said[-300:]}")
    return attempt


def kill_process_below(
    lab: Lab, victim: Victim, moments: random.Random, *, kind: str, find: Callable[[Lab], list[int]]
) -> Attempt:
    """End by SIGKILL a process that the command depends on; the command has to end by itself, and to say so."""
    attempt = Attempt(victim, kind)
    with _judged(lab, attempt), started(lab, victim) as running:
        while not (pids := find(lab)) and running.process.poll() is None:
            time.sleep(0.02)
        time.sleep(moments.uniform(0.0, 1.0))
        for pid in pids or find(lab):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _end(attempt, running)
    return attempt


def during(
    lab: Lab,
    victim: Victim,
    kind: str,
    harm: Callable[["Running"], object],
    *,
    after_s: float = 0.0,
    environment: dict[str, str] | None = None,
    codes: Collection[int] = (),
) -> Attempt:
    """Do harm to the command's surroundings at a moment of its run; the command has to end by itself.

    Args:
        codes: the exit codes with which it may end; empty means any but that of an own fault.
    """
    attempt = Attempt(victim, kind)
    with _judged(lab, attempt), started(lab, victim, environment) as running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.process.wait(timeout=after_s)
        harm(running)
        _end(attempt, running)
        if codes and running.process.returncode not in codes:
            attempt.faults.append(f"exit code {running.process.returncode}: {running.said[-300:]}")
    return attempt


def containers(lab: Lab) -> list[int]:
    """Return the first processes of the containers that commands of this campaign have started."""
    names = lab.engine.docker("ps", "--quiet", "--filter", "label=edgesim.session").split()
    if not names:
        return []
    with contextlib.suppress(AssertionError):  # gone meanwhile
        return [int(pid) for pid in lab.engine.docker("inspect", "--format", "{{.State.Pid}}", *names).split()]
    return []


def shims(lab: Lab) -> list[int]:
    """Return containerd's processes above those containers."""
    return [psutil.Process(pid).ppid() for pid in containers(lab) if psutil.pid_exists(pid)]


def _end(attempt: Attempt, running: Running) -> None:
    """Wait until the command has ended by itself, and judge how it ended."""
    victim = attempt.victim
    if victim.until and running.wait(_PATIENCE_S, until=victim.until) and running.process.poll() is None:
        time.sleep(_SERVED_S)
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGTERM)
    if not running.wait(_PATIENCE_S):
        attempt.faults.append(f"does not end within {_PATIENCE_S:.0f} s: {running.said[-300:]}")
        return
    _note(attempt, running)
    if running.process.returncode == _OWN_FAULT or "Traceback" in running.said:
        attempt.faults.append(f"takes it for a fault of its own: {running.said[-600:]}")


def _note(attempt: Attempt, running: Running) -> None:
    attempt.stage = (_STAGE.findall(running.said) or ["start"])[-1]
    if running.process.returncode == 0 and not attempt.victim.until:
        attempt.stage = "end"


@contextmanager
def _judged(lab: Lab, attempt: Attempt) -> Iterator[None]:
    """Look for what the attempt has left, have the garbage collected, and look again."""
    forget_results(lab)
    before = lab.things()
    yield
    until = time.monotonic() + _NOTICED_S
    while (living := lab.processes()) and time.monotonic() < until:
        time.sleep(0.05)
    attempt.faults += [f"still runs after {_NOTICED_S:.0f} s: {name}" for name in living]
    attempt.orphans = _unexpected(lab.things() - before)
    collect = [sys.executable, "-m", "edgesim.cli", "gc"]
    done = subprocess.run(
        collect, cwd=lab.directory, env=lab.environment, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode != 0:
        attempt.faults.append(f"gc: exit code {done.returncode}: {done.stderr[-300:]}")
    left = _unexpected(lab.things() - before)
    attempt.faults += [f"left after gc: {name}" for name in sorted(left)]
    attempt.faults += [f"a result that was told as kept: {problem}" for problem in lab.results()]
    attempt.faults += [f"removed, and of others: {name}" for name in sorted(lab.lost())]


def _unexpected(things: set[str]) -> set[str]:
    """Return the things that nobody asked to keep: a volume of a model and an image stay for the next run."""
    kept = ("image edgesim/", "volume edgesim-")
    return {thing for thing in things if not thing.startswith(kept)}
