"""What a campaign does to the things that edgesim needs: its containers, the engine, disks, memory and the clock."""

import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.endurance import attempts
from benchmarks.endurance.attempts import Attempt, Running
from benchmarks.endurance.lab import Lab
from benchmarks.endurance.victims import VICTIMS, Victim

_HOST_LACKS = 3
_AN_HOUR_S = 3600
_LITTLE_MEMORY_BYTES = 150 << 20  # less than a run with its models and arrays takes
_PLAIN = VICTIMS[0]
_IN_CONTAINERS = tuple(victim for victim in VICTIMS if victim.in_container)
# Read at the start of each Python by the module `site`: the clock goes back once, some seconds after the start.
_CLOCK = f"""import time as _t
_begin, _time, _time_ns = _t.monotonic(), _t.time, _t.time_ns
def _back():
    return {_AN_HOUR_S} if _t.monotonic() - _begin > 2 else 0
_t.time = lambda: _time() - _back()
_t.time_ns = lambda: _time_ns() - _back() * 10**9
"""


def random_one(lab: Lab, seconds: dict[str, float], moments: random.Random) -> Attempt:
    """Do one harm of all kinds, to one of the commands that it can concern."""
    kind = moments.choice(
        ("container", "container", "shim", "engine", "disk of results", "disk of temporary files", "memory", "clock")
    )
    victim = moments.choice(_IN_CONTAINERS)
    after_s = moments.uniform(0.0, seconds[victim.name])
    if kind in ("container", "shim"):
        name, find = (
            ("SIGKILL of the container", attempts.containers)
            if kind == "container"
            else ("SIGKILL of containerd's shim", attempts.shims)
        )
        return attempts.kill_process_below(lab, victim, moments, kind=name, find=find)
    if kind == "engine":
        return attempts.during(lab, victim, "restart of the engine", lambda _: _restart(lab), after_s=after_s)
    if kind == "disk of results":
        return _without_space(lab, "results", moments)
    if kind == "disk of temporary files":
        return _without_space(lab, "temporary files", moments)
    if kind == "memory":
        return _without_memory(lab, moments.choice(VICTIMS))
    return _with_clock_set_back(lab, moments.choice(VICTIMS))


def _restart(lab: Lab) -> None:
    lab.engine.stop()
    lab.engine.start()


def _without_space(lab: Lab, what: str, moments: random.Random) -> Attempt:
    """Run with a disk that has no byte left for results, or for temporary files."""
    place = lab.directory.parent / "full"
    place.mkdir(exist_ok=True)
    kind = f"a full disk of {what}"
    with _full_disk(place):
        if what == "results":
            plain = replace(_PLAIN, words=(*_PLAIN.words[:-3], "full.json", *_PLAIN.words[-2:]))
            words = tuple(str(place / word) if word == "full.json" else word for word in plain.words)
            return attempts.during(lab, replace(plain, words=words), kind, lambda _: None, codes={_HOST_LACKS})
        return attempts.during(lab, moments.choice(VICTIMS), kind, lambda _: None, environment={"TMPDIR": str(place)})


@contextmanager
def _full_disk(place: Path) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], check=True)
    try:
        with (place / "ballast").open("wb") as file:
            try:
                file.write(bytes(1 << 20))
                file.flush()
            except OSError:
                pass  # as full as it gets
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _without_memory(lab: Lab, victim: Victim) -> Attempt:
    """Run in a control group with less memory than edgesim takes, so that the kernel kills one of its processes."""
    version_1 = Path("/sys/fs/cgroup/memory")
    group = (version_1 if version_1.is_dir() else Path("/sys/fs/cgroup")) / lab.engine.namespace
    limit = "memory.limit_in_bytes" if version_1.is_dir() else "memory.max"
    group.mkdir()
    (group / limit).write_text(str(_LITTLE_MEMORY_BYTES))

    def confine(running: Running) -> None:
        (group / "cgroup.procs").write_text(str(running.process.pid))

    try:
        return attempts.during(lab, victim, "too little memory for edgesim", confine)
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            (group.parent / "cgroup.procs").write_text(pid)
        group.rmdir()


def _with_clock_set_back(lab: Lab, victim: Victim) -> Attempt:
    """Run while edgesim's clock goes back by an hour: the result is as with any other clock."""
    place = lab.directory.parent / "clock"
    place.mkdir(exist_ok=True)
    (place / "sitecustomize.py").write_text(_CLOCK)
    path = ":".join([str(place), lab.environment.get("PYTHONPATH", "")]).rstrip(":")
    codes = {*victim.codes, *((143, 130, -15) if victim.until else ())}
    return attempts.during(
        lab, victim, "the clock set back an hour", lambda _: None, environment={"PYTHONPATH": path}, codes=codes
    )
