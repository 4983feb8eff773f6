"""The containers of one stack: started and removed by Docker Compose, looked at through the engine.

Beside `buildx` the only module that imports python-on-whales.
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
from edgesim.engine.docker_engine import LABEL, OWNER_LABEL, STACK_LABEL, Engine, owner_is_gone
from edgesim.errors import ComposeMissing, DiskFull, ServiceFailed, UsageError
from edgesim.host.cgroup import Cgroup
from edgesim.host.signals import deferred
from edgesim.recording import Reading

HELPER_LABEL = "edgesim.helper"  # the image that makes and removes the stack's control group, where this user may not
PROJECT_LABEL = "com.docker.compose.project"
_SERVICE_LABEL = "com.docker.compose.service"
_KILLED = 137  # 128 + SIGKILL


def version() -> str:
    """The version of Docker Compose.

    Raises:
        ComposeMissing: the docker command or its Compose plugin is not there.
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
    """What the engine says of a service's container.

    Attributes:
        status: ``created``, ``running``, ``restarting``, ``paused``, ``exited`` or ``dead``.
        health: ``starting``, ``healthy`` or ``unhealthy``; None where nothing looks.
        restarts: how often the engine has started it again.
        ran_s: from its last start to its end, or to now.
        ports: those of 127.0.0.1, by the container's.
        address: on the stack's own network.
        helper: the image that removes the stack's control group; None where this user may.
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
        """Have Compose make and start services, whatever they wait for.

        Raises:
            ServiceFailed: the engine cannot start one; UsageError: a port is taken; DiskFull: no space is left.
        """
        self._compose(lambda compose: compose.up(list(services), **_QUIETLY), file)

    def down(self, *, volumes: bool) -> None:
        """Have Compose end and remove containers and network; and the volumes."""
        if self.ids():
            # What ends with all its data has nothing to put in order first.
            patience_s = _HASTY_S if volumes else _STOP_S
            self._compose(
                lambda compose: compose.down(remove_orphans=True, volumes=volumes, quiet=True, timeout=patience_s)
            )
        # What a start that was cut short has made, and Compose does not know of without its file.
        with engine_call():
            client = self._engine.client
            ours: dict[str, str | list[str] | bool] = {"label": f"{PROJECT_LABEL}={self.name}"}
            for container in client.containers.list(all=True, filters=ours, ignore_removed=True):
                container.remove(force=True, v=True)
            for network in client.networks.list(filters=ours):
                network.remove()
            for volume in client.volumes.list(filters=ours) if volumes else ():
                volume.remove(force=True)

    def _compose(self, call: Any, file: Path | None = None) -> None:
        compose = python_on_whales.DockerClient(
            compose_files=[file] if file is not None else [], compose_project_name=self.name
        ).compose
        failed: python_on_whales.exceptions.DockerException | None = None
        with deferred():  # a start that is torn apart leaves containers that come into being after they were removed
            try:
                call(compose)
            except python_on_whales.exceptions.DockerException as error:
                failed = error
        if failed is not None:  # and not by Ctrl-C, which the program hears, too
            _raise(failed)

    def ids(self) -> list[str]:
        """Of its containers."""
        with engine_call():
            found = self._engine.client.api.containers(all=True, filters={"label": f"{PROJECT_LABEL}={self.name}"})
            return [str(each["Id"]) for each in found]

    def volumes(self) -> list[str]:
        """The names of its volumes."""
        with engine_call():
            found = self._engine.client.volumes.list(filters={"label": f"{PROJECT_LABEL}={self.name}"})
            return sorted(str(volume.name) for volume in found)

    def states(self) -> dict[str, ServiceState]:
        """Of all services that have a container."""
        found = {}
        for id_ in self.ids():
            with engine_call():
                try:
                    facts = self._engine.client.api.inspect_container(id_)
                except docker.errors.NotFound:
                    continue
            state = _state(facts)
            found[state.service] = state
        return found

    def log(self, service: str, lines: int | None = 20) -> str:
        """The end of what a service printed; all of it with None."""
        with engine_call():
            try:
                container = self._engine.client.containers.get(self.states()[service].id)
                text = container.logs(tail=lines if lines is not None else "all")
            except (docker.errors.NotFound, KeyError):
                return ""
        return str(text.decode(errors="replace")).rstrip()

    def killed(self) -> dict[str, int]:
        """How often each service was ended for want of memory, so far, as the engine saw it."""
        with engine_call():
            events = self._engine.client.events(
                since=int(self._begun_s),
                until=int(time.time()) + 1,
                decode=True,
                filters={"label": f"{PROJECT_LABEL}={self.name}", "event": ["oom", "die"]},
            )
            return killed_in(list(events))

    def cgroup(self, state: ServiceState) -> Cgroup | None:
        """A running service's control group, where the engine runs on this host."""
        try:
            ours = state.id in Path(f"/proc/{state.pid}/cgroup").read_text()
        except OSError:
            return None
        return Cgroup.of_process(state.pid) if ours else None

    def read(self, state: ServiceState) -> Reading:
        """A service's resources through the engine, for one that is on another machine."""
        with engine_call():
            try:
                stats = self._engine.client.api.stats(state.id, stream=False, one_shot=True)
            except docker.errors.APIError:  # it has ended
                stats = {}
        return api_stats.reading(stats)


def killed_in(events: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How often each service was ended for want of memory, by the engine's events ``oom`` and ``die``.

    With one group above several containers the kernel (version 1's) tells all of them that memory has run out; the one
    that it then kills is the one that ends with SIGKILL.
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
    """The stacks that the engine has containers of: the names of their projects, by the stack's."""
    found: dict[str, list[str]] = {}
    with engine_call():
        for container in engine.client.api.containers(all=True, filters={"label": STACK_LABEL}):
            labels = container["Labels"]
            projects = found.setdefault(labels[STACK_LABEL], [])
            if (project := labels.get(PROJECT_LABEL, "")) and project not in projects:
                projects.append(project)
    return found


def abandoned(engine: Engine) -> set[str]:
    """The projects of edgesim runs that are no more, by their networks and volumes, too."""
    with engine_call():
        client, ours = engine.client, {"label": OWNER_LABEL}
        listed = [each["Labels"] for each in client.api.containers(all=True, filters=ours)]
        listed += [each.attrs["Labels"] for each in client.networks.list(filters=ours)]
        listed += [each.attrs["Labels"] for each in client.volumes.list(filters=ours)]
    return {
        labels[PROJECT_LABEL]
        for labels in listed
        if labels and LABEL in labels and PROJECT_LABEL in labels and owner_is_gone(labels.get(OWNER_LABEL, ""))
    }


_STOP_S = 10
_HASTY_S = 2
_QUIETLY: Mapping[str, Any] = {
    "detach": True,
    "dependencies": False,
    "no_build": True,
    "pull": "never",
    "quiet": True,
    "color": False,
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
    begun, ended = _time(started), _time(finished)
    if begun is None:
        return 0.0
    return (ended if ended is not None and ended > begun else time.time()) - begun


def _time(word: str) -> float | None:
    """Of the engine's nanoseconds Python takes six digits; the year 1 stands for never."""
    if word.startswith("0001"):
        return None
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", word).replace("Z", "+00:00")).timestamp()


def _raise(error: python_on_whales.exceptions.DockerException) -> NoReturn:
    """Compose's last words in ours."""
    lines = [line.strip() for line in str(error.stderr or error).splitlines() if line.strip()]
    last = lines[-1].removeprefix("Error response from daemon: ") if lines else "no reason given"
    if "unknown command: docker compose" in " ".join(lines) or "is not a docker command" in " ".join(lines):
        version()
    if found := re.search(r"(?:Bind for|listen tcp4?) (?:127\.0\.0\.1|0\.0\.0\.0):(\d+)", last):
        raise UsageError(
            f"port {found[1]} of 127.0.0.1: another program has it", fix="give the service another port to publish"
        ) from error
    if "no space left on device" in last:
        raise DiskFull("no space left on the engine's disk", fix="docker system df shows what fills it") from error
    raise ServiceFailed(
        f"Docker Compose cannot start it: {last}",
        fix="edgesim stack render shows what it was told",
        log="\n".join(lines[-8:]) if len(lines) > 1 else "",
    ) from error
