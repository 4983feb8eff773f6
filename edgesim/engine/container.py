"""Containers: what to start, and one that runs."""

import os
import re
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker.errors
import docker.types

from edgesim.engine import api_stats
from edgesim.engine.api_errors import engine_call
from edgesim.engine.mounts import Mount, VolumeMount
from edgesim.host.cgroup import READING_INTERVAL_S, Cgroup
from edgesim.host.cpu_quota import CpuQuota
from edgesim.host.network_shaping import Shaped
from edgesim.profiles.device_profile import Network
from edgesim.recording import Reading


@dataclass(frozen=True, kw_only=True)
class State:
    """Whether the server's process runs; once it has ended, how."""

    running: bool
    exit_code: int | None = None
    out_of_memory: bool = False


PORT = 8000


# Each reading is a request to the engine.
_ENGINE_READING_INTERVAL_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Container:
    """What to start: an image within limits. `session` names everything that one run makes.

    `arguments` None leaves the image's own; `port` is the container's, published on `host_port` (0: any) of 127.0.0.1,
    or of every address of another machine. `cores` are those of the host that it may use; None is all. `processes`
    counts threads, too; `read_bytes_per_s` and `write_bytes_per_s` are of `storage_device`. `entrypoint` stands in for
    the image's own; `user` (``UID:GID``) for the image's, too.
    """

    image: str
    platform: str
    arguments: Sequence[str] | None
    mounts: Sequence[Mount | VolumeMount]
    memory_bytes: int
    cpus: float
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = PORT
    host_port: int = 0
    read_only: bool = True
    cores: Sequence[int] | None = None
    processes: int | None = None
    open_files: int | None = None
    storage_device: str | None = None
    read_bytes_per_s: int | None = None
    write_bytes_per_s: int | None = None
    entrypoint: Sequence[str] | None = None
    network: Network | None = None
    user: str | None = None
    session: str = field(default_factory=lambda: secrets.token_hex(4))


class DockerDevice:
    """A device in a container: `edgesim.boards.device.Device`."""

    def __init__(self, container: Any, port: int, *, start_s: float, machine: str | None = None) -> None:
        self.start_s: float | None = start_s
        self.network = Shaped()
        self._container = container
        self._port = port
        host = machine if machine is not None else "127.0.0.1"
        self._url = f"http://{f'[{host}]' if ':' in host else host}:{_published_port(container, port)}"
        # A process of the same number may be here, too.
        self._cgroup = self._find_cgroup() if machine is None else None

    @property
    def pid(self) -> int:
        """Of the first process, as this host counts; of an engine elsewhere, as that host does."""
        return int(self._container.attrs["State"]["Pid"])

    @property
    def url(self) -> str:
        return self._url

    @property
    def container_url(self) -> str:
        """The container's own address, where this host has a way to it; else as `url`."""
        networks = self._container.attrs["NetworkSettings"]["Networks"].values()
        addresses = [network["IPAddress"] for network in networks if network.get("IPAddress")]
        # The engine of this very host, or the address would mean something else here.
        if self._cgroup is None or not addresses:
            return self._url
        return f"http://{addresses[0]}:{self._port}"

    @property
    def direct_url(self) -> str:
        address = urlsplit(self.container_url)
        try:
            socket.create_connection((address.hostname, address.port), timeout=1).close()
        except OSError:
            return self._url
        return self.container_url

    @property
    def source(self) -> str:
        return f"cgroup v{self._cgroup.version}" if self._cgroup is not None else "the engine's API"

    @property
    def reading_interval_s(self) -> float:
        return READING_INTERVAL_S if self._cgroup is not None else _ENGINE_READING_INTERVAL_S

    def state(self) -> State:
        with engine_call():
            self._container.reload()
            state = self._container.attrs["State"]
            if state["Status"] in ("running", "created", "paused"):
                return State(running=True)
            # The engine's flag is only about the first process; its event is about any in the container.
            killed = bool(state["OOMKilled"]) or self._ran_out_of_memory()
            return State(running=False, exit_code=state["ExitCode"], out_of_memory=killed)

    def from_outside(self) -> Mapping[str, Any]:
        architecture = self._container.image.attrs["Architecture"]
        machine = {"arm64": "aarch64", "amd64": "x86_64"}.get(architecture, architecture)
        if self._cgroup is None:
            return {"architecture": machine}
        pid = self._container.attrs["State"]["Pid"]
        inside = {"architecture": machine, "cores": len(os.sched_getaffinity(pid)), **self._cgroup.limits()}
        return inside | {
            "open_files_limit": _open_files_limit(pid),
            "network_rate_bytes_per_s": self.network.rate_bytes_per_s,
            "network_delay_ms": self.network.delay_ms,
        }

    def limit_cpu(self, quota: CpuQuota) -> None:
        """Change what the running container may use of the CPU."""
        with engine_call():
            self._container.update(cpu_period=quota.period_us, cpu_quota=quota.quota_us)

    def log(self, lines: int = 20) -> str:
        with engine_call():
            return str(self._container.logs(tail=lines).decode(errors="replace")).rstrip()

    def read(self) -> Reading:
        if self._cgroup is not None:
            return self._cgroup.read()
        with engine_call():
            try:
                stats = self._container.client.api.stats(self._container.id, stream=False, one_shot=True)
            except docker.errors.APIError:  # it has ended
                stats = {}
        return api_stats.reading(stats)

    def _find_cgroup(self) -> Cgroup | None:
        """The container's control group, where the engine runs on this host and not in a virtual machine."""
        self._container.reload()
        pid = self._container.attrs["State"]["Pid"]
        try:
            ours = self._container.id in Path(f"/proc/{pid}/cgroup").read_text()
        except OSError:
            return None
        return Cgroup.of_process(pid) if ours else None

    def _ran_out_of_memory(self) -> bool:
        created = self._container.attrs["Created"]
        events = self._container.client.events(
            since=created,
            until=int(time.time()) + 1,
            decode=True,
            filters={"container": self._container.id, "event": "oom"},
        )
        return any(True for _ in events)


def _open_files_limit(pid: int) -> int | None:
    """Of a process of this host, as the kernel holds it."""
    try:
        found = re.search(r"^Max open files\s+(\d+)", Path(f"/proc/{pid}/limits").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) if found else None


def _published_port(container: Any, port: int) -> int:
    container.reload()
    bindings = container.attrs["NetworkSettings"]["Ports"].get(f"{port}/tcp")
    if bindings:
        return int(bindings[0]["HostPort"])
    # It has ended already: the caller asks for its state next, and its log says why.
    return 0
