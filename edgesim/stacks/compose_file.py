"""The Compose file of a stack, which ``docker compose`` takes as edgesim does."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from edgesim.boards.server_command import server_arguments, server_environment
from edgesim.engine.compose_project import TOKEN_LABEL
from edgesim.engine.gpu_access import ANY_GPU, GPU_ENVIRONMENT, GROUPS, GpuAccess
from edgesim.engine.mounts import Mount, VolumeMount
from edgesim.host.cpu_quota import CpuQuota
from edgesim.printable import printable
from edgesim.profiles.image import SERVER_PORT
from edgesim.stacks.resolve import Resolved, ResolvedService
from edgesim.stacks.service import ME, Service
from edgesim.units import format_bytes
from edgesim.version import __version__

SOCKET = "/var/run/docker.sock"
_STOP_S = 10
# An emulated health check starts a whole program, so it runs seldom once the service is ready.
_CHECK_EVERY, _CHECK_WHILE_STARTING, _CHECK_PATIENCE = "60s", "2s", "30s"
_STARTING = "600s"
# Without a space: Podman 5.4 splits the arguments of a check at spaces.
_OWN_CHECK = (
    f"c=__import__('_socket').socket();c.connect(('127.0.0.1',{SERVER_PORT}));"
    "c.send(b'GET\\x20/v2/health/WORD\\x20HTTP/1.0\\r\\n\\r\\n');"
    "__import__('sys').exit(c.recv(64).find(b'\\x20200\\x20')<0)"
)


@dataclass(frozen=True, kw_only=True)
class Naming:
    """The names and labels of one start of a stack in the engine.

    Attributes:
        project: Compose project, after which containers, networks and volumes are named.
        parent: control group above all containers, by the engine's name for it.
        labels: labels of everything that is made.
        temporary: the stack goes with the program that started it, and its volumes with the stack.
        any_port: take free ports, whatever ports the stack file gives.
        relabel: label mounted files for containers, as SELinux requires.
        gpus: how the engine gives a service its GPUs; None means by a device request, as every engine takes one.
        quick_checks: the engine has a check interval for starting services (since version 25).
        user: ``UID:GID`` of the user who runs edgesim, as a container of this engine has it.
        socket: the engine's socket on its host.
        proxies: the variables that Compose would set in every container, by this user's configuration. They are no part
            of the board, and one service's requests to another would go through them: they are set to nothing. Beside
            the board they stay, and lead past the proxy to the stack's services.
    """

    project: str
    parent: str
    labels: Mapping[str, str] = field(default_factory=dict)
    temporary: bool = False
    any_port: bool = False
    relabel: bool = False
    quick_checks: bool = True
    user: str = "0:0"
    socket: Path = Path(SOCKET)
    proxies: Mapping[str, str] = field(default_factory=dict)
    gpus: GpuAccess | None = None


def as_mapping(resolved: Resolved, naming: Naming) -> dict[str, Any]:
    """Return the Compose file as a mapping."""
    own = {name: external for name, external in resolved.stack.volumes.items() if not external}
    existing = [name for name, external in resolved.stack.volumes.items() if external]
    existing += [
        m.volume for service in resolved.services.values() for m in service.mounts if isinstance(m, VolumeMount)
    ]
    volumes: dict[str, Any] = {name: {"labels": dict(naming.labels)} for name in own}
    volumes |= {name: {"external": True, "name": name} for name in existing}
    document: dict[str, Any] = {
        "name": naming.project,
        "services": {name: _service(resolved, resolved.services[name], naming) for name in resolved.stack.order},
        "networks": {"default": {"labels": dict(naming.labels)}},
    }
    return document | ({"volumes": volumes} if volumes else {})


def text(resolved: Resolved, naming: Naming) -> str:
    """Return the text of the Compose file, with comments on what Compose itself cannot say."""
    limits = resolved.limits
    source = resolved.source.name if resolved.source is not None else resolved.name
    board = printable(resolved.profile.title_and_mode)
    head = (
        f"# {printable(source)} as edgesim {__version__} starts it on a simulated {board}.\n"
        f"#\n# All services on the board are in one control group, {naming.parent}, which edgesim makes first and "
        "limits to\n"
        f"# what the board has: {format_bytes(limits.memory_bytes)} of memory, {limits.cpus:g} CPUs, "
        f"{limits.processes} processes. Without edgesim,\n# each service has only its own limits.\n"
    )
    out = io.StringIO()
    yaml = YAML(typ="rt", pure=True)
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(_escaped(as_mapping(resolved, naming)), out)
    return head + out.getvalue()


def _escaped(value: Any) -> Any:
    """Escape dollar signs, which Compose takes for variables."""
    if isinstance(value, dict):
        return {key: _escaped(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_escaped(each) for each in value]
    return value.replace("$", "$$") if isinstance(value, str) else value


def _service(resolved: Resolved, service: ResolvedService, naming: Naming) -> dict[str, Any]:
    spec = service.spec
    waits = resolved.stack.waits(service.name)
    facts: dict[str, Any] = {
        "image": service.image,
        "platform": f"linux/{service.architecture}",
        "pull_policy": "never",  # the engine has the image already, for this architecture
        "entrypoint": list(spec.entrypoint) if spec.entrypoint is not None else None,
        "command": _command(resolved, service),
        "user": naming.user if spec.user == ME else spec.user,
        "environment": _proxies(resolved, service, naming) | _environment(resolved, service),
        "volumes": [*_model_mounts(resolved, service, naming), *_mounts(spec, naming), *_engine_mounts(spec, naming)],
        "ports": _ports(resolved, service, naming),
        "depends_on": {name: {"condition": _CONDITIONS[condition]} for name, condition in waits.items()},
        "healthcheck": _check(spec, naming),
        "restart": spec.restart if spec.restart != "no" else None,  # a bare no is a Boolean in YAML 1.1
        **_limits(resolved, service, naming),
        "security_opt": ["no-new-privileges:true"],
        "stop_grace_period": f"{_STOP_S}s",
        "labels": dict(naming.labels) | ({TOKEN_LABEL: spec.token} if spec.token is not None else {}),
        **_confined(spec),
        **(_gpus(naming.gpus) if service.gpus else {}),
    }
    if spec.engine:
        facts["group_add"] = [*facts.get("group_add", ()), str(_group_of(naming.socket))]
    return {key: value for key, value in facts.items() if value not in (None, [], {})}


_CONDITIONS = {
    "started": "service_started",
    "healthy": "service_healthy",
    "completed": "service_completed_successfully",
}


def _limits(resolved: Resolved, service: ResolvedService, naming: Naming) -> dict[str, Any]:
    """Return the limits of a service: its own within the board's; beside the board, its own alone."""
    spec, limits, quota = service.spec, resolved.limits, CpuQuota.of_container(service.cpus)
    memory = {"mem_limit": service.memory_bytes, "memswap_limit": service.memory_bytes}  # of both: no swap on top
    cpu = {"cpu_period": quota.period_us, "cpu_quota": quota.quota_us}
    if spec.beside:
        return (memory if spec.memory is not None else {}) | (cpu if spec.cpus is not None else {})
    return {
        "cgroup_parent": naming.parent,
        **memory,
        **cpu,
        "pids_limit": limits.processes,
        "ulimits": {"nofile": {"soft": limits.open_files, "hard": limits.open_files}},
    }


def _confined(service: Service) -> dict[str, Any]:
    """Confine edgesim's own server. Another image may need to write to its own files, or to begin as root."""
    if service.image is not None or service.build is not None:
        return {}
    return {"read_only": True, "cap_drop": ["ALL"], "tmpfs": ["/tmp:size=64m,mode=1777"]}  # noqa: S108


def _gpus(access: GpuAccess | None) -> dict[str, Any]:
    """Return what a service has in addition to its own to have the GPUs of the machine."""
    groups = {"group_add": list(GROUPS)}
    if access is not None and access.runtime is not None:
        return groups | {"runtime": access.runtime}
    requests = access.requests if access is not None else (ANY_GPU,)
    devices = [
        {
            "driver": request.driver or None,
            "device_ids": list(request.device_ids or ()),
            "count": "all" if request.count == -1 else None,
            "capabilities": ["gpu"],  # which Compose requires, and the driver cdi ignores
        }
        for request in requests
    ]
    return groups | {
        "deploy": {
            "resources": {
                "reservations": {
                    "devices": [{k: v for k, v in device.items() if v not in (None, [])} for device in devices]
                }
            }
        }
    }


def _command(resolved: Resolved, service: ResolvedService) -> list[str] | None:
    if not service.spec.serves:
        return list(service.spec.command) if service.spec.command is not None else None
    return server_arguments(
        [model.name for model in service.models],
        repository=resolved.profile.image.mount_point,
        intra_op_threads=service.threads,
        board_cores=service.board_cores,
        host="0.0.0.0",  # noqa: S104 (of the container)
        port=SERVER_PORT,
        gpus=service.precision,
        watch=service.spec.watch is not None,
    )


def _proxies(resolved: Resolved, service: ResolvedService, naming: Naming) -> dict[str, str]:
    if not service.spec.beside:
        return dict.fromkeys(naming.proxies, "")
    configured = filter(None, [naming.proxies.get("NO_PROXY")])
    past_the_proxy = ",".join([*configured, *resolved.services])
    return dict.fromkeys(("NO_PROXY", "no_proxy"), past_the_proxy) if naming.proxies else {}


def _environment(resolved: Resolved, service: ResolvedService) -> dict[str, str | None]:
    """Return a container's environment; Compose takes the value of a None from its own, where the token is."""
    gpu = GPU_ENVIRONMENT if service.gpus else {}
    token = {service.spec.token: None} if service.spec.token is not None else {}
    return (
        dict(gpu)
        | token
        | server_environment(
            resolved.profile,
            service.execution,
            own_server=service.spec.serves,
            threads=service.threads,
            variables=service.spec.environment,
        )
    )


def _model_mounts(resolved: Resolved, service: ResolvedService, naming: Naming) -> Iterable[dict[str, Any]]:
    watched = service.spec.watch
    if watched is not None and watched.volume is not None:
        yield _volume(watched.volume, resolved.profile.image.mount_point, writable=False)
    for mount in service.mounts:
        if isinstance(mount, Mount):
            yield _bind(str(mount.source), mount.target, writable=mount.writable, naming=naming)
        else:
            yield _volume(mount.volume, mount.target, writable=False)


def _mounts(service: Service, naming: Naming) -> Iterable[dict[str, Any]]:
    for mount in service.mounts:
        if mount.bind is not None:
            yield _bind(str(mount.bind.resolve()), mount.at, writable=mount.writable, naming=naming)
        elif mount.volume is not None:
            yield _volume(mount.volume, mount.at, writable=mount.writable)


def _engine_mounts(service: Service, naming: Naming) -> Iterable[dict[str, Any]]:
    if service.engine:
        yield {"type": "bind", "source": str(naming.socket), "target": SOCKET}


def _group_of(socket: Path) -> int:
    """Return the group that owns a socket; that of root if the socket is not there, as without an engine."""
    return socket.stat().st_gid if socket.exists() else 0


def _bind(source: str, target: str, *, writable: bool, naming: Naming) -> dict[str, Any]:
    options: dict[str, Any] = {"create_host_path": False} | ({"selinux": "z"} if naming.relabel else {})
    return {"type": "bind", "source": source, "target": target, "read_only": not writable, "bind": options}


def _volume(name: str, target: str, *, writable: bool) -> dict[str, Any]:
    return {"type": "volume", "source": name, "target": target, "read_only": not writable}


def _ports(resolved: Resolved, service: ResolvedService, naming: Naming) -> list[dict[str, Any]]:
    entry = resolved.stack.entry
    is_entry = entry is not None and entry.service == service.name
    if service.spec.inner_port is None or (service.spec.publish is None and not is_entry):
        return []
    port: dict[str, Any] = {"target": service.spec.inner_port, "host_ip": "127.0.0.1", "protocol": "tcp"}
    if service.spec.publish and not naming.any_port:
        port["published"] = str(service.spec.publish)
    return [port]


def _check(service: Service, naming: Naming) -> dict[str, Any] | None:
    if service.healthy is None and not service.serves:
        return None
    # A server without a model is not ready; a watched repository may begin empty.
    word = "live" if service.watch is not None else "ready"
    command = service.healthy or ("python3", "-S", "-I", "-c", _OWN_CHECK.replace("WORD", word))
    check = {"test": ["CMD", *command], "timeout": _CHECK_PATIENCE, "retries": 3, "start_period": _STARTING}
    if naming.quick_checks:
        return check | {"interval": _CHECK_EVERY, "start_interval": _CHECK_WHILE_STARTING}
    return check | {"interval": "5s"}
