"""Probes that show whether a board's limits hold on this host: one container for each limit tries to exceed it."""

import hashlib
import os
import platform
import socket
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import psutil

from edgesim import paths
from edgesim.boards.limits import Limits
from edgesim.engine.container import Container, DockerDevice
from edgesim.engine.docker_engine import Engine
from edgesim.engine.mounts import Mount
from edgesim.errors import EdgesimError, HostError
from edgesim.host import cache, cores, disks, whole_file
from edgesim.host.scratch import scratch_directory
from edgesim.profiles.image import SERVER_PORT
from edgesim.progress import Stages
from edgesim.units import format_bytes

# The probe of the memory allocates in steps of this size.
_STEP_BYTES = 16 << 20
# The probe of the memory may use this part of the host's available memory.
_MOST_HOST_MEMORY = 0.7
_CPU_S = 4.0
_CPU_TOLERANCE = 0.03
# Processes are tried up to this number: each process of an emulated board needs the memory of an emulator.
_MOST_PROCESSES = 64
_RATE_S = 3.0
_MOST_RATE_BYTES = 1 << 30
_NO_RATE = "not limited: the profile has no rate, or there is no disk to limit"
# The kernel enforces a rate in slices, and lets a program catch up on what it did not use a moment ago.
_RATE_TOLERANCE = 0.1
_TIMEOUT_S = 180.0
_SILENCE_S = 20.0
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
# For each connection: echoes of one byte, to measure the delay, then many bytes, to measure the rate.
_SERVE = """
import socket
listening = socket.create_server(("0.0.0.0", {port}))
print("listening", flush=True)
connection, _ = listening.accept()
for _ in range({echoes}):
    connection.sendall(connection.recv(1))
connection.sendall(bytes({size}))
connection.shutdown(socket.SHUT_WR)
connection.recv(1)  # when the script ends, the container's network goes, and with it the bytes not sent yet
"""
_READ = """
import os, time
descriptor, size = os.open("/probe", os.O_RDONLY), 0
begun = time.monotonic()
while piece := os.read(descriptor, 1 << 20):
    size += len(piece)
print(size / (time.monotonic() - begun), flush=True)
"""
# O_DIRECT bypasses the page cache: otherwise the rate would be that of memory.
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
    """The finding of one probe: `holds` is None if the limit could not be probed; `words` say what was observed."""

    name: str
    holds: bool | None
    words: str


class Prober:
    """Starts probe containers: the board's image within the board's limits, with Python in the server's place."""

    def __init__(self, engine: Engine, *, image: str, platform: str, limits: Limits) -> None:
        self._engine, self._limits = engine, limits
        self._container = Container(
            image=image,
            platform=platform,
            arguments=[],
            entrypoint=["python3", "-uc"],
            mounts=[],
            memory_bytes=limits.memory_bytes,
            cpus=limits.cpus,
            processes=limits.processes,
            open_files=limits.open_files,
        )

    def probe(self, stages: Stages) -> list[Finding]:
        """Probe all limits, one after the other."""
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
        limit = self._limits.memory_bytes
        if limit > _MOST_HOST_MEMORY * psutil.virtual_memory().available:
            return Finding(
                "memory_bytes",
                None,
                f"{format_bytes(limit)} cannot be allocated: this host does not have that much free",
            )
        with self._running(_TAKE.format(step=_STEP_BYTES)) as device:
            state = _ended(device)
            steps = int((device.log().splitlines() or ["0"])[-1])
        taken = steps * _STEP_BYTES
        words = f"killed after {format_bytes(taken)} of {format_bytes(limit)}" if state else "never killed"
        # The limit includes the interpreter and the emulator.
        return Finding("memory_bytes", bool(state) and 0.5 * limit < taken + (128 << 20) and taken <= limit, words)

    def _cpus(self) -> Finding:
        allowed, host_cores = self._limits.cpus, self._engine.facts.cores
        # All of the host's cores are no limit: other programs' use of them would look like one.
        cpus = allowed if allowed < host_cores else max(1, host_cores // 2)
        with self._running(_BURN.format(workers=2 * cpus), cpus=cpus) as device:
            _wait_for(device, "begun")
            time.sleep(0.5)
            before = device.read()
            time.sleep(_CPU_S)
            after = device.read()
        if before.cpu_seconds is None or after.cpu_seconds is None:
            return Finding("cpus", None, "this host does not report a container's CPU time")
        used = (after.cpu_seconds - before.cpu_seconds) * 1e9 / (after.at_ns - before.at_ns)
        tried = f" (tried with {cpus} of {allowed})" if cpus != allowed else ""
        words = f"{used:.3f} cores used by {2 * cpus} busy processes where {cpus} are allowed{tried}"
        if used < cpus * (1 - _CPU_TOLERANCE):  # says nothing of the limit
            return Finding("cpus", None, f"{words}: other programs took the rest")
        return Finding("cpus", used <= cpus * (1 + _CPU_TOLERANCE), words)

    def _processes(self) -> Finding:
        limit = min(self._limits.processes, _MOST_PROCESSES)
        with self._running(_FORK.format(limit=limit), processes=limit) as device:
            _wait_for(device, "done")
            tasks = device.read().threads
        if tasks is None:
            return Finding("processes", None, "this host does not report a container's processes")
        words = f"{tasks} tasks where {limit} are allowed, {2 * limit} requested (tried with {limit} of"
        # An emulated process dies at once if its emulator gets no second thread: the last few may be missing.
        return Finding("processes", 0.9 * limit <= tasks <= limit, f"{words} {self._limits.processes})")

    def _open_files(self) -> Finding:
        limit, output = self._limits.open_files, self._output(_OPEN)
        return Finding("open_files", output == str(limit), f"{output} files where {limit} are allowed")

    def _read_rate(self) -> Finding:
        rate = self._limits.read_bytes_per_s
        if rate is None:
            return Finding("read_bytes_per_s", None, _NO_RATE)
        size = min(int(rate * _RATE_S), _MOST_RATE_BYTES)
        with scratch_directory("edgesim-probe-", cache.made(paths.cache_directory())) as scratch:
            path = Path(scratch) / "data"
            with path.open("wb") as file:
                block = os.urandom(1 << 20)
                for _ in range(size >> 20):
                    file.write(block)
                file.flush()
                os.fsync(file.fileno())
            path.chmod(0o644)
            disks.forget(path)
            output = self._output(
                _READ,
                mounts=[Mount(path, "/probe")],
                read_bytes_per_s=rate,
                storage_device=disks.device_of(path),
            )
        return _storage_finding("read_bytes_per_s", output, rate)

    def _write_rate(self) -> Finding:
        rate = self._limits.write_bytes_per_s
        if rate is None:
            return Finding("write_bytes_per_s", None, _NO_RATE)
        directory = cache.made(paths.cache_directory())
        with scratch_directory("edgesim-probe-", directory) as scratch:
            Path(scratch).chmod(0o777)  # the image's own user writes to it
            output = self._output(
                _WRITE.format(size=min(int(rate * _RATE_S), _MOST_RATE_BYTES)),
                mounts=[Mount(Path(scratch), "/probe", writable=True)],
                write_bytes_per_s=rate,
                storage_device=disks.device_of(Path(scratch)),
            )
        return _storage_finding("write_bytes_per_s", output, rate)

    def _cpu_set(self) -> Finding:
        available = cores.of_engine(self._engine.facts.cores)
        if len(available) < 2:
            return Finding("cpu_set", None, "the engine has one core")
        output = self._output(_AFFINITY, cores=available[-1:], cpus=1)
        return Finding("cpu_set", output == str(available[-1]), f"core {output} where core {available[-1]} is allowed")

    def _network_rate(self) -> Finding:
        name, network = "network_rate_bytes_per_s", self._limits.network
        if network is None or network.rate_bytes_per_s is None:
            return Finding(name, None, "not limited: the profile has no rate")
        rate = int(network.rate_bytes_per_s)
        size = min(int(rate * _RATE_S), _MOST_RATE_BYTES)
        with self._running(_SERVE.format(port=SERVER_PORT, echoes=0, size=size), network=network) as device:
            if device.network.rate_bytes_per_s is None:
                return Finding(name, None, device.network.shortfalls[-1])
            with self._connected(device) as connection:
                begin_s, received = time.monotonic(), 0
                while piece := connection.recv(1 << 16):
                    received += len(piece)
                measured = received / (time.monotonic() - begin_s)
        words = f"{measured / 1e6:.2f} MB/s where {rate / 1e6:.2f} are allowed"
        return Finding(name, 0 < measured <= rate * (1 + _RATE_TOLERANCE), words)

    def _network_delay(self) -> Finding:
        name, network = "network_delay_ms", self._limits.network
        if network is None or network.delay_ms is None:
            return Finding(name, None, "not set: the profile has no delay")
        with self._running(_SERVE.format(port=SERVER_PORT, echoes=_ECHOES, size=0), network=network) as device:
            if device.network.delay_ms is None:
                return Finding(name, None, device.network.shortfalls[0])
            with self._connected(device) as connection:
                times = []
                for _ in range(_ECHOES):
                    begin_s = time.monotonic()
                    connection.sendall(b"x")
                    connection.recv(1)
                    times.append(1000 * (time.monotonic() - begin_s))
        round_trip_ms = statistics.median(times)
        words = f"{round_trip_ms:.1f} ms round trip, of which {network.delay_ms:g} are the delay"
        return Finding(name, round_trip_ms >= network.delay_ms, words)

    @contextmanager
    def _connected(self, device: DockerDevice) -> Iterator[socket.socket]:
        _wait_for(device, "listening")
        address = urlsplit(device.container_url)
        with socket.create_connection((address.hostname, address.port), timeout=_SILENCE_S) as connection:
            yield connection

    def _output(self, script: str, **limits: object) -> str:
        """Run a script; return the last line that it prints before it ends."""
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
        measured = float(output)
    except ValueError:  # an error message of the script
        return Finding(name, None, f"the probe failed: {output or 'it printed nothing'}")
    words = f"{measured / 1e6:.1f} MB/s where {rate / 1e6:.0f} are allowed"
    return Finding(name, 0 < measured <= rate * (1 + _RATE_TOLERANCE), words)


def _ended(device: DockerDevice) -> bool:
    """Wait until the device has ended; return whether the kernel killed it at its memory limit."""
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


def record(engine: str | None, limits: Limits, findings: Sequence[Finding]) -> None:
    """Write the findings to the cache, for the results of later runs with the same limits on this host.

    Raises:
        HostError: the cache cannot be written.
    """
    holds = {finding.name: finding.holds for finding in findings if finding.holds is not None}
    path = _record_path(engine, limits)
    try:
        whole_file.write(path, orjson.dumps(holds))
    except OSError as error:
        raise cache.explain(error, path) from error


def recorded(engine: str | None, limits: Limits) -> Mapping[str, bool]:
    """Return whether each limit held in the last probe on this host, by name; empty if there was no probe."""
    try:
        holds: Mapping[str, bool] = orjson.loads(_record_path(engine, limits).read_bytes())
    except (OSError, HostError):  # no probe, or no cache that could have one
        return {}
    return holds


def _record_path(engine: str | None, limits: Limits) -> Path:
    """Return the file for this kernel, engine and limits: nothing else decides whether the limits hold."""
    key = repr((platform.node(), platform.release(), engine, sorted(limits.requested.by_name().items())))
    return paths.cache_directory() / "probes" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
