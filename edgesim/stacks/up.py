"""Bring a stack up on one board (images → limits → services in their order → ready), and take it down."""

import contextlib
import math
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psutil

from edgesim import paths
from edgesim.boards import gpu_provider
from edgesim.boards.board import DESCRIPTION
from edgesim.engine import compose_project, docker_command, emulation, parent_cgroup
from edgesim.engine.compose_project import HELPER_LABEL, Project, ServiceState
from edgesim.engine.docker_engine import Engine
from edgesim.engine.engine_facts import EngineFacts
from edgesim.engine.gpu_access import GpuAccess
from edgesim.engine.labels import LABEL, STACK_LABEL, run_labels
from edgesim.engine.parent_cgroup import ParentCgroup
from edgesim.errors import EdgesimError, HostError, NotReady, StackError, UsageError
from edgesim.host import ports, whole_file
from edgesim.host.cache import explain
from edgesim.host.cores import count as count_cores
from edgesim.loadgen import client
from edgesim.options import READY_TIMEOUT_S
from edgesim.progress import Listener, Stages
from edgesim.results.result_file import path_of
from edgesim.stacks import compose_file as compose
from edgesim.stacks import gpu_services, known_needs, service_images, stack_loader
from edgesim.stacks.compose_file import Naming
from edgesim.stacks.failure import failed_service
from edgesim.stacks.resolve import Resolved, resolve
from edgesim.stacks.running import RunningStack
from edgesim.stacks.service import Service
from edgesim.stacks.stack import Stack
from edgesim.units import format_seconds
from edgesim.version import __version__

_POLL_S = 0.1
# A service without health check and port counts as ready after running this long: a program that lacks something ends
# soon, and an emulated one begins slowly.
_STEADY_S, _EMULATED_STEADY_S = 0.5, 3.0
_ANSWER_S = 0.3
_DESCRIPTION_S = 10.0
_TOKEN_BYTES = 24


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a stack is brought up.

    Attributes:
        temporary: the stack belongs to this program: it has a unique name in the engine, and empty volumes that are
            removed with it. Otherwise the stack stays until `down`.
        attached: the stack, with its volumes excepted, is garbage once this process has ended.
        any_port: take free ports, whatever ports the stack gives.
        base_image: the image that the serving image is built on.
        ready_timeout_s: seconds from the start of a service, steps excepted, until it must be ready.
    """

    temporary: bool
    attached: bool = False
    any_port: bool = False
    base: str | None = None
    ready_timeout_s: float = READY_TIMEOUT_S


@contextmanager
def stack(
    source: Path | str | Stack,
    *,
    base_image: str | None = None,
    ready_timeout_s: float = READY_TIMEOUT_S,
    listener: Listener | None = None,
) -> Iterator[RunningStack]:
    """Run several services on one simulated board for the length of a ``with`` block; `url` is the entry's address.

    The stack's volumes are empty at the beginning and gone at the end, unless they are `external`.

    Args:
        source: a stack file, or a stack.
        base_image: the image that the serving image is built on.
        ready_timeout_s: seconds until each service, steps excepted, must be ready.

    Raises:
        UsageError: the stack, or something that it names, is wrong.
        HostError: this host cannot run the stack; DeviceError: an image or a service failed.
    """
    if not isinstance(source, Stack):
        source = path_of(source, "source", or_else="a stack")
    plan = Plan(temporary=True, any_port=True, base=base_image, ready_timeout_s=ready_timeout_s)
    with temporary(source, plan, Stages(listener)) as running:
        yield running


@contextmanager
def temporary(source: Path | str | Stack, plan: Plan, stages: Stages) -> Iterator[RunningStack]:
    """Run a stack for the length of a ``with`` block, like `stack`."""
    running = start(source, plan, stages)
    try:
        yield running
    finally:
        take_down(running, stages, volumes=True)


def start(source: Path | str | Stack, plan: Plan, stages: Stages) -> RunningStack:
    """Bring a stack up, and return when it is ready; after a failure only its volumes and logs stay.

    Raises:
        UsageError, HostError, DeviceError: as `stack`.
    """
    stack = source if isinstance(source, Stack) else stack_loader.read(Path(source))
    path = None if isinstance(source, Stack) else Path(source)
    with stages.stage("preflight", "looking at the engine and the emulator"):
        engine = Engine()
        if engine.context.machine is not None:
            raise HostError(
                f"context {engine.context}: a stack mounts files of this machine, so its engine runs on this machine",
                fix=f"{engine.context.way_back}, where this machine has an engine; or run edgesim on that machine",
            )
        if engine.facts.own is not None:
            raise HostError(
                "edgesim runs in a container of this engine, and a stack mounts files of the engine's host",
                fix="run edgesim on the engine's host, or an engine inside edgesim's container",
            )
        parent_cgroup.require(engine.facts)
        compose_project.version()
        docker_command.require_scratch_seen()
        resolved = of_engine(stack, engine.facts, source=path, base=plan.base)
        access = gpu_services.access(
            [name for name, service in resolved.on_board.items() if service.gpus],
            resolved.execution,
            engine,
            beside=[name for name, service in resolved.beside.items() if service.gpus],
        )
        core = resolved.profile.emulation.qemu_cpu if resolved.profile.emulation is not None else None
        running_emulator = emulation.require(engine, resolved.profile.architecture, core)
    helper = service_images.helper(engine, resolved, stages, base=plan.base)
    naming = naming_of(
        stack.name,
        engine.facts,
        temporary=plan.temporary,
        any_port=plan.any_port,
        helper=helper,
        access=access,
        socket_path=socket_path(stack, engine),
    )
    running = RunningStack(resolved, engine, Project(engine, naming.project), naming, emulator=running_emulator)
    if (whole := compose_project.abandoned(engine).get(naming.project)) is not None:
        with stages.clean_up("clean-up", f"removing what a start of {stack.name} that was killed left behind"):
            down(engine, naming.project, naming.parent, volumes=whole, late=True)
    with running.project.starting(attached=plan.attached):
        if running.project.ids():
            raise StackError(f"stack {stack.name}: is already up", fix=f"edgesim down {stack.name}")
        if not plan.any_port:
            _check_ports(stack)
        service_images.ensure(engine, resolved, stages, base=plan.base)
        try:
            ParentCgroup(naming.parent).make(
                engine,
                memory_bytes=resolved.limits.memory_bytes,
                cpus=resolved.limits.cpus,
                processes=resolved.limits.processes,
                image=helper,
            )
            running.monitor.start()
            _start_in_order(running, plan, stages)
            _look_for_providers(running, stages)
        except BaseException as error:
            with contextlib.suppress(EdgesimError, OSError):
                if isinstance(error, EdgesimError):
                    _keep_logs(running, error)
            take_down(running, stages, volumes=plan.temporary, late=True)
            raise
    return running


def socket_path(stack: Stack, engine: Engine) -> Path | None:
    """Return the path of the engine's socket; None if no service has the engine.

    Raises:
        HostError: the engine has an address and no socket.
    """
    name = next((name for name, service in stack.services.items() if service.engine), None)
    if name is None:
        return None
    address = urlsplit(engine.context.url)
    if address.scheme not in ("unix", "http+unix"):
        raise HostError(
            f"services.{name}.engine: the engine {engine.context} has no socket that a service could have",
            fix=f"{engine.context.way_back}; or leave engine out, and give the service DOCKER_HOST in environment",
        )
    return Path(unquote(address.path))


def of_engine(
    stack: Stack, facts: EngineFacts | None, *, source: Path | None = None, base: str | None = None
) -> Resolved:
    """Resolve a stack for an engine's host; for this host if there is no engine."""
    cores = facts.cores if facts is not None else count_cores()
    memory_bytes = facts.memory_bytes if facts is not None else psutil.virtual_memory().total
    return resolve(stack, source=source, host_cores=cores, host_memory_bytes=memory_bytes, base=base)


def naming_of(
    name: str,
    facts: EngineFacts | None,
    *,
    temporary: bool = False,
    any_port: bool = False,
    helper: str | None = None,
    access: GpuAccess | None = None,
    socket_path: Path | None = None,
) -> Naming:
    """Return the names and labels of a stack in an engine; `socket_path` is the engine's own, if not the usual one."""
    session = secrets.token_hex(4)
    unique = f"{name}-{session}" if temporary else name
    # A stack that stays has no owner, so that garbage collection does not take it for a leftover of an ended process.
    labels = run_labels(session) if temporary else {LABEL: __version__}
    return Naming(
        project=f"edgesim-{unique}",
        parent=ParentCgroup.of(unique, facts).name,
        labels=labels | {STACK_LABEL: name} | ({HELPER_LABEL: helper} if helper else {}),
        temporary=temporary,
        any_port=any_port,
        relabel=facts.relabels if facts is not None else False,
        user="0:0" if facts is not None and facts.rootless else f"{os.getuid()}:{os.getgid()}",
        socket=socket_path if socket_path is not None else Path(compose.SOCKET),
        proxies=docker_command.proxies(),
        gpus=access,
        quick_checks=facts is None or int(facts.version.partition(".")[0] or 0) >= 25,
    )


def directory_of(name: str) -> Path:
    """Return the directory of a stack's Compose file while it is up, and of its logs after it has failed."""
    return paths.cache_directory() / "stacks" / name


def take_down(running: RunningStack, stages: Stages, *, volumes: bool, late: bool = False) -> None:
    """Remove a stack from the engine, with its volumes if `volumes` is set; see `Project.down` for `late`."""
    with stages.clean_up("down", f"taking {running.name} down"):
        running.monitor.close()
        down(running.engine, running.project.name, running.naming.parent, volumes=volumes, late=late)


def down(engine: Engine, project_name: str, parent: str, *, volumes: bool, late: bool = False) -> None:
    """Remove a project's containers, its network, its control group and its Compose file."""
    project = Project(engine, project_name)
    states = project.states().values()
    try:
        project.down(volumes=volumes, late=late)
    finally:
        ParentCgroup(parent).remove(engine, next((state.helper for state in states if state.helper is not None), None))
        shutil.rmtree(directory_of(project_name), ignore_errors=True)


def _check_ports(stack: Stack) -> None:
    """Refuse ports that are taken, before any work: the engine would report them last."""
    for name, service in stack.services.items():
        if not service.publish:
            continue
        if (reason := ports.why_taken(service.publish)) is not None:
            raise UsageError(
                f"services.{name}.publish: port {service.publish} of 127.0.0.1: {reason}",
                fix="give another port, or 0 for any free port",
            )


def _start_in_order(running: RunningStack, plan: Plan, stages: Stages) -> None:
    """Start each service as soon as its conditions hold, until all are ready and all steps have ended."""
    stack = running.resolved.stack
    compose_file = _write_file(running)
    waiting, open_since = list(stack.order), dict.fromkeys(stack.order, math.inf)
    with stages.stage("services", f"starting {', '.join(stack.order)}"):
        while open_since:
            states = running.states()
            if (name := failed_service(running.resolved, states)) is not None:
                raise running.failure(name, not_started=waiting)
            for name in [name for name in open_since if name not in waiting and _is_settled(running, name)]:
                del open_since[name]
                how = "ended with 0 after" if stack.services[name].once else "ready after"
                stages.note(f"{name}: {how} {format_seconds(states[name].ran_s)}")
            due = [name for name in waiting if _may_start(running, name, open_since)]
            if due:
                waiting = [name for name in waiting if name not in due]
                for name in due:
                    running.project.up(compose_file, name, environment=_token(stack.services[name]))
                open_since |= dict.fromkeys(due, time.monotonic())
                continue
            _check_time(running, plan, open_since)
            time.sleep(_POLL_S)


def _token(service: Service) -> dict[str, str]:
    """Return a new secret for a service by the name of its variable; empty for a service without."""
    return {service.token: secrets.token_urlsafe(_TOKEN_BYTES)} if service.token is not None else {}


def _write_file(running: RunningStack) -> Path:
    directory = directory_of(running.project.name)
    path = directory / "compose.yaml"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        path.write_text(compose.text(running.resolved, running.naming), encoding="utf-8")
    except OSError as error:
        raise explain(error, path) from error
    return path


def _may_start(running: RunningStack, name: str, unsettled: Mapping[str, float]) -> bool:
    waits = running.resolved.stack.waits(name)
    states = running.monitor.states
    return all(
        other in states and states[other].status != "created" if condition == "started" else other not in unsettled
        for other, condition in waits.items()
    )


def _is_settled(running: RunningStack, name: str) -> bool:
    state, service = running.monitor.states.get(name), running.resolved.services[name].spec
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
    is_emulated = running.resolved.services[name].execution == "emulated"
    return state.ran_s >= (_EMULATED_STEADY_S if is_emulated else _STEADY_S)


def _look_for_providers(running: RunningStack, stages: Stages) -> None:
    """Look whether the servers with GPUs run models there.

    Raises:
        HostError: a service has a target that is a GPU's, and runs models on the processor.
    """
    for name, service in running.resolved.services.items():
        state, port = running.monitor.states.get(name), service.spec.inner_port
        if service.precision is None or state is None or port is None:
            continue
        if (address := _address(running, state, port)) is not None:
            url = "http://{}:{}".format(*address)
            with closing(client.Client(url, service.models[0], timeout_s=_DESCRIPTION_S)) as peer:
                description = peer.get_json(DESCRIPTION)
            target = service.spec.target
            gpu_provider.look_for(description, stages, target=target, where=f"services.{name}.target: {target}")


def _address(running: RunningStack, state: ServiceState, port: int) -> tuple[str, int] | None:
    """Return the address at which this host reaches a port; None if it cannot."""
    if port in state.ports:
        return "127.0.0.1", state.ports[port]
    return (state.address, port) if running.engine.facts.shares_network and state.address is not None else None


def _answers(host: str, port: int) -> bool:
    """Return whether a server listens: the engine's proxy accepts any connection, and closes it if none does."""
    try:
        with socket.create_connection((host, port), timeout=1) as connection:
            connection.settimeout(_ANSWER_S)
            try:
                return connection.recv(1) != b""
            except TimeoutError:
                return True  # the server waits for a request
    except OSError:
        return False


def _check_time(running: RunningStack, plan: Plan, open_since: Mapping[str, float]) -> None:
    for name, since in open_since.items():
        if running.resolved.services[name].spec.once or time.monotonic() - since <= plan.ready_timeout_s:
            continue
        log = running.log(name)
        raise NotReady(
            f"service {name} was not ready within {format_seconds(plan.ready_timeout_s)}",
            fix="; ".join([*known_needs.fixes(log), "a longer `ready_timeout_s`"]),
            log=log,
        )


def _keep_logs(running: RunningStack, error: EdgesimError) -> None:
    """Write the logs of all services to disk before the services are removed; the error says where."""
    logs = keep_logs(running)
    if logs:
        error.fix = "; ".join(filter(None, [error.fix, f"the complete logs are in {logs[0].parent}"]))


def keep_logs(running: RunningStack) -> Sequence[Path]:
    """Write the log of each service to a file, and return the files; a log that cannot be written is left out."""
    directory = directory_of(running.name) / "logs"
    shutil.rmtree(directory, ignore_errors=True)
    logs = []
    for name in running.states():
        path = directory / f"{name}.log"
        with contextlib.suppress(OSError):
            whole_file.write(path, f"{running.log(name, None)}\n".encode())
            logs.append(path)
    return logs
