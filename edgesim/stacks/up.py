"""A stack, up and running on one board: images → budget → services in their order → ready; and down again."""

import contextlib
import math
import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from edgesim import __version__, paths
from edgesim.engine import compose_project
from edgesim.engine.compose_project import HELPER_LABEL, Project, ServiceState
from edgesim.engine.docker_engine import LABEL, OWNER_LABEL, SESSION_LABEL, STACK_LABEL, Engine, EngineFacts, owner
from edgesim.engine.parent_cgroup import Parent
from edgesim.errors import EdgesimError, HostError, NotReady, StackError, UsageError
from edgesim.host import emulator
from edgesim.host.emulator import Emulator
from edgesim.options import READY_TIMEOUT_S
from edgesim.progress import Listener, Stages
from edgesim.stacks import compose_file as compose
from edgesim.stacks import service_images, stack_loader
from edgesim.stacks.compose_file import Naming
from edgesim.stacks.failure import failed_service, failure
from edgesim.stacks.monitor import Watch
from edgesim.stacks.resolve import Resolved, resolve
from edgesim.stacks.stack import Stack
from edgesim.units import format_seconds

_POLL_S = 0.1
# A service that says nothing of itself is up when it has run for so long.
_STEADY_S = 0.5
_ANSWER_S = 0.3


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a stack is to be brought up.

    Attributes:
        temporary: it is this program's: in the engine under a name of its own, with empty volumes that go with it, on
            any free ports. Else it stays, until `down`.
        base_image: the image that the serving image is built on.
        ready_timeout_s: for each service that is not a step, from its start.
    """

    temporary: bool
    base: str | None = None
    ready_timeout_s: float = READY_TIMEOUT_S


class Running:
    """A stack whose services are ready, and whose steps have ended well.

    Attributes:
        resolved: what it was made from.
        watch: reads its services.
    """

    def __init__(
        self, resolved: Resolved, engine: Engine, project: Project, naming: Naming, *, emulator: Emulator | None
    ) -> None:
        self.resolved, self.engine, self.project, self.naming, self.emulator = (
            resolved,
            engine,
            project,
            naming,
            emulator,
        )
        self.watch = Watch(project)

    @property
    def name(self) -> str:
        """The stack's."""
        return self.resolved.name

    @property
    def url(self) -> str:
        """Where its entry answers.

        Raises:
            StackError: it has none.
        """
        if self.resolved.stack.entry is None:
            raise StackError(f"stack {self.name}: has no entry", fix="name the service that is addressed: entry: NAME")
        return self.urls[self.resolved.stack.entry.service]

    @property
    def urls(self) -> Mapping[str, str]:
        """Where the services that publish a port answer on this host, by their names."""
        found = {}
        for name, part in self.resolved.parts.items():
            state, port = self.watch.states.get(name), part.service.inner_port
            if state is not None and port is not None and port in state.ports:
                found[name] = f"http://127.0.0.1:{state.ports[port]}"
        return found

    @property
    def finished(self) -> bool:
        """Whether it has nothing but steps, and so nothing that still runs."""
        return all(part.service.once for part in self.resolved.parts.values())

    def states(self) -> Mapping[str, ServiceState]:
        """Of all services, now."""
        return self.watch.look()

    def log(self, service: str, lines: int | None = 20) -> str:
        """The end of what a service has printed; all of it with None."""
        return self.project.log(service, lines)

    def killed(self) -> Mapping[str, int]:
        """How often the kernel has killed something of each service for want of memory."""
        found = dict(self.project.killed())
        for name, readings in self.watch.readings.items():
            counted = max((reading.oom_kills or 0 for reading in readings), default=0)
            found[name] = max(found.get(name, 0), counted)
        return {name: count for name, count in found.items() if count}

    def check(self) -> None:
        """Whether all is well.

        Raises:
            DeviceError: a service has ended by itself.
        """
        name = failed_service(self.resolved, self.states())
        if name is not None:
            raise failure(self, name)

    def wait(self, seconds: float = math.inf) -> None:
        """Wait for so long, or for as long as all services run.

        Raises:
            DeviceError: one has ended by itself.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, 0.5))


@contextmanager
def stack(
    source: Path | str | Stack,
    *,
    base_image: str | None = None,
    ready_timeout_s: float = READY_TIMEOUT_S,
    listener: Listener | None = None,
) -> Iterator[Running]:
    """Several services on one simulated board, for the length of a ``with`` block; its `url` is the entry's.

    Its volumes are empty at the beginning and gone at the end; one that is to stay is `external`, or `start` is used.

    Args:
        source: a stack file, or a stack.
        base_image: the image that the serving image is built on.
        ready_timeout_s: for each service that is not a step.

    Raises:
        UsageError: the stack, or what it names, is not what it should be.
        HostError: this host cannot; DeviceError: an image or a service failed.
    """
    plan = Plan(temporary=True, base=base_image, ready_timeout_s=ready_timeout_s)
    with temporary(source, plan, Stages(listener)) as running:
        yield running


@contextmanager
def temporary(source: Path | str | Stack, plan: Plan, stages: Stages) -> Iterator[Running]:
    """As `stack`."""
    running = start(source, plan, stages)
    try:
        yield running
    finally:
        take_down(running, volumes=True)


def start(source: Path | str | Stack, plan: Plan, stages: Stages) -> Running:
    """Bring a stack up, and return when it is ready; where that goes wrong, nothing of it stays but volumes and logs.

    Raises:
        UsageError, HostError, DeviceError: as `stack`.
    """
    written = source if isinstance(source, Stack) else stack_loader.read(Path(source))
    path = None if isinstance(source, Stack) else Path(source)
    with stages.stage("preflight", "looking at the engine and the emulator"):
        engine = Engine()
        if engine.context.machine is not None:
            raise HostError(
                f"context {engine.context}: a stack runs on an engine of this machine alone, whose files it mounts",
                fix="docker context use default; on a board itself, edgesim runs there",
            )
        compose_project.version()
        resolved = of_engine(written, engine.facts, source=path, base=plan.base)
        core = resolved.profile.emulation.qemu_cpu if resolved.profile.emulation is not None else None
        through = emulator.require(resolved.profile.architecture, core)
    helper = service_images.helper(engine, resolved, stages, base=plan.base)
    naming = naming_of(written.name, engine.facts, temporary=plan.temporary, helper=helper)
    running = Running(resolved, engine, Project(engine, naming.project), naming, emulator=through)
    if running.project.ids():
        raise StackError(f"stack {written.name}: is up already", fix=f"edgesim down {written.name}")
    if not plan.temporary:
        _check_ports(written)
    service_images.ensure(engine, resolved, stages, base=plan.base)
    try:
        Parent(naming.parent).make(
            engine,
            memory_bytes=resolved.budget.memory_bytes,
            cpus=resolved.budget.cpus,
            processes=resolved.budget.processes,
            image=helper,
        )
        running.watch.start(naming.parent)
        _start_in_order(running, plan, stages)
    except BaseException as error:
        with contextlib.suppress(EdgesimError, OSError):
            if isinstance(error, EdgesimError):
                _keep_logs(running, error)
        take_down(running, volumes=plan.temporary)
        raise
    return running


def of_engine(
    written: Stack, facts: EngineFacts | None, *, source: Path | None = None, base: str | None = None
) -> Resolved:
    """A stack resolved for an engine's host, or without an engine for this one."""
    cores = facts.cores if facts is not None else psutil.cpu_count() or 1
    memory_bytes = facts.memory_bytes if facts is not None else psutil.virtual_memory().total
    return resolve(written, source=source, host_cores=cores, host_memory_bytes=memory_bytes, base=base)


def naming_of(name: str, facts: EngineFacts | None, *, temporary: bool = False, helper: str | None = None) -> Naming:
    """How a stack is called in an engine."""
    session = secrets.token_hex(4)
    unique = f"{name}-{session}" if temporary else name
    # A stack that stays has no owner: nobody is to take it for left behind when its maker has gone.
    mine = {OWNER_LABEL: owner(), SESSION_LABEL: session} if temporary else {}
    return Naming(
        project=f"edgesim-{unique}",
        parent=Parent.of(unique, facts).name,
        labels={LABEL: __version__, STACK_LABEL: name} | mine | ({HELPER_LABEL: helper} if helper else {}),
        any_port=temporary,
        relabel=facts.relabels if facts is not None else False,
        quick_checks=facts is None or int(facts.version.partition(".")[0] or 0) >= 25,
    )


def directory_of(name: str) -> Path:
    """Where a stack's Compose file is while it is up, and its logs when it has failed."""
    return paths.cache_directory() / "stacks" / name


def take_down(running: Running, *, volumes: bool) -> None:
    """Remove all of it from the engine: volumes only if told."""
    running.watch.close()
    down(running.engine, running.project.name, running.naming.parent, volumes=volumes)


def down(engine: Engine, project_name: str, parent: str, *, volumes: bool) -> None:
    """Remove a project's containers, its network, its control group and its Compose file."""
    found = Project(engine, project_name)
    states = found.states().values()
    found.down(volumes=volumes)
    Parent(parent).remove(engine, next((state.helper for state in states if state.helper is not None), None))
    shutil.rmtree(directory_of(project_name), ignore_errors=True)


def _check_ports(written: Stack) -> None:
    """Before the work: the engine would find out last of all."""
    for name, service in written.services.items():
        if not service.publish:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", service.publish))
            except OSError as error:
                raise UsageError(
                    f"services.{name}.publish: port {service.publish} of 127.0.0.1: {error.strerror}",
                    fix="give another port, or 0 for any that is free",
                ) from error


def _start_in_order(running: Running, plan: Plan, stages: Stages) -> None:
    """Start each service as soon as what it waits for is there, until all are ready and all steps have ended."""
    written = running.resolved.stack
    compose_file = _write_file(running)
    waiting, open_since = list(written.order), dict.fromkeys(written.order, math.inf)
    with stages.stage("services", f"starting {', '.join(written.order)}"):
        while open_since:
            states = running.states()
            if (name := failed_service(running.resolved, states)) is not None:
                raise failure(running, name, not_started=waiting)
            for name in [name for name in open_since if name not in waiting and _is_settled(running, name)]:
                del open_since[name]
                how = "ended well after" if written.services[name].once else "ready after"
                stages.note(f"{name}: {how} {format_seconds(states[name].ran_s)}")
            due = [name for name in waiting if _may_start(running, name, open_since)]
            if due:
                waiting = [name for name in waiting if name not in due]
                running.project.up(compose_file, due)
                open_since |= dict.fromkeys(due, time.monotonic())
                continue
            _check_time(running, plan, open_since)
            time.sleep(_POLL_S)


def _write_file(running: Running) -> Path:
    directory = directory_of(running.project.name)
    path = directory / "compose.yaml"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        path.write_text(compose.text(running.resolved, running.naming), encoding="utf-8")
    except OSError as error:
        raise StackError(f"{path}: cannot write: {error.strerror}", fix="set EDGESIM_CACHE_DIR elsewhere") from error
    return path


def _may_start(running: Running, name: str, unsettled: Mapping[str, float]) -> bool:
    waits = running.resolved.stack.waits(name)
    states = running.watch.states
    return all(
        other in states and states[other].status != "created" if condition == "started" else other not in unsettled
        for other, condition in waits.items()
    )


def _is_settled(running: Running, name: str) -> bool:
    state, service = running.watch.states.get(name), running.resolved.parts[name].service
    if state is None:
        return False
    if service.once:
        return state.ended and state.exit_code == 0
    if not state.running:
        return False
    if service.checked:
        return state.health == "healthy"
    if service.inner_port is not None and (address := _address(running, state, service.inner_port)) is not None:
        return _answers(*address)
    return state.ran_s >= _STEADY_S


def _address(running: Running, state: ServiceState, port: int) -> tuple[str, int] | None:
    """Where a port can be reached from this host; None where it cannot."""
    if port in state.ports:
        return "127.0.0.1", state.ports[port]
    return (state.address, port) if running.engine.facts.here and state.address is not None else None


def _answers(host: str, port: int) -> bool:
    """Whether someone listens: the engine's proxy takes any connection, and closes it at once where nobody does."""
    try:
        with socket.create_connection((host, port), timeout=1) as connection:
            connection.settimeout(_ANSWER_S)
            try:
                return connection.recv(1) != b""
            except TimeoutError:
                return True  # it waits for what we want
    except OSError:
        return False


def _check_time(running: Running, plan: Plan, open_since: Mapping[str, float]) -> None:
    for name, since in open_since.items():
        if running.resolved.parts[name].service.once or time.monotonic() - since <= plan.ready_timeout_s:
            continue
        raise NotReady(
            f"service {name} was not ready within {format_seconds(plan.ready_timeout_s)}",
            fix="give it longer with --ready-timeout",
            log=running.log(name),
        )


def _keep_logs(running: Running, error: EdgesimError) -> None:
    """What all services printed, on disk, before they are gone."""
    written = keep_logs(running)
    if written:
        error.fix = "; ".join(filter(None, [error.fix, f"the whole logs are in {written[0].parent}"]))


def keep_logs(running: Running) -> Sequence[Path]:
    """Write down what all services printed; the files."""
    directory = directory_of(running.name) / "logs"
    shutil.rmtree(directory, ignore_errors=True)
    written = []
    for name in running.states():
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{name}.log"
        path.write_text(f"{running.log(name, None)}\n", encoding="utf-8")
        written.append(path)
    return written
