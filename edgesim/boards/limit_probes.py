"""Whether the limits of a board hold on this host: a container for each goes as far as it is let, and a step on."""

import hashlib
import os
import platform
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import psutil

from edgesim import paths
from edgesim.boards.limits import Budget
from edgesim.engine.container import Container, DockerDevice
from edgesim.engine.docker_engine import Engine
from edgesim.engine.mounts import Mount
from edgesim.errors import EdgesimError
from edgesim.host import disks
from edgesim.progress import Stages
from edgesim.units import format_bytes

# Memory is taken in such steps.
_STEP_BYTES = 16 << 20
# What a probe of the memory leaves of this host.
_MOST_HOST_MEMORY = 0.7
_CPU_S = 4.0
_CPU_TOLERANCE = 0.03
# A count is tried up to here: each process of an emulated board takes an emulator's memory.
_MOST_PROCESSES = 64
_RATE_S = 3.0
_MOST_RATE_BYTES = 1 << 30
_NO_RATE = "not limited: the profile gives none, or there is no disk to limit"
# Within such a time: the kernel hands out a rate in pieces, and makes up for what was not used a moment ago.
_RATE_TOLERANCE = 0.1
_TIMEOUT_S = 180.0
_SILENCE_S = 20.0
_PORT = 8000
_ECHOES = 20

_TAKE = """
taken = []
while True:
    taken.append(b"x" * {step})
    print(len(taken), flush=True)
"""
_BURN = """
import os, time
for _ in range({workers} - 1):
    if os.fork() == 0:
        break
print("begun", flush=True)
while True: pass
"""
_FORK = """
import os, time
for _ in range(2 * {limit}):
    try:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
    except OSError:
        break
print("done", flush=True)
time.sleep(60)
"""
_OPEN = """
import os
count = 3
try:
    while True:
        os.open("/dev/null", os.O_RDONLY)
        count += 1
except OSError:
    print(count, flush=True)
"""
_AFFINITY = """
import os
print(*sorted(os.sched_getaffinity(0)), flush=True)
"""
# For each connection: an echo of one byte, for the delay, then as much as is asked for, for the rate.
_SERVE = """
import socket
listening = socket.create_server(("0.0.0.0", {port}))
print("listening", flush=True)
connection, _ = listening.accept()
for _ in range({echoes}):
    connection.sendall(connection.recv(1))
connection.sendall(bytes({size}))
connection.shutdown(socket.SHUT_WR)
connection.recv(1)  # the container's network ends with it, and what is still to be sent with that
"""
_READ = """
import os, time
descriptor, size = os.open("/probe", os.O_RDONLY), 0
begun = time.monotonic()
while piece := os.read(descriptor, 1 << 20):
    size += len(piece)
print(size / (time.monotonic() - begun), flush=True)
"""
# Past the page cache, or what is measured is memory.
_WRITE = """
import mmap, os, time
piece, size = mmap.mmap(-1, 1 << 20), 0
descriptor = os.open("/probe/file", os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
begun = time.monotonic()
while size < {size}:
    size += os.write(descriptor, piece)
print(size / (time.monotonic() - begun), flush=True)
"""


@dataclass(frozen=True)
class Finding:
    """What came of one limit: `holds` is None where it could not be tried here, and `words` say what was seen."""

    name: str
    holds: bool | None
    words: str


class Prober:
    """Starts probe containers: the board's image within the board's limits, with Python in the server's place."""

    def __init__(self, engine: Engine, *, image: str, platform: str, budget: Budget) -> None:
        self._engine, self._budget = engine, budget
        self._container = Container(
            image=image,
            platform=platform,
            arguments=[],
            entrypoint=["python3.11", "-uc"],
            mounts=[],
            memory_bytes=budget.memory_bytes,
            cpus=budget.cpus,
            processes=budget.processes,
            open_files=budget.open_files,
        )

    def probe(self, stages: Stages) -> list[Finding]:
        """All limits, one after the other."""
        findings = []
        for name, check in self._checks().items():
            with stages.stage(name, f"probing {name}"):
                try:
                    findings.append(check())
                except EdgesimError as error:
                    findings.append(Finding(name, None, error.problem))
                except OSError as error:
                    findings.append(Finding(name, None, f"the probe did not answer: {error}"))
        return findings

    def _checks(self) -> Mapping[str, Callable[[], Finding]]:
        return {
            "memory_bytes": self._memory,
            "cpus": self._cpus,
            "processes": self._processes,
            "open_files": self._open_files,
            "read_bytes_per_s": self._read_rate,
            "write_bytes_per_s": self._write_rate,
            "cpu_set": self._cpu_set,
            "network_rate_bytes_per_s": self._network_rate,
            "network_delay_ms": self._network_delay,
        }

    def _memory(self) -> Finding:
        limit = self._budget.memory_bytes
        if limit > _MOST_HOST_MEMORY * psutil.virtual_memory().available:
            return Finding(
                "memory_bytes", None, f"{format_bytes(limit)} cannot be taken: this host has not got it free"
            )
        with self._running(_TAKE.format(step=_STEP_BYTES)) as device:
            state = _ended(device)
            steps = int((device.log().splitlines() or ["0"])[-1])
        taken = steps * _STEP_BYTES
        words = f"killed after {format_bytes(taken)} of {format_bytes(limit)}" if state else "never killed"
        # The interpreter, and the emulator, are within the limit, too.
        return Finding("memory_bytes", bool(state) and 0.5 * limit < taken + (128 << 20) and taken <= limit, words)

    def _cpus(self) -> Finding:
        allowed, host_cores = self._budget.cpus, self._engine.facts.cores
        # All of the host's cores are no limit, and what others take of them would be held against it.
        cpus = allowed if allowed < host_cores else max(1, host_cores // 2)
        with self._running(_BURN.format(workers=2 * cpus), cpus=cpus) as device:
            _wait_for(device, "begun")
            time.sleep(0.5)
            before = device.read()
            time.sleep(_CPU_S)
            after = device.read()
        if before.cpu_seconds is None or after.cpu_seconds is None:
            return Finding("cpus", None, "this host does not tell a container's CPU time")
        found = (after.cpu_seconds - before.cpu_seconds) * 1e9 / (after.at_ns - before.at_ns)
        tried = f" (tried with {cpus} of {allowed})" if cpus != allowed else ""
        words = f"{found:.3f} cores used by {2 * cpus} busy processes where {cpus} are allowed{tried}"
        return Finding("cpus", abs(found / cpus - 1) <= _CPU_TOLERANCE, words)

    def _processes(self) -> Finding:
        limit = min(self._budget.processes, _MOST_PROCESSES)
        with self._running(_FORK.format(limit=limit), processes=limit) as device:
            _wait_for(device, "done")
            found = device.read().threads
        if found is None:
            return Finding("processes", None, "this host does not tell a container's processes")
        words = f"{found} tasks where {limit} are allowed, {2 * limit} asked for (tried with {limit} of"
        # An emulated process that gets no second thread for its emulator dies at once: the last few may be missing.
        return Finding("processes", 0.9 * limit <= found <= limit, f"{words} {self._budget.processes})")

    def _open_files(self) -> Finding:
        limit, output = self._budget.open_files, self._output(_OPEN)
        return Finding("open_files", output == str(limit), f"{output} files where {limit} are allowed")

    def _read_rate(self) -> Finding:
        rate = self._budget.read_bytes_per_s
        if rate is None:
            return Finding("read_bytes_per_s", None, _NO_RATE)
        size = min(int(rate * _RATE_S), _MOST_RATE_BYTES)
        directory = paths.cache_directory()
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix="edgesim-probe-", dir=directory) as file:
            block = os.urandom(1 << 20)
            for _ in range(size >> 20):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).chmod(0o644)
            disks.forget(Path(file.name))
            output = self._output(
                _READ,
                mounts=[Mount(Path(file.name), "/probe")],
                read_bytes_per_s=rate,
                storage_device=disks.device_of(Path(file.name)),
            )
        return _storage_finding("read_bytes_per_s", output, rate)

    def _write_rate(self) -> Finding:
        rate = self._budget.write_bytes_per_s
        if rate is None:
            return Finding("write_bytes_per_s", None, _NO_RATE)
        directory = paths.cache_directory()
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="edgesim-probe-", dir=directory) as scratch:
            Path(scratch).chmod(0o777)  # for the image's own user
            output = self._output(
                _WRITE.format(size=min(int(rate * _RATE_S), _MOST_RATE_BYTES)),
                mounts=[Mount(Path(scratch), "/probe", writable=True)],
                write_bytes_per_s=rate,
                storage_device=disks.device_of(Path(scratch)),
            )
        return _storage_finding("write_bytes_per_s", output, rate)

    def _cpu_set(self) -> Finding:
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            return Finding("cpu_set", None, "this host has one core")
        output = self._output(_AFFINITY, cores=cores[-1:], cpus=1)
        return Finding("cpu_set", output == str(cores[-1]), f"core {output} where core {cores[-1]} is allowed")

    def _network_rate(self) -> Finding:
        name, network = "network_rate_bytes_per_s", self._budget.network
        if network is None or network.rate_bytes_per_s is None:
            return Finding(name, None, "not limited: the profile gives none")
        rate = int(network.rate_bytes_per_s)
        size = min(int(rate * _RATE_S), _MOST_RATE_BYTES)
        with self._running(_SERVE.format(port=_PORT, echoes=0, size=size), network=network) as device:
            if device.network.rate_bytes_per_s is None:
                return Finding(name, None, device.network.shortfalls[-1])
            with self._connected(device) as connection:
                begun, received = time.monotonic(), 0
                while piece := connection.recv(1 << 16):
                    received += len(piece)
                found = received / (time.monotonic() - begun)
        words = f"{found / 1e6:.2f} MB/s where {rate / 1e6:.2f} are allowed"
        return Finding(name, 0 < found <= rate * (1 + _RATE_TOLERANCE), words)

    def _network_delay(self) -> Finding:
        name, network = "network_delay_ms", self._budget.network
        if network is None or network.delay_ms is None:
            return Finding(name, None, "not set: the profile gives none")
        with self._running(_SERVE.format(port=_PORT, echoes=_ECHOES, size=0), network=network) as device:
            if device.network.delay_ms is None:
                return Finding(name, None, device.network.shortfalls[0])
            with self._connected(device) as connection:
                times = []
                for _ in range(_ECHOES):
                    begun = time.monotonic()
                    connection.sendall(b"x")
                    connection.recv(1)
                    times.append(1000 * (time.monotonic() - begun))
        found = statistics.median(times)
        return Finding(name, found >= network.delay_ms, f"{found:.1f} ms there and back, {network.delay_ms:g} on top")

    @contextmanager
    def _connected(self, device: DockerDevice) -> Iterator[socket.socket]:
        _wait_for(device, "listening")
        address = urlsplit(device.container_url)
        with socket.create_connection((address.hostname, address.port), timeout=_SILENCE_S) as connection:
            yield connection

    def _output(self, script: str, **limits: object) -> str:
        """The last line that a script prints before it ends."""
        with self._running(script, **limits) as device:
            until = time.monotonic() + _TIMEOUT_S
            while not (lines := device.log().splitlines()) and device.state().running and time.monotonic() < until:
                time.sleep(0.05)
            return (lines or device.log().splitlines() or [""])[-1]

    @contextmanager
    def _running(self, script: str, **limits: object) -> Iterator[DockerDevice]:
        with self._engine.start(replace(self._container, arguments=[script], **limits)) as device:  # type: ignore[arg-type]
            yield device


def _storage_finding(name: str, output: str, rate: int) -> Finding:
    try:
        found = float(output)
    except ValueError:  # its last words
        return Finding(name, None, f"the probe failed: {output or 'it said nothing'}")
    words = f"{found / 1e6:.1f} MB/s where {rate / 1e6:.0f} are allowed"
    return Finding(name, 0 < found <= rate * (1 + _RATE_TOLERANCE), words)


def _ended(device: DockerDevice) -> bool:
    """Wait until it has ended; whether it was killed for its memory."""
    until = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < until:
        state = device.state()
        if not state.running:
            return state.out_of_memory
        time.sleep(0.1)
    return False


def _wait_for(device: DockerDevice, word: str) -> None:
    until = time.monotonic() + _TIMEOUT_S
    while word not in device.log() and device.state().running and time.monotonic() < until:
        time.sleep(0.05)


def record(engine: str | None, budget: Budget, findings: Sequence[Finding]) -> None:
    """Remember what was found, for the results of runs within the same limits on this host."""
    holds = {finding.name: finding.holds for finding in findings if finding.holds is not None}
    path = _record(engine, budget)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{os.getpid()}")
    scratch.write_bytes(orjson.dumps(holds))
    scratch.replace(path)


def recorded(engine: str | None, budget: Budget) -> Mapping[str, bool]:
    """What was found the last time, by the limits' names; empty when they were never probed on this host."""
    try:
        found: Mapping[str, bool] = orjson.loads(_record(engine, budget).read_bytes())
    except OSError:
        return {}
    return found


def _record(engine: str | None, budget: Budget) -> Path:
    """One for each kernel, engine and set of limits: nothing else decides whether they hold."""
    key = repr((platform.node(), platform.release(), engine, sorted(budget.requested.by_name().items())))
    return paths.cache_directory() / "probes" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
