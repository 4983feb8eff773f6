"""What edgesim does on a machine of its own, and what stays of it after SIGKILL: for systemd and control groups v2.

``python -m benchmarks.bare_machine [STEP ...]``, as root, on a Debian 12 that nobody else uses, after ``scripts/engine
install`` and ``scripts/engine start``. It runs boards, gates and a stack, kills edgesim in the middle of each, and
looks for what is left after ``edgesim gc``. Objects of other programs with similar names must stay.
"""

import json
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

CGROUPS = Path("/sys/fs/cgroup")
BOARD = "x86-gateway" if platform.machine() == "x86_64" else "jetson-nano"
# A board on which the digits take longer than on the slowest host, so that any host can be slowed down to it.
SLOW = """extends: jetson-nano
name: slow
title: A board of 3 MHz
cpu: {clock_hz: 3000000}
"""
STACK = f"""name: two
profile: {BOARD}
entry: {{service: first, request: {{path: /v2/models/digits/infer, body: body.json}}}}
services:
  first: {{models: [digits], memory: 512 MiB}}
  second: {{models: [digits], memory: 512 MiB, cpus: 1}}
"""
# Of a machine in emulation, on which a server takes a minute to start.
READY_S = 900


@dataclass
class Trial:
    """The steps so far.

    Attributes:
        directory: the working directory of each command.
        faults: what went wrong, a line each.
    """

    directory: Path
    faults: list[str] = field(default_factory=list)

    def run(self, *words: str, expected: Sequence[int] = (0,)) -> str:
        """Run edgesim to its end, print the exit code and the last line, and return standard output."""
        begun = time.monotonic()
        done = subprocess.run(_command(words), cwd=self.directory, capture_output=True, text=True, check=False)
        self._print(words, f"exit code {done.returncode}, {time.monotonic() - begun:.0f} s")
        if done.returncode not in expected:
            self.faults.append(f"{' '.join(words)}: exit code {done.returncode}")
            print(*(f"  {line}" for line in (done.stdout + done.stderr).splitlines()[-8:]), sep="\n")
        return done.stdout

    def kill(self, *words: str, when: str, made: Callable[[], set[str]]) -> None:
        """Start edgesim, end it by SIGKILL once it says `when`, collect the garbage, and look for what is left."""
        before = made()
        with _started(words, self.directory) as (process, said):
            _wait(lambda: when in said.read_text() or process.poll() is not None, READY_S)
            if process.poll() is not None:
                self.faults.append(f"{' '.join(words)}: ended by itself: {said.read_text()[-300:]}")
            process.kill()
            process.wait()
        orphans = made() - before
        removed = len(self.run("gc").splitlines())
        left = made() - before
        self._print((*words, f"(SIGKILL at {when!r})"), f"{len(orphans)} left, {removed} removed, {len(left)} stay")
        print(*(f"  {name}" for name in sorted(orphans)), sep="\n", flush=True)
        if left or not orphans:
            self.faults.append(f"SIGKILL of {words[0]}: {sorted(left) or 'killed too late: nothing was there'}")

    def _print(self, words: Sequence[str], finding: str) -> None:
        print(f"edgesim {' '.join(words)}: {finding}", flush=True)


def things() -> set[str]:
    """Return containers, networks, volumes, control groups, files and processes that look like edgesim's."""
    found = {f"process {p.pid}" for p in psutil.process_iter(["cmdline"]) if "edgesim.cli" in (p.info["cmdline"] or ())}
    for kind, name in (("container", "{{.Names}}"), ("network", "{{.Name}}"), ("volume", "{{.Name}}")):
        listed = _docker(kind, "ls", *(["--all"] if kind == "container" else []), "--format", name)
        found |= {f"{kind} {each}" for each in listed.split() if "edgesim" in each}
    found |= {f"control group {path.relative_to(CGROUPS)}" for path in CGROUPS.rglob("*edgesim*") if path.is_dir()}
    return found | {f"file {path}" for path in Path(tempfile.gettempdir()).glob("edgesim-*")}


@contextmanager
def look_alikes() -> Iterator[None]:
    """Make what another program could have made, and remove it at the end.

    Raises:
        RuntimeError: something of it did not stay.
    """
    image = _docker("image", "ls", "--quiet", "--filter", "reference=edgesim/jetson").split()[0]
    sleep = ["--entrypoint", "python3.11", image, "-c", "import time; time.sleep(1e6)"]
    _docker("run", "--detach", "--name", "not-edgesim-1", *sleep)
    _docker("network", "create", "edgesim-of-others")
    _docker("volume", "create", "edgesim-of-others")
    group = CGROUPS / (
        "edgesim_of_others.slice" if (CGROUPS / "cgroup.controllers").exists() else "memory/edgesim_others"
    )
    group.mkdir()
    file = Path(tempfile.gettempdir()) / "edgesim-of-others"
    file.touch()
    others = ("not-edgesim-1", "edgesim-of-others", group.name)
    made = {thing for thing in things() if thing.rpartition(" ")[2].rpartition("/")[2] in others}
    try:
        yield
        if lost := made - things():
            raise RuntimeError(f"edgesim removed what is not its own: {sorted(lost)}")
        print(f"of others, untouched: {', '.join(sorted(made))}")
    finally:
        _docker("rm", "--force", "not-edgesim-1")
        _docker("network", "rm", "edgesim-of-others")
        _docker("volume", "rm", "edgesim-of-others")
        group.rmdir()
        file.unlink(missing_ok=True)


def boards(trial: Trial) -> None:
    """Run and judge boards, as they are and slowed down."""
    trial.run("doctor", "--probe", BOARD)
    ready = ("--ready-timeout", str(READY_S))
    trial.run("run", BOARD, "digits", "--requests", "20", *ready, "-o", "r.json", expected=(0, 5))
    trial.run("run", "slow.yaml", "digits", "--execution", "scaled", *ready, "-o", "slow.json", expected=(0, 5))
    for name in ("r.json", "slow.json"):
        trial.run("gate", name, "--rule", "memory_peak_bytes <= 1 GiB", expected=(0, 5, 6))
    trial.run("gate", "r.json", "--rule", "memory_peak_bytes <= 1 MiB", expected=(1, 5))


def pairs(trial: Trial) -> None:
    """Compare a model with itself in turns."""
    rules = ("--rule", "memory_peak_bytes: +50 %")
    trial.run("gate", BOARD, "--base", "digits", "--cand", "digits", *rules, expected=(0, 5, 6))


def stacks(trial: Trial) -> None:
    """Bring a stack with a budget up, send requests to it, and take it down."""
    before = things()
    trial.run("up", "stack.yaml", "--ready-timeout", str(READY_S))
    limits = [f"{path.parent.name} {path.read_text().strip()}" for path in CGROUPS.rglob("edgesim-two*/memory.max")]
    print(f"  the stack's memory limit: {', '.join(limits) or 'no control group of version 2'}")
    trial.run("run", "stack.yaml", "--requests", "5", "-o", "s.json", expected=(0, 5))
    trial.run("down", "two")
    if left := things() - before:
        trial.faults.append(f"down: {sorted(left)}")


def kills(trial: Trial) -> None:
    """Kill edgesim in the middle of whatever starts containers; a server that is alive goes on."""
    with look_alikes(), _started(("serve", BOARD), trial.directory) as (alive, said):
        _wait(lambda: "http://" in said.read_text(), READY_S)
        trial.kill("serve", BOARD, when="http://", made=things)
        trial.kill("run", BOARD, "digits", "--requests", "100000", when="waiting for the server", made=things)
        trial.kill("up", "stack.yaml", "--attach", when="first: ready", made=things)
        trial.kill("run", "stack.yaml", "--requests", "100000", when="starting first", made=things)
        trial.kill("run", "stack.yaml", "--requests", "100000", when="single-stream", made=things)
        print(f"edgesim serve {BOARD}, alive all the time: {'still' if alive.poll() is None else 'no longer'} there")
        if alive.poll() is not None:
            trial.faults.append("a living server did not stay")
        alive.send_signal(signal.SIGTERM)
        alive.wait(timeout=120)


STEPS: dict[str, Callable[[Trial], None]] = {"boards": boards, "pairs": pairs, "stacks": stacks, "kills": kills}


def _command(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "edgesim.cli", *words]


@contextmanager
def _started(words: Sequence[str], directory: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Start edgesim; yield the process, and the file with what it says."""
    with tempfile.NamedTemporaryFile(prefix="said-") as said:
        process = subprocess.Popen(_command(words), cwd=directory, stdout=said, stderr=said, start_new_session=True)
        try:
            yield process, Path(said.name)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=120)


def _wait(until: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            raise TimeoutError(f"nothing happened within {seconds:.0f} s")
        time.sleep(0.2)


def _docker(*words: str) -> str:
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout


def main() -> None:
    names = sys.argv[1:] or list(STEPS)
    version = 2 if (CGROUPS / "cgroup.controllers").exists() else 1
    engine = _docker("info", "--format", "Docker {{.ServerVersion}}, control groups by {{.CgroupDriver}}").strip()
    print(f"{platform.machine()}, kernel {platform.release()}, control groups v{version}, {engine}")
    with tempfile.TemporaryDirectory(prefix="bare-machine-") as directory:
        trial = Trial(Path(directory))
        (trial.directory / "slow.yaml").write_text(SLOW)
        (trial.directory / "stack.yaml").write_text(STACK)
        x = np.zeros((1, 8, 8), np.float32)
        tensor = {"name": "image", "datatype": "FP32", "shape": x.shape, "data": x.ravel().tolist()}
        (trial.directory / "body.json").write_text(json.dumps({"inputs": [tensor]}))
        for name in names:
            STEPS[name](trial)
    print(*(f"FAULT {fault}" for fault in trial.faults), f"{len(trial.faults)} faults", sep="\n")
    sys.exit(1 if trial.faults else 0)


if __name__ == "__main__":
    main()
