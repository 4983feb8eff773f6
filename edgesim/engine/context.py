"""Which Docker Engine is meant: one of this machine, or one of another, such as the board itself."""

import ipaddress
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal
from urllib.parse import urlsplit

import docker
from docker.context import ContextAPI
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env

from edgesim import paths
from edgesim.errors import EngineMissing, UsageError

_TIMEOUT_S = 120
_SSH_PATIENCE_S = 10


@dataclass(frozen=True, kw_only=True)
class Context:
    """An engine's address.

    Attributes:
        name: what it was asked for by: a docker context's name or a URL; None is the current one.
        url: where it answers; `tls` the certificates for that, as the docker package takes them.
    """

    name: str | None
    url: str
    tls: Any = field(default=False, repr=False)

    @cached_property
    def machine(self) -> str | None:
        """The name or address under which another machine's containers answer; None for an engine of this one."""
        address = urlsplit(self.url)
        if address.scheme == "ssh":
            return self._ssh.get("hostname", address.hostname)
        if address.scheme not in ("tcp", "http", "https") or address.hostname is None:
            return None
        return None if _is_loopback(address.hostname) else address.hostname

    @property
    def command_option(self) -> tuple[Literal["--context", "--host"], str] | None:
        """How the docker command is told; None where it finds the same by itself."""
        if self.name is None:
            return None
        return "--host" if "://" in self.name else "--context", self.name

    def connect(self) -> docker.DockerClient:
        """A client of the engine; raises what the docker package does."""
        url = self.url
        # The package would tell the ssh command port 22, whatever port the user's configuration has for that machine.
        if (address := urlsplit(url)).scheme == "ssh" and address.port is None and "port" in self._ssh:
            url = f"ssh://{address.netloc}:{self._ssh['port']}"
        # The ssh command knows the user's keys and aliases; the package's own client does not know all of them.
        return docker.DockerClient(base_url=url, tls=self.tls, timeout=_TIMEOUT_S, use_ssh_client=True)

    @cached_property
    def _ssh(self) -> Mapping[str, str]:
        """What the user's ssh configuration says of the machine (ssh_config(5)); no connection is made for it."""
        user_and_host, _, port = urlsplit(self.url).netloc.partition(":")
        command = ["ssh", "-G", *(["-p", port] if port else []), user_and_host]
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=_SSH_PATIENCE_S, check=False).stdout
        except (OSError, subprocess.TimeoutExpired):
            return {}
        return dict(line.split(" ", 1) for line in said.splitlines() if " " in line)

    def __str__(self) -> str:
        return self.name if self.name is not None else self.url


def resolve(name: str | None = None) -> Context:
    """The engine of a docker context or of a URL; without, the one that the docker command would take.

    Raises:
        UsageError: there is no such context.
        EngineMissing: there is no docker command to ask.
    """
    if name is not None and "://" in name:
        return Context(name=name, url=name)
    if name is None and (url := os.environ.get("DOCKER_HOST")):
        return Context(name=None, url=url, tls=kwargs_from_env().get("tls", False))
    if (wanted := name if name is not None else os.environ.get("DOCKER_CONTEXT")) is not None:
        return replace(_named(wanted), name=name)
    found = ContextAPI.get_current_context()
    if found is None:
        raise UsageError("the current docker context is not there", fix="docker context ls; docker context use default")
    return Context(name=None, url=str(found.Host), tls=found.TLSConfig or False)


def _named(name: str) -> Context:
    """As the docker command has it: the package overlooks contexts where there is no ``config.json`` beside them."""
    try:
        done = subprocess.run(["docker", "context", "inspect", name], capture_output=True, text=True, check=False)
    except OSError as error:
        raise EngineMissing(
            f"--context {name}: no docker command on the PATH to ask for it",
            fix=f"sudo {paths.engine_script()} install, or give the engine's URL",
        ) from error
    if done.returncode != 0:
        raise UsageError(
            f"--context {name}: there is no docker context of that name",
            fix=f"docker context create {name} --docker host=ssh://USER@BOARD; docker context ls",
        )
    (facts,) = json.loads(done.stdout)
    endpoint, tls = facts["Endpoints"]["docker"], None
    files = facts.get("TLSMaterial", {}).get("docker", ())
    if files:
        ca, cert, key = (
            next((f"{facts['Storage']['TLSPath']}/docker/{file}" for file in files if file.startswith(kind)), None)
            for kind in ("ca", "cert", "key")
        )
        tls = TLSConfig(
            client_cert=(cert, key) if cert and key else None,
            ca_cert=ca,
            verify=not endpoint.get("SkipTLSVerify", False),
        )
    return Context(name=name, url=endpoint["Host"], tls=tls or False)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
