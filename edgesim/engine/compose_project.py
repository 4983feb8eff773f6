"""The containers of one stack: Docker Compose starts and removes them, the engine reports on them.

Only this module and `buildx` import python-on-whales.
"""

import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import docker.errors
import python_on_whales
import python_on_whales.exceptions

from edgesim import paths
from edgesim.engine import api_stats
from edgesim.engine.api_errors import engine_call
from edgesim.engine.docker_engine import Engine
from edgesim.engine.labels import LABEL, OWNER_LABEL, STACK_LABEL
from edgesim.errors import ComposeMissing, DiskFull, ServiceFailed, UsageError
from edgesim.host.cgroup import Cgroup
from edgesim.host.owner import is_left_behind
from edgesim.host.signals import deferred
from edgesim.recording import Reading

# The value is the image whose container makes and removes the stack's control group, if this user may not.
HELPER_LABEL = "edgesim.helper"
PROJECT_LABEL = "com.docker.compose.project"
_SERVICE_LABEL = "com.docker.compose.service"
_KILLED = 137  # 128 + SIGKILL
_STOP_TIMEOUT_S = 10
_SHORT_STOP_TIMEOUT_S = 2
_UP_OPTIONS: Mapping[str, Any] = {
    "detach": True,
    "dependencies": False,
    "no_build": True,
    "pull": "never",
    "quiet": True,
    "color": False,
}


def version() -> str:
    """Return the version of Docker Compose.

    Raises:
        ComposeMissing: the docker command or its Compose plugin is not installed.
    """
    fix = f"sudo {paths.engine_script()} install"
    try:
        command = ["docker", "compose", "version", "--short"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except OSError as error:
        raise ComposeMissing("no docker command on the PATH", fix=fix) from error
    if done.returncode != 0:
        raise ComposeMissing("the docker command has no compose plugin", fix=fix)
    return done.stdout.strip()


@dataclass(frozen=True, kw_only=True)
class ServiceState:
    """The state of a service's container, as the engine reports it.

    Attributes:
        status: ``created``, ``running``, ``restarting``, ``paused``, ``exited`` or ``dead``.
        health: ``starting``, ``healthy`` or ``unhealthy``; None if the service has no health check.
        restarts: how often the engine has started the container again.
        ran_s: seconds from the last start to the end, or until now.
        ports: published ports of 127.0.0.1, by the container's port.
        address: the container's address in the stack's network.
        helper: the image whose container removes the stack's control group; None if this user may remove the group.
    """

    service: str
    id: str
    image: str
    pid: int
    status: str
    exit_code: int
    health: str | None
    restarts: int
    ran_s: float
    ports: Mapping[int, int]
    address: str | None
    helper: str | None = None

    @property
    def running(self) -> bool:
        return self.status in ("running", "paused")

    @property
    def ended(self) -> bool:
        return self.status in ("exited", "dead")


class Project:
    """The containers, network and volumes of one start of a stack."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.name = name
        self._engine = engine
        self._begun_s = time.time()

    def up(self, file: Path, services: Sequence[str]) -> None:
        """Have Compose make and start services at once, even those that depend on others.

        Raises:
            ServiceFailed: the engine cannot start a service; UsageError: a port is taken; DiskFull: no space is left.
        """
        self._compose(lambda compose: compose.up(list(services), **_UP_OPTIONS), file)

    def down(self, *, volumes: bool) -> None:
        """Have Compose end and remove the containers and the network, and with `volumes` the volumes, too."""
        if self.ids():
            # Services whose volumes are removed have no data to write before they end.
            timeout_s = _SHORT_STOP_TIMEOUT_S if volumes else _STOP_TIMEOUT_S
            self._compose(
                lambda compose: compose.down(remove_orphans=True, volumes=volumes, quiet=True, timeout=timeout_s)
            )
        # Leftovers of an interrupted `up`, which Compose cannot see without its file.
        with engine_call():
            client = self._engine.client
            filters: dict[str, str | list[str] | bool] = {"label": f"{PROJECT_LABEL}={self.name}"}
            for container in client.containers.list(all=True, filters=filters, ignore_removed=True):
                container.remove(force=True, v=True)
            for network in client.networks.list(filters=filters):
                network.remove()
            for volume in client.volumes.list(filters=filters) if volumes else ():
                volume.remove(force=True)

    def _compose(self, call: Any, file: Path | None = None) -> None:
        compose = python_on_whales.DockerClient(
            compose_files=[file] if file is not None else [], compose_project_name=self.name
        ).compose
        failed: python_on_whales.exceptions.DockerException | None = None
        with deferred():  # an interrupted `up` creates containers even after their removal
            try:
                call(compose)
            except python_on_whales.exceptions.DockerException as error:
                failed = error
        if failed is not None:  # after `deferred`: Ctrl-C ends Compose as well, and goes before Compose's error
            _raise(failed)

    def ids(self) -> list[str]:
        """Return the ids of the project's containers."""
        with engine_call():
            containers = self._engine.client.api.containers(all=True, filters={"label": f"{PROJECT_LABEL}={self.name}"})
            return [str(container["Id"]) for container in containers]

    def volumes(self) -> list[str]:
        """Return the names of the project's volumes."""
        with engine_call():
            volumes = self._engine.client.volumes.list(filters={"label": f"{PROJECT_LABEL}={self.name}"})
            return sorted(str(volume.name) for volume in volumes)

    def states(self) -> dict[str, ServiceState]:
        """Return the states of all services that have a container, by service."""
        states = {}
        for id_ in self.ids():
            with engine_call():
                try:
                    facts = self._engine.client.api.inspect_container(id_)
                except docker.errors.NotFound:
                    continue
            state = _state(facts)
            states[state.service] = state
        return states

    def log(self, service: str, lines: int | None = 20) -> str:
        """Return the last lines that a service printed; all lines with None."""
        with engine_call():
            try:
                container = self._engine.client.containers.get(self.states()[service].id)
                text = container.logs(tail=lines if lines is not None else "all")
            except (docker.errors.NotFound, KeyError):
                return ""
        return str(text.decode(errors="replace")).rstrip()

    def killed(self) -> dict[str, int]:
        """Return how often the kernel killed each service at a memory limit so far, by the engine's events."""
        with engine_call():
            events = self._engine.client.events(
                since=int(self._begun_s),
                until=int(time.time()) + 1,
                decode=True,
                filters={"label": f"{PROJECT_LABEL}={self.name}", "event": ["oom", "die"]},
            )
            return killed_in(list(events))

    def cgroup(self, state: ServiceState) -> Cgroup | None:
        """Return a running service's control group; None if the engine does not run on this host."""
        return Cgroup.of_container(state.id, state.pid)

    def read(self, state: ServiceState) -> Reading:
        """Return a reading of a service through the engine, for an engine that does not run on this host."""
        return api_stats.read(self._engine.client.api, state.id)


def killed_in(events: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return how often the kernel killed each service at a memory limit, by the engine's events ``oom`` and ``die``.

    If several containers share a parent group (version 1), all of them get the event ``oom``; the one that the kernel
    kills is the one that ends with SIGKILL.
    """
    counts: dict[str, int] = {}
    out_of_memory: set[str] = set()
    for event in sorted(events, key=lambda event: event["timeNano"]):
        facts = event["Actor"]["Attributes"]
        service = facts.get(_SERVICE_LABEL, "")
        if event["Action"] == "oom":
            out_of_memory.add(service)
        elif service in out_of_memory:
            out_of_memory.discard(service)
            if int(facts.get("exitCode", 0)) == _KILLED:
                counts[service] = counts.get(service, 0) + 1
    return counts


def stacks(engine: Engine) -> dict[str, list[str]]:
    """Return the stacks that have containers in the engine: the names of their projects, by the stack's name."""
    projects_of: dict[str, list[str]] = {}
    with engine_call():
        for container in engine.client.api.containers(all=True, filters={"label": STACK_LABEL}):
            labels = container["Labels"]
            projects = projects_of.setdefault(labels[STACK_LABEL], [])
            if (project := labels.get(PROJECT_LABEL, "")) and project not in projects:
                projects.append(project)
    return projects_of


def abandoned(engine: Engine) -> set[str]:
    """Return the projects that edgesim runs left behind, even those with only a network or a volume left."""
    with engine_call():
        client, filters = engine.client, {"label": OWNER_LABEL}
        all_labels = [each["Labels"] for each in client.api.containers(all=True, filters=filters)]
        all_labels += [each.attrs["Labels"] for each in client.networks.list(filters=filters)]
        all_labels += [each.attrs["Labels"] for each in client.volumes.list(filters=filters)]
    return {
        labels[PROJECT_LABEL]
        for labels in all_labels
        if labels and LABEL in labels and PROJECT_LABEL in labels and is_left_behind(labels.get(OWNER_LABEL, ""))
    }


def _state(facts: Mapping[str, Any]) -> ServiceState:
    state, settings = facts["State"], facts["NetworkSettings"]
    ports = {
        int(inner.partition("/")[0]): int(bound[0]["HostPort"])
        for inner, bound in (settings.get("Ports") or {}).items()
        if bound and bound[0].get("HostPort")
    }
    addresses = [network.get("IPAddress") for network in (settings.get("Networks") or {}).values()]
    return ServiceState(
        service=facts["Config"]["Labels"].get(_SERVICE_LABEL, ""),
        id=facts["Id"],
        image=facts["Image"],
        pid=state["Pid"],
        status=state["Status"],
        exit_code=state["ExitCode"],
        health=(state.get("Health") or {}).get("Status"),
        restarts=facts["RestartCount"],
        ran_s=_seconds(state["StartedAt"], state["FinishedAt"]),
        ports=ports,
        address=next((address for address in addresses if address), None),
        helper=facts["Config"]["Labels"].get(HELPER_LABEL),
    )


def _seconds(started: str, finished: str) -> float:
    begin, end = _time(started), _time(finished)
    if begin is None:
        return 0.0
    return (end if end is not None and end > begin else time.time()) - begin


def _time(word: str) -> float | None:
    """Parse a time of the engine; None for the year 1, which means never. Python reads six digits of a second."""
    if word.startswith("0001"):
        return None
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", word).replace("Z", "+00:00")).timestamp()


def _raise(error: python_on_whales.exceptions.DockerException) -> NoReturn:
    """Raise the error that Compose's last line stands for."""
    lines = [line.strip() for line in str(error.stderr or error).splitlines() if line.strip()]
    last = lines[-1].removeprefix("Error response from daemon: ") if lines else "no reason given"
    if "unknown command: docker compose" in " ".join(lines) or "is not a docker command" in " ".join(lines):
        version()
    if match := re.search(r"(?:Bind for|listen tcp4?) (?:127\.0\.0\.1|0\.0\.0\.0):(\d+)", last):
        raise UsageError(
            f"port {match[1]} of 127.0.0.1: another program uses it", fix="publish another port of the service"
        ) from error
    if "no space left on device" in last:
        raise DiskFull("no space left on the engine's disk", fix="docker system df shows what fills it") from error
    raise ServiceFailed(
        f"Docker Compose cannot start the services: {last}",
        fix="edgesim stack render shows the Compose file",
        log="\n".join(lines[-8:]) if len(lines) > 1 else "",
    ) from error
