"""A connection to a Docker Engine: what it is, its containers, images and volumes.

Of edgesim's packages only `edgesim.engine` imports the docker package, which speaks the engine's API: exactly, and
quickly enough for frequent questions. Builds use the docker command with its buildx plugin, see `buildx`; stacks use
Docker Compose, see `compose_project`.
"""

import contextlib
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import docker.errors
import docker.types

from edgesim.engine import create_warnings, own_container, podman
from edgesim.engine.api_errors import engine_call, files_unseen
from edgesim.engine.container import Container, DockerDevice
from edgesim.engine.context import Context, resolve
from edgesim.engine.engine_facts import EngineFacts
from edgesim.engine.file_transfer import FileTransfer
from edgesim.engine.images import Images
from edgesim.engine.labels import LABEL, OWNER_LABEL, SESSION_LABEL, run_labels
from edgesim.engine.mounts import Mount, VolumeMount, engine_mounts
from edgesim.engine.volumes import Volumes
from edgesim.host import network_shaping
from edgesim.host.cpu_quota import CpuQuota
from edgesim.host.host_facts import HostFacts
from edgesim.host.owner import is_left_behind

# Seconds that a server has to write its files after it is told to end.
_STOP_TIMEOUT_S = 10


class Engine:
    """A connection to a Docker Engine; by default the engine of the current docker context.

    Attributes:
        images, volumes: the images and the named volumes of the engine.

    Raises on construction:
        EngineMissing: no engine answers.
        EngineDenied: an engine is there, but this user may not use it.
    """

    def __init__(self, context: Context | None = None) -> None:
        self.context = context if context is not None else resolve()
        with engine_call(self.context.name):
            self._client = self.context.connect()
            version = self._client.version()
            info = self._client.info()
            own = own_container.find(self._client) if self.context.machine is None else None
            of_podman = podman.is_podman(version)
            controllers = podman.controllers(self._client.api, version["Version"]) if of_podman else None
        self.facts = EngineFacts.of(version, info, own, controllers)
        self.images = Images(self._client, in_containerd=self.facts.in_containerd)
        self.volumes = Volumes(self._client)

    def host_facts(self) -> HostFacts:
        """Return the facts of the engine's machine, as far as the engine knows them: `cpu` is the architecture."""
        return HostFacts(
            cpu=self.facts.architecture,
            cores=self.facts.cores,
            memory_bytes=self.facts.memory_bytes,
            kernel=f"Linux {self.facts.kernel}",
            engine=self.facts.title,
            context=f"{self.context} ({self.facts.name})",
        )

    @property
    def client(self) -> docker.DockerClient:
        """The docker package's client; only modules of this package use it, within `engine_call`."""
        return self._client

    @contextmanager
    def start(self, container: Container) -> Iterator[DockerDevice]:
        """Start a container; remove it when the block ends, however the block ends.

        Raises:
            DeviceError: the engine cannot create or start the container.
        """
        try:
            with engine_call(), create_warnings.collected(self._client) as warnings:
                created = self._create(container)
        except KeyboardInterrupt:
            self.remove_session(container.session)
            raise
        try:
            with engine_call():
                if self.facts.product == "Podman":
                    _require_seen(created, container.mounts)
                begin_s = time.monotonic()
                created.start()
                start_s = time.monotonic() - begin_s
                device = DockerDevice(
                    created,
                    container.port,
                    start_s=start_s,
                    grpc_port=container.grpc_port,
                    machine=self.context.machine,
                    network=self._network,
                    facts=self.facts,
                    warnings=warnings,
                    architecture=container.platform.rpartition("/")[2],
                )
                if container.network is not None:
                    device.network = (
                        network_shaping.shape(device.pid, container.network)
                        if device.on_this_host
                        else network_shaping.OUT_OF_REACH
                    )
            yield device
        finally:
            with engine_call():
                try:
                    if any(isinstance(mount, Mount) and mount.writable for mount in container.mounts):
                        created.stop(timeout=_STOP_TIMEOUT_S)
                finally:
                    remove_container(created)
                    # The docker package keeps a connection for each path. A gate of 200 rounds, whose boards stay
                    # until its end, would have more files open than a process may. A later request opens a new one.
                    self._client.close()

    def _create(self, container: Container) -> Any:
        return self._client.containers.create(
            container.image,
            list(container.arguments) if container.arguments is not None else None,
            platform=container.platform,
            name=f"edgesim-{container.session}",
            labels=run_labels(container.session),
            environment={**(container.gpus.environment if container.gpus is not None else {}), **container.environment},
            **(container.gpus.arguments if container.gpus is not None else {}),
            **engine_mounts(container.mounts, relabel=self.facts.relabels),
            user=container.user,
            **limit_arguments(container, self.facts),
            ulimits=_open_files(container.open_files),
            device_read_bps=_rate(container.storage_device, container.read_bytes_per_s),
            device_write_bps=_rate(container.storage_device, container.write_bytes_per_s),
            entrypoint=list(container.entrypoint) if container.entrypoint is not None else None,
            ports={f"{port}/tcp": (self._published_address, on) for port, on in container.published_ports.items()},
            network=self._network,
            # The proxies of this user's configuration are no part of the board.
            use_config_proxy=False,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            read_only=container.read_only,
            # Another image's server may unpack its libraries there; the engine's default is noexec.
            tmpfs={"/tmp": f"size=64m,mode=1777{'' if container.read_only else ',exec'}"},  # noqa: S108 (in the container)
        )

    @property
    def _published_address(self) -> str:
        # On another machine, a port of 127.0.0.1 could not be reached from here.
        return "127.0.0.1" if self.context.machine is None else "0.0.0.0"  # noqa: S104

    @property
    def _network(self) -> str | None:
        """The network that containers join: edgesim's own, if that is the only way to them."""
        return self.facts.own.network if self.facts.own is not None else None

    def remove_session(self, session: str) -> None:
        """Remove the containers of one session."""
        with engine_call():
            for container in self._client.containers.list(
                all=True, filters={"label": f"{SESSION_LABEL}={session}"}, ignore_removed=True
            ):
                remove_container(container)

    @contextmanager
    def file_transfer(
        self, volumes: Mapping[str, str] | None = None, image: str | None = None
    ) -> Iterator[FileTransfer]:
        """Make a container that is never started, through which files are copied; remove it when the block ends.

        Args:
            volumes: the path of each volume in the container, by the volume's name.
            image: the image whose files the container has; None means no files.
        """
        session = secrets.token_hex(4)
        image = image if image is not None else self.images.make_empty()
        try:
            with engine_call():
                created = self._client.containers.create(
                    image,
                    ["-"],
                    name=f"edgesim-{session}",
                    labels=run_labels(session),
                    use_config_proxy=False,
                    mounts=[
                        docker.types.Mount(target, name, type="volume", no_copy=True)
                        for name, target in (volumes or {}).items()
                    ],
                )
        except KeyboardInterrupt:
            self.remove_session(session)
            raise
        try:
            yield FileTransfer(created)
        finally:
            with engine_call():
                remove_container(created)

    def abandoned(self) -> list[str]:
        """Return the names of the containers that edgesim runs left behind.

        A container whose owner still runs, or ran on another host, is not among them.
        """
        with engine_call():
            containers = self._client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)
            return [str(each.name) for each in containers if is_left_behind(each.labels.get(OWNER_LABEL, ""))]

    def collect_garbage(self) -> list[str]:
        """Remove the abandoned containers; return their names."""
        names = self.abandoned()
        for name in names:
            with engine_call(), contextlib.suppress(docker.errors.NotFound):
                remove_container(self._client.containers.get(name))
        return names


def limit_arguments(container: Container, facts: EngineFacts) -> dict[str, Any]:
    """Return the limits of control groups as the docker package takes them, without those that would be refused.

    Docker discards a limit whose controller it does not have, and warns; Podman's runtime refuses the container.
    """
    quota = CpuQuota.of_container(container.cpus)
    left_out = facts.unlimited if facts.product == "Podman" else ()
    limits: dict[str, Any] = {}
    if "memory" not in left_out:  # memory and swap together: no swap in addition
        limits |= {"mem_limit": container.memory_bytes, "memswap_limit": container.memory_bytes}
    if "CPU" not in left_out:
        limits |= {"cpu_period": quota.period_us, "cpu_quota": quota.quota_us}
    if "processes" not in left_out and container.processes is not None:
        limits["pids_limit"] = container.processes
    if container.cores is not None and "cores" not in left_out:
        limits["cpuset_cpus"] = ",".join(map(str, container.cores))
    return limits


def _require_seen(created: Any, mounts: Sequence[Mount | VolumeMount]) -> None:
    """Check that a container will see the files that are to be mounted.

    Podman makes an empty directory in place of a file that is not on its machine; Docker refuses.

    Raises:
        HostError: the engine does not see a file.
    """
    for mount in mounts:
        if isinstance(mount, Mount) and mount.source.is_file():
            try:
                stream, seen = created.get_archive(mount.target)
            except docker.errors.APIError:  # Podman copies out of no mounted file: one is there
                continue
            stream.close()
            if seen["size"] != mount.source.stat().st_size:
                raise files_unseen(str(mount.source))


def _open_files(count: int | None) -> list[Any] | None:
    return [docker.types.Ulimit(name="nofile", soft=count, hard=count)] if count is not None else None


def _rate(device: str | None, bytes_per_s: int | None) -> list[Mapping[str, str | int]] | None:
    return [{"Path": device, "Rate": bytes_per_s}] if device is not None and bytes_per_s is not None else None


def remove_container(container: Any) -> None:
    """Remove a container, with its anonymous volumes, whatever its state, unless it is gone or being removed."""
    try:
        container.remove(force=True, v=True)
    except docker.errors.NotFound:
        pass
    except docker.errors.APIError as error:
        if error.status_code != 409:  # "removal is already in progress"
            raise
