"""The Docker Engine: its containers, and the images that are there.

It imports the docker package, as only `carrier`, `context`, `engine_errors`, `parent` and `project` do beside it: the
package speaks the engine's API, exact, and quick enough to ask often. Builds go through the docker command and its
buildx plugin, see `buildx`.
"""

import contextlib
import os
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker.errors
import docker.types
import psutil

from edgesim import __version__
from edgesim.engine import context
from edgesim.engine.api_errors import engine_call
from edgesim.engine.container import Container, DockerDevice
from edgesim.engine.context import Context
from edgesim.engine.file_transfer import Carrier
from edgesim.engine.mounts import Mount, mounted
from edgesim.errors import EdgesimError, ImageUnavailable, UsageError
from edgesim.host import network_shaping
from edgesim.host.host_facts import HostFacts

LABEL = "edgesim"  # on all that edgesim makes; the value is its version
SESSION_LABEL = "edgesim.session"
OWNER_LABEL = "edgesim.owner"
STACK_LABEL = "edgesim.stack"  # its name, on all that a stack has

# The kernel's default period of 100 ms makes latency bimodal: a request either fits or waits for the next period.
_CPU_PERIOD_US = 10_000
# For a server that is told to end: what it has to write, it writes then.
_LAST_WORDS_S = 10
_EMPTY_IMAGE = "edgesim/empty:1"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class EngineFacts:
    """What the engine says of itself.

    `architecture` is of the machine that it runs on, ``amd64`` or ``arm64``, and `name` that machine's own. `relabels`
    is whether it holds containers to SELinux labels; `rootless` whether its root is this user. `driver` is who makes
    its control groups, ``cgroupfs`` (itself) or ``systemd``.
    """

    version: str
    cores: int
    memory_bytes: int
    storage: Path
    architecture: str
    name: str
    kernel: str
    relabels: bool = False
    rootless: bool = False
    driver: str = "cgroupfs"

    @property
    def here(self) -> bool:
        """Whether it runs on this very host, and not in a machine or a container beside it."""
        return (self.name, self.kernel) == (socket.gethostname(), os.uname().release)


class Engine:
    """A connection to a Docker Engine, the one of the current docker context without another.

    Raises on construction:
        EngineMissing: none answers.
        EngineDenied: one is there, but this user may not use it.
    """

    def __init__(self, where: Context | None = None) -> None:
        self.context = where if where is not None else context.resolve()
        with engine_call(self.context.name):
            self._client = self.context.connect()
            version = self._client.version()
            info = self._client.info()
        security = ",".join(info.get("SecurityOptions") or ())
        self.facts = EngineFacts(
            version["Version"],
            info["NCPU"],
            info["MemTotal"],
            Path(info["DockerRootDir"]),
            architecture=_ARCHITECTURES.get(info["Architecture"], info["Architecture"]),
            name=info["Name"],
            kernel=info["KernelVersion"],
            relabels="name=selinux" in security,
            rootless="name=rootless" in security,
            driver=info.get("CgroupDriver", "cgroupfs"),
        )

    def host_facts(self) -> HostFacts:
        """Return the facts of the engine's machine, as far as the engine knows them: `cpu` is the architecture."""
        return HostFacts(
            cpu=self.facts.architecture,
            cores=self.facts.cores,
            memory_bytes=self.facts.memory_bytes,
            kernel=f"Linux {self.facts.kernel}",
            engine=f"Docker {self.facts.version}",
            context=f"{self.context} ({self.facts.name})",
        )

    @property
    def client(self) -> docker.DockerClient:
        """The connection itself, for the modules beside this one; within `engine_call`."""
        return self._client

    def image_id(self, reference: str) -> str | None:
        """The id of an image that the engine has; None when it has not."""
        with engine_call():
            try:
                return str(self._client.images.get(reference).id)
            except docker.errors.ImageNotFound:
                return None

    def image_architecture(self, reference: str) -> str:
        """The architecture of an image that the engine has: ``arm64``, ``amd64``."""
        with engine_call():
            return str(self._client.images.get(reference).attrs["Architecture"])

    def pull(self, reference: str, *, platform: str) -> None:
        """Fetch an image from its registry.

        Raises:
            ImageUnavailable: no registry answers for it.
        """
        try:
            with engine_call():
                self._client.images.pull(reference, platform=platform)
        except EdgesimError as error:
            raise ImageUnavailable(
                f"the engine has no image {reference!r}, and cannot pull it: {error.problem}",
                fix=f"docker images lists what is there; docker pull --platform {platform} {reference}",
            ) from error

    def image_label(self, reference: str, label: str) -> str | None:
        """A label of an image that the engine has."""
        with engine_call():
            value = self._client.images.get(reference).labels.get(label)
            return str(value) if value is not None else None

    @contextmanager
    def start(self, container: Container) -> Iterator["DockerDevice"]:
        """A running container; it is removed when the block ends, however it ends.

        Raises:
            DeviceError: the engine cannot create or start it.
        """
        try:
            with engine_call():
                created = self._create(container)
        except KeyboardInterrupt:
            self.remove_session(container.session)
            raise
        try:
            with engine_call():
                begun = time.monotonic()
                created.start()
                start_s = time.monotonic() - begun
                device = DockerDevice(created, container.port, start_s=start_s, machine=self.context.machine)
                if container.network is not None:
                    here = self.context.machine is None
                    device.network = (
                        network_shaping.shape(device.pid, container.network) if here else network_shaping.OUT_OF_REACH
                    )
            yield device
        finally:
            with engine_call():
                if any(isinstance(mount, Mount) and mount.writable for mount in container.mounts):
                    created.stop(timeout=_LAST_WORDS_S)
                _remove(created)

    def _create(self, container: Container) -> Any:
        return self._client.containers.create(
            container.image,
            list(container.arguments) if container.arguments is not None else None,
            platform=container.platform,
            name=f"edgesim-{container.session}",
            labels={LABEL: __version__, SESSION_LABEL: container.session, OWNER_LABEL: owner()},
            environment=dict(container.environment),
            **mounted(container.mounts, relabel=self.facts.relabels),
            user=container.user,
            mem_limit=container.memory_bytes,
            memswap_limit=container.memory_bytes,  # of both together: no swap on top
            cpu_period=_CPU_PERIOD_US,
            cpu_quota=round(container.cpus * _CPU_PERIOD_US),
            cpuset_cpus=",".join(map(str, container.cores)) if container.cores is not None else None,
            pids_limit=container.processes,
            ulimits=_open_files(container.open_files),
            device_read_bps=_rate(container.storage_device, container.read_bytes_per_s),
            device_write_bps=_rate(container.storage_device, container.write_bytes_per_s),
            entrypoint=list(container.entrypoint) if container.entrypoint is not None else None,
            ports={f"{container.port}/tcp": (self._listens_at, container.host_port)},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            read_only=container.read_only,
            tmpfs={"/tmp": "size=64m,mode=1777"},  # noqa: S108 (the container's own)
        )

    @property
    def _listens_at(self) -> str:
        return "127.0.0.1" if self.context.machine is None else "0.0.0.0"  # noqa: S104 (or nobody could reach it)

    def remove_session(self, session: str) -> None:
        """Remove the containers of one session."""
        with engine_call():
            for container in self._client.containers.list(
                all=True, filters={"label": f"{SESSION_LABEL}={session}"}, ignore_removed=True
            ):
                _remove(container)

    @contextmanager
    def carrier(self, volumes: Mapping[str, str] | None = None, image: str | None = None) -> Iterator[Carrier]:
        """A container that is never started, through which files go in and out; gone when the block ends.

        Args:
            volumes: where each volume is in it, by name.
            image: whose files it has; without, it has none.
        """
        session = secrets.token_hex(4)
        try:
            with engine_call():
                created = self._client.containers.create(
                    image if image is not None else self._empty_image(),
                    ["-"],
                    name=f"edgesim-{session}",
                    labels={LABEL: __version__, SESSION_LABEL: session, OWNER_LABEL: owner()},
                    mounts=[
                        docker.types.Mount(target, name, type="volume", no_copy=True)
                        for name, target in (volumes or {}).items()
                    ],
                )
        except KeyboardInterrupt:
            self.remove_session(session)
            raise
        try:
            yield Carrier(created)
        finally:
            with engine_call():
                _remove(created)

    def _empty_image(self) -> str:
        if self.image_id(_EMPTY_IMAGE) is None:
            name, _, tag = _EMPTY_IMAGE.partition(":")
            self._client.api.import_image_from_data(
                bytes(10240), repository=name, tag=tag, changes=[f"LABEL {LABEL}={__version__}"]
            )
        return _EMPTY_IMAGE

    def image_config(self, reference: str) -> Mapping[str, Any]:
        """The facts of an image that the engine has, as ``docker image inspect`` names them."""
        with engine_call():
            return dict(self._client.images.get(reference).attrs)

    def load(self, archive: Path, reference: str) -> str:
        """Load an image from an archive; return its id.

        Raises:
            DeviceError: the engine cannot.
        """
        with engine_call(), archive.open("rb") as file:
            self._client.images.load(file)
            return str(self._client.images.get(reference).id)

    def remove_image(self, reference: str) -> None:
        """Remove an image's name, and with its last one the image."""
        with engine_call():
            self._client.images.remove(reference)

    def volumes(self) -> list[str]:
        """The names of edgesim's volumes."""
        with engine_call():
            return sorted(str(found.name) for found in self._client.volumes.list(filters={"label": LABEL}))

    def volume_labels(self, name: str) -> Mapping[str, str] | None:
        """The labels of the volume of that name; None where there is none."""
        with engine_call():
            try:
                return dict(self._client.volumes.get(name).attrs.get("Labels") or {})
            except docker.errors.NotFound:
                return None

    def create_volume(self, name: str) -> None:
        """Make an empty volume.

        Raises:
            UsageError: the engine takes no such name.
        """
        with engine_call():
            try:
                self._client.volumes.create(name, labels={LABEL: __version__})
            except docker.errors.APIError as error:
                if error.status_code != 400:
                    raise
                raise UsageError(
                    f"volume {name!r}: no name for a volume", fix="letters, digits, '_', '.' and '-'"
                ) from error

    def remove_volume(self, name: str) -> None:
        """Remove a volume that no container has."""
        with engine_call():
            self._client.volumes.get(name).remove()

    def users_of_volume(self, name: str) -> list[str]:
        """The names of the containers that have a volume, running or not."""
        with engine_call():
            found = self._client.containers.list(all=True, filters={"volume": name}, ignore_removed=True)
            return sorted(str(container.name) for container in found)

    def abandoned(self) -> list[str]:
        """The names of the containers of edgesim runs that are no more.

        One whose owner still runs, or ran on another host, is not among them.
        """
        with engine_call():
            ours = self._client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)
            return [str(found.name) for found in ours if owner_is_gone(found.labels.get(OWNER_LABEL, ""))]

    def collect_garbage(self) -> list[str]:
        """Remove the abandoned containers; return their names."""
        names = self.abandoned()
        for name in names:
            with engine_call(), contextlib.suppress(docker.errors.NotFound):
                _remove(self._client.containers.get(name))
        return names


def _open_files(count: int | None) -> list[Any] | None:
    return [docker.types.Ulimit(name="nofile", soft=count, hard=count)] if count is not None else None


def _rate(device: str | None, bytes_per_s: int | None) -> list[Mapping[str, str | int]] | None:
    return [{"Path": device, "Rate": bytes_per_s}] if device is not None and bytes_per_s is not None else None


def _remove(container: Any) -> None:
    try:
        container.remove(force=True, v=True)
    except docker.errors.NotFound:
        pass
    except docker.errors.APIError as error:
        if error.status_code != 409:  # "removal is already in progress"
            raise


def owner() -> str:
    """Who made a container: host, process and the process's start, which together are never used again."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}"


def owner_is_gone(label: str) -> bool:
    """Whether who made a container, as `owner` names them, is no more; False of one on another host."""
    host, _, process = label.partition(":")
    pid, _, started = process.partition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        return f"{psutil.Process(int(pid)).create_time():.2f}" != started
    except psutil.NoSuchProcess:
        return True
