"""The containers of one stack: Docker Compose starts and removes them, the engine reports on them."""

import contextlib
import os
import re
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import docker.errors

from edgesim import paths
from edgesim.engine import api_stats, container_events, docker_command
from edgesim.engine.api_errors import engine_call
from edgesim.engine.docker_engine import Engine, remove_container
from edgesim.engine.labels import LABEL, OWNER_LABEL, STACK_LABEL, run_labels
from edgesim.errors import ComposeMissing, DiskFull, HostError, ServiceFailed, StackError, UsageError
from edgesim.host import kernel_log, proxies
from edgesim.host.cgroup import Cgroup
from edgesim.host.owner import Owner, is_left_behind
from edgesim.host.parent_death import AT_START
from edgesim.host.signals import deferred
from edgesim.recording import Reading

# The value is the image whose container makes and removes the stack's control group, if this user may not.
HELPER_LABEL = "edgesim.helper"
# The value is the variable of the container's environment that has a secret for the service's address.
TOKEN_LABEL = "edgesim.token"  # noqa: S105
PROJECT_LABEL = "com.docker.compose.project"
_SERVICE_LABEL = "com.docker.compose.service"
_KILLED = 137  # 128 + SIGKILL
_STOP_TIMEOUT_S = 10
_SHORT_STOP_TIMEOUT_S = 2
# Compose's words that start services whose conditions edgesim has waited for.
_UP = ("up", "--detach", "--no-deps", "--no-build", "--pull", "never", "--quiet-pull", "--no-color")
# The engine finishes to create a container whose client has ended, so that the container appears after the removal of
# all others: this long after the last one, none is expected any more.
_LATE_S = 1.0
_POLL_S = 0.1
# Of a container that never runs: the project that is being started by the container's owner.
_START_LABEL = "edgesim.start"


def version() -> str:
    """Return the version of Docker Compose.

    Raises:
        ComposeMissing: the docker command or its Compose plugin is not installed.
    """
    fix = f"sudo {paths.engine_script()} install"
    try:
        command = docker_command.call("compose", "version", "--short")
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
        proxies: the proxies in the container's environment by variable, without passwords.
        helper: the image whose container removes the stack's control group; None if this user may remove the group.
        token: the secret of the service's address, which no result, report or log has; None if it has none.
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
    proxies: Mapping[str, str] = field(default_factory=dict)
    helper: str | None = None
    token: str | None = field(default=None, repr=False)

    @property
    def running(self) -> bool:
        return self.status in ("running", "paused")

    @property
    def ended(self) -> bool:
        return self.status in ("exited", "dead")

    @property
    def word(self) -> str:
        """The state as a person reads it. The engine keeps the health of a service that has ended."""
        if self.ended:
            return f"exited ({self.exit_code})"
        return self.health if self.running and self.health is not None else self.status


class Project:
    """The containers, network and volumes of one start of a stack."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.name = name
        self._engine = engine
        self._begun_s = time.time()

    @contextmanager
    def starting(self, *, attached: bool = False) -> Iterator[None]:
        """Mark the project in the engine as being started, for the length of the block.

        The mark is a container that never runs: its name is taken by one process at a time, and its owner tells whether
        a project that is half up was left behind. A stack that is up has no mark, and no owner: it stays.

        Args:
            attached: keep the mark until `down`, since the project is to end with this process.

        Raises:
            StackError: another process starts the project.
        """
        session = secrets.token_hex(4)
        image = self._engine.images.make_empty()
        try:
            with engine_call():
                mark = self._mark(image, run_labels(session))
        except KeyboardInterrupt:
            self._engine.remove_session(session)
            raise
        if mark is None:
            name = self.name.removeprefix("edgesim-")
            raise StackError(
                f"stack {name}: another edgesim is starting the stack, or is attached to the stack",
                fix=f"wait, or: edgesim down {name}",
            )
        is_up = False
        try:
            yield
            is_up = True
        finally:
            if not (is_up and attached):
                with engine_call(), contextlib.suppress(docker.errors.NotFound):
                    mark.remove(force=True)

    def _mark(self, image: str, labels: Mapping[str, str]) -> Any:
        """Make the container that marks the project; None if there is one."""
        try:
            return self._engine.client.containers.create(
                image, ["-"], name=f"{self.name}-starting", labels={**labels, _START_LABEL: self.name}
            )
        except docker.errors.APIError as error:
            if error.status_code != 409:  # the name is taken
                raise
            return None

    def up(self, file: Path, service: str, *, environment: Mapping[str, str]) -> None:
        """Have Compose make and start one service, even if it depends on others.

        One at a time: when Compose fails at one service, it leaves the others half made.

        Args:
            environment: added to the environment from which Compose takes the variables without a value in `file`.

        Raises:
            ServiceFailed: the engine cannot start a service; UsageError: a port is taken; DiskFull: no space is left.
        """
        self._compose("--file", str(file), *_UP, service, service=service, environment=environment)

    def down(self, *, volumes: bool, late: bool = False) -> None:
        """Have Compose end and remove the containers and the network, and with `volumes` the volumes, too.

        Args:
            late: wait for containers that the engine is still creating, of a start that was cut short.
        """
        if self.ids():
            # Services whose volumes are removed have no data to write before they end.
            timeout_s = _SHORT_STOP_TIMEOUT_S if volumes else _STOP_TIMEOUT_S
            of_volumes = ["--volumes"] if volumes else []
            with contextlib.suppress(ServiceFailed):  # what Compose cannot remove is removed below
                self._compose("down", "--remove-orphans", "--timeout", str(timeout_s), *of_volumes)
        until = time.monotonic() + (_LATE_S if late else 0.0)
        while True:
            # Leftovers of an interrupted `up`, which Compose cannot see without its file.
            if self._remove_all(volumes=volumes, late=late) and late:
                until = time.monotonic() + _LATE_S
            if time.monotonic() >= until:
                return
            time.sleep(_POLL_S)

    def _remove_all(self, *, volumes: bool, late: bool) -> bool:
        """Remove what the project has in the engine; return whether it had containers."""
        with engine_call():
            client = self._engine.client
            filters: dict[str, str | list[str] | bool] = {"label": f"{PROJECT_LABEL}={self.name}"}
            containers = client.containers.list(all=True, filters=filters, ignore_removed=True)
            for container in containers:
                remove_container(container)
            of_start: dict[str, str | list[str] | bool] = {"label": f"{_START_LABEL}={self.name}"}
            for mark in client.containers.list(all=True, filters=of_start, ignore_removed=True):
                # With `late`, this process's own start was cut short: `starting` removes the mark at the end.
                owner = mark.labels.get(OWNER_LABEL, "")
                if is_left_behind(owner) or (not late and owner == Owner.this_process().label):
                    remove_container(mark)
            for network in client.networks.list(filters=filters):
                # Boards that a service with the engine started, and that its end has left running.
                network.reload()
                for id_ in network.attrs.get("Containers") or {}:
                    with contextlib.suppress(docker.errors.NotFound):
                        if LABEL in (board := client.containers.get(id_)).labels:
                            remove_container(board)
                network.remove()
            for volume in client.volumes.list(filters=filters) if volumes else ():
                volume.remove(force=True)
            return bool(containers)

    def _compose(self, *words: str, service: str | None = None, environment: Mapping[str, str] | None = None) -> None:
        """Run Docker Compose on the project; `service` is the one that it starts, for an error.

        In a session of its own, Ctrl-C does not reach Compose, which would leave containers behind that the engine is
        still creating.
        """
        command = docker_command.call("compose", "--project-name", self.name, *words)
        with deferred():
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                preexec_fn=AT_START,
            )
        if done.returncode != 0:
            _raise(done.stderr, service)

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
        """Return the last lines that a service printed, without its token; all lines with None."""
        with engine_call():
            try:
                state = self.states()[service]
                container = self._engine.client.containers.get(state.id)
                text = container.logs(tail=lines if lines is not None else "all")
            except (docker.errors.NotFound, KeyError):
                return ""
        log = str(text.decode(errors="replace")).rstrip()
        return log.replace(state.token, "***") if state.token else log

    def killed(self) -> dict[str, int]:
        """Return how often the kernel killed each service at a memory limit so far.

        The engine's events tell of the kills, and so does the kernel's log where edgesim may read the log: the engine
        may lose an event.
        """
        with engine_call():
            told = container_events.since(self._engine.client, self._begun_s, ["oom", "die"], self._filter, wait_s=1)
            logged = {name: kernel_log.memory_kills(state.id) for name, state in self.states().items()}
        kills = killed_in(told)
        return kills | {name: max(count, kills.get(name, 0)) for name, count in logged.items() if count}

    def paused_s(self) -> float:
        """Return the seconds in which another program paused services, added up, by the engine's events."""
        with engine_call():
            return container_events.paused_s(self._engine.client, self._begun_s, self._filter)

    @property
    def _filter(self) -> dict[str, str]:
        return {"label": f"{PROJECT_LABEL}={self.name}"}

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


def abandoned(engine: Engine) -> dict[str, bool]:
    """Return the projects that edgesim runs left behind, even those with only a network or a volume left.

    The value is whether the whole project belonged to the run, with its volumes; otherwise it is a stack that was to
    stay, and whose start was cut short.
    """
    with engine_call():
        client, filters = engine.client, {"label": OWNER_LABEL}
        all_labels = [each["Labels"] for each in client.api.containers(all=True, filters=filters)]
        all_labels += [each.attrs["Labels"] for each in client.networks.list(filters=filters)]
        all_labels += [each.attrs["Labels"] for each in client.volumes.list(filters=filters)]
    left = [
        labels for labels in all_labels if labels and LABEL in labels and is_left_behind(labels.get(OWNER_LABEL, ""))
    ]
    projects = {labels[_START_LABEL]: False for labels in left if _START_LABEL in labels}
    return projects | {labels[PROJECT_LABEL]: True for labels in left if PROJECT_LABEL in labels}


def _state(facts: Mapping[str, Any]) -> ServiceState:
    state, settings = facts["State"], facts["NetworkSettings"]
    ports = {
        int(inner.partition("/")[0]): int(bound[0]["HostPort"])
        for inner, bound in (settings.get("Ports") or {}).items()
        if bound and bound[0].get("HostPort")
    }
    environment = {name: value for name, _, value in (word.partition("=") for word in facts["Config"].get("Env") or ())}
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
        proxies=proxies.of(environment),
        helper=facts["Config"]["Labels"].get(HELPER_LABEL),
        token=environment.get(facts["Config"]["Labels"].get(TOKEN_LABEL)),
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


def _raise(said: str, service: str | None) -> NoReturn:
    """Raise the error that Compose's last line stands for."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = lines[-1].removeprefix("Error response from daemon: ") if lines else "no reason given"
    if "unknown command: docker compose" in " ".join(lines) or "is not a docker command" in " ".join(lines):
        version()
    if match := re.search(r"(?:Bind for|listen tcp4?) (?:127\.0\.0\.1|0\.0\.0\.0):(\d+)", last):
        raise UsageError(
            f"port {match[1]} of 127.0.0.1: another program uses it", fix="publish another port of the service"
        )
    if "bind source path does not exist" in last:
        raise HostError(
            f"the engine cannot see a file that a service mounts: {last}",
            fix="put the stack's files where the engine sees them: Docker from snap sees neither /tmp nor hidden"
            " directories of the home, an engine in a virtual machine only shared directories",
        )
    if "no space left on device" in last:
        raise DiskFull("no space left on the engine's disk", fix="docker system df shows what fills it")
    raise ServiceFailed(
        f"Docker Compose cannot start {f'service {service}' if service is not None else 'the services'}: {last}",
        fix="edgesim stack render shows the Compose file",
        log="\n".join(lines[-8:]) if len(lines) > 1 else "",
    )
