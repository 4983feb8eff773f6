"""Containers: what to start, and a server in one that runs."""

import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgesim.engine import addresses, api_stats, container_events
from edgesim.engine.api_errors import engine_call
from edgesim.engine.engine_facts import EngineFacts
from edgesim.engine.gpu_access import GpuAccess
from edgesim.engine.mounts import Mount, VolumeMount
from edgesim.host import busy, cores, kernel_log, process_figures, proxies
from edgesim.host.architecture import machine_of
from edgesim.host.cgroup import READING_INTERVAL_S, Cgroup
from edgesim.host.cpu_quota import CpuQuota
from edgesim.host.limit_values import LimitValues
from edgesim.host.network_shaping import Shaped
from edgesim.host.owner import is_running
from edgesim.host.process_figures import ProcessFigures
from edgesim.host.stops import StopsOf
from edgesim.profiles.image import SERVER_PORT
from edgesim.profiles.surroundings import Network
from edgesim.recording import Reading

# Within this time the engine notices that a container's process has ended.
_NOTICED_S = 2.0
_POLL_S = 0.02


@dataclass(frozen=True, kw_only=True)
class State:
    """Whether a server's process runs; once the process has ended, how.

    Attributes:
        exit_code: None while the process runs.
        out_of_memory: whether the kernel killed a process of the container at the memory limit.
    """

    running: bool
    exit_code: int | None = None
    out_of_memory: bool = False


@dataclass(frozen=True, kw_only=True)
class OutsideFacts:
    """What the host knows of a running server without asking the server; None where the host cannot tell.

    Attributes:
        architecture: as `platform.machine` names it: ``aarch64``, ``x86_64``.
        cores: number of the host's cores that the server may use.
        limits: as the kernel enforces them.
        limits_known: whether the kernel was asked: a limit that is None then is none.
        proxies: the proxies in the container's environment by variable, without passwords.
    """

    architecture: str | None = None
    cores: int | None = None
    limits: LimitValues = field(default_factory=LimitValues)
    limits_known: bool = False
    proxies: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container to start: an image within limits.

    Attributes:
        arguments: None keeps the image's own command.
        entrypoint: replaces the image's own entrypoint.
        user: ``UID:GID`` in place of the image's own user.
        port: the container's port, published on `host_port` (0: any free port) of 127.0.0.1, or of every address if
            the engine is on another machine.
        grpc_port: another port of the container, published on `grpc_host_port`; None without gRPC.
        cores: cores of the host that the container may use; None means all.
        processes: limit on processes and threads together.
        read_bytes_per_s, write_bytes_per_s: rates of `storage_device`.
        gpus: how the engine gives the container the GPUs of its machine; None means no GPU.
        session: names everything that one run makes in the engine.
    """

    image: str
    platform: str
    arguments: Sequence[str] | None
    mounts: Sequence[Mount | VolumeMount]
    memory_bytes: int
    cpus: float
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = SERVER_PORT
    host_port: int = 0
    grpc_port: int | None = None
    grpc_host_port: int = 0
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
    gpus: GpuAccess | None = None
    session: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def published_ports(self) -> dict[int, int]:
        """The container's ports that are published, each with the host's port; 0 is any free port."""
        return {self.port: self.host_port} | ({self.grpc_port: self.grpc_host_port} if self.grpc_port else {})


class DockerDevice:
    """A server in a container: an `edgesim.boards.device.ScalableDevice`.

    Args:
        facts: of the container's engine.

    Attributes:
        warnings: what the engine warned of when it made the container.
    """

    def __init__(
        self,
        container: Any,
        port: int,
        *,
        architecture: str,
        start_s: float,
        grpc_port: int | None = None,
        machine: str | None = None,
        network: str | None = None,
        facts: EngineFacts,
        warnings: Sequence[str] = (),
    ) -> None:
        self.warnings = tuple(warnings)
        self._architecture = architecture
        self.start_s: float | None = start_s
        self.network = Shaped()
        self._container = container
        self._port, self._grpc_port = port, grpc_port

        def url_of(port: int) -> str:
            return (
                _own_url(container, port, network) if network is not None else _published_url(container, port, machine)
            )

        self._url = url_of(port)
        self._grpc_address = url_of(grpc_port).removeprefix("http://") if grpc_port is not None else None
        # On another machine the process id is that machine's: a process of the same id may run on this host, too.
        self._cgroup = self._find_cgroup() if machine is None else None
        self._stops = StopsOf(self.pid) if self._cgroup is not None else None
        self._facts = facts
        lacks_group = machine is None and self._cgroup is None and facts.limits_nothing and facts.on_this_host
        self._processes = ProcessFigures(self.pid) if lacks_group else None

    @property
    def pid(self) -> int:
        """Id of the container's first process, on the host that the engine runs on."""
        return int(self._container.attrs["State"]["Pid"])

    @property
    def on_this_host(self) -> bool:
        """Whether the container's processes are this host's: `pid` then is an id here, too."""
        return self._cgroup is not None

    @property
    def url(self) -> str:
        return self._url

    @property
    def grpc_address(self) -> str | None:
        return self._grpc_address

    @property
    def proxies(self) -> dict[str, str]:
        """The proxies in the container's environment, which its image or the user has set, without passwords."""
        variables = (word.partition("=") for word in self._container.attrs["Config"]["Env"] or ())
        return proxies.of({name: value for name, _, value in variables})

    @property
    def container_url(self) -> str:
        """The server's URL at the container's own address if the engine runs on this host, else `url`."""
        networks = self._container.attrs["NetworkSettings"]["Networks"].values()
        address = next((network["IPAddress"] for network in networks if network.get("IPAddress")), None)
        # On another host, the same address would be another container, or none.
        if self._cgroup is None or not self._facts.shares_network or address is None:
            return self._url
        return f"http://{address}:{self._port}"

    @property
    def direct_url(self) -> str:
        return addresses.answering(self.container_url, instead=self._url)

    @property
    def direct_grpc_address(self) -> str | None:
        if self._grpc_port is None or self._grpc_address is None:
            return None
        direct = f"{self.container_url.rpartition(':')[0]}:{self._grpc_port}"
        if self.container_url == self._url:  # the container's own address is not known
            return self._grpc_address
        return addresses.answering(direct, instead=f"http://{self._grpc_address}").removeprefix("http://")

    @property
    def source(self) -> str:
        if self._processes is not None:
            return process_figures.SOURCE
        return f"cgroup v{self._cgroup.version}" if self._cgroup is not None else "the engine's API"

    @property
    def reading_interval_s(self) -> float:
        from_kernel = self._cgroup is not None or self._processes is not None
        return READING_INTERVAL_S if from_kernel else api_stats.READING_INTERVAL_S

    def state(self) -> State:
        with engine_call():
            until = time.monotonic() + _NOTICED_S
            self._container.reload()
            # The engine notices a moment later that a process has ended; meanwhile requests would go on failing.
            while self._cgroup is not None and not is_running(self.pid) and time.monotonic() < until:
                if self._container.attrs["State"]["Status"] != "running":
                    break
                time.sleep(_POLL_S)
                self._container.reload()
            state = self._container.attrs["State"]
            if state["Status"] in ("running", "created", "paused"):
                return State(running=True)
            # The engine's flag is about the first process only; the engine's event is about any in the container.
            killed = bool(state["OOMKilled"]) or self._ran_out_of_memory()
            return State(running=False, exit_code=state["ExitCode"], out_of_memory=killed)

    def paused_s(self) -> float:
        with engine_call():
            begin_s = container_events.created_s(self._container)
            paused_s = container_events.paused_s(self._container.client, begin_s, {"container": self._container.id})
        return paused_s + (self._stops.seconds if self._stops is not None else 0.0)

    def from_outside(self) -> OutsideFacts:
        facts = OutsideFacts(architecture=machine_of(self._architecture), proxies=self.proxies)
        if self._cgroup is None:
            return facts
        pid = self._container.attrs["State"]["Pid"]
        limits = replace(
            self._cgroup.limits(),
            open_files=_open_files_limit(pid),
            network_rate_bytes_per_s=self.network.rate_bytes_per_s,
            network_delay_ms=self.network.delay_ms,
        )
        return replace(facts, cores=len(cores.affinity(pid)), limits=limits, limits_known=True)

    def limit_cpu(self, quota: CpuQuota) -> None:
        """Change the CPU limit of the running container."""
        with engine_call():
            self._container.update(cpu_period=quota.period_us, cpu_quota=quota.quota_us)

    def log(self, lines: int = 20) -> str:
        with engine_call():
            return str(self._container.logs(tail=lines).decode(errors="replace")).rstrip()

    def read(self) -> Reading:
        if self._stops is not None:
            self._stops.look()
        if self._cgroup is not None:
            return self._cgroup.read()
        if self._processes is not None:
            return self._processes.read()
        if self._facts.limits_nothing:  # the engine's figures are those of its whole machine
            return Reading(at_ns=time.monotonic_ns(), cpu_seconds=None, memory_bytes=None)
        return api_stats.read(self._container.client.api, self._container.id)

    def is_busy(self) -> bool | None:
        return busy.is_busy(self.pid) if self._cgroup is not None or self._processes is not None else None

    def _find_cgroup(self) -> Cgroup | None:
        self._container.reload()
        return Cgroup.of_container(self._container.id, self._container.attrs["State"]["Pid"])

    def _ran_out_of_memory(self) -> bool:
        begin_s, of = container_events.created_s(self._container), {"container": self._container.id}
        told = container_events.since(self._container.client, begin_s, ["oom"], of, wait_s=1)
        return bool(told) or kernel_log.memory_kills(self._container.id) > 0


def _open_files_limit(pid: int) -> int | None:
    """Return the limit on open files of a process of this host, as the kernel enforces it."""
    try:
        limit = re.search(r"^Max open files\s+(\d+)", Path(f"/proc/{pid}/limits").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(limit[1]) if limit else None


def _own_url(container: Any, port: int, network: str) -> str:
    """Return the server's URL at the container's own address in a network that edgesim's own container is in, too."""
    container.reload()
    address = container.attrs["NetworkSettings"]["Networks"].get(network, {}).get("IPAddress")
    # A container that has ended has no address; the caller asks for its state next, and the log says why.
    return f"http://{address or '127.0.0.1'}:{port if address else 0}"


def _published_url(container: Any, port: int, machine: str | None) -> str:
    host = machine if machine is not None else "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{_published_port(container, port)}"


def _published_port(container: Any, port: int) -> int:
    container.reload()
    bindings = container.attrs["NetworkSettings"]["Ports"].get(f"{port}/tcp")
    if bindings:
        return int(bindings[0]["HostPort"])
    # The container has ended already: the caller asks for its state next, and the log says why.
    return 0
