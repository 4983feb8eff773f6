"""Docker contexts: the address of an engine on this machine or on another one, such as the board itself."""

import ipaddress
import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Literal
from urllib.parse import urlsplit

import docker
import requests
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.context import ContextAPI
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env

from edgesim import paths
from edgesim.engine import docker_command
from edgesim.errors import EngineMissing, UsageError

_BY_NETWORK = ("tcp", "http", "https")
_TIMEOUT_S = 120
_CONNECT_TIMEOUT_S = 10
_DEFAULT_PORT = 2375
_SSH_TIMEOUT_S = 10


@dataclass(frozen=True, kw_only=True)
class Context:
    """An engine's address.

    Attributes:
        name: the docker context or URL that the user gave; None means the current context.
        url: the engine's URL.
        tls: certificates for the URL, as the docker package takes them.
    """

    name: str | None
    url: str
    tls: Any = field(default=False, repr=False)

    def __post_init__(self) -> None:
        try:
            _ = urlsplit(self.url).port  # which parses all of the address
        except ValueError as error:
            raise UsageError(
                f"{self.url}: no address of an engine: {error}",
                fix="such as ssh://USER@HOST, tcp://HOST:2375 or unix:///var/run/docker.sock",
            ) from error

    @cached_property
    def machine(self) -> str | None:
        """Name or address of the engine's machine, under which its containers answer; None means this machine."""
        address = urlsplit(self.url)
        if address.scheme == "ssh":
            return self._ssh.get("hostname", address.hostname)
        if address.scheme not in _BY_NETWORK or address.hostname is None:
            return None
        return None if _is_loopback(address.hostname) else address.hostname

    @property
    def way_back(self) -> str:
        """What the user does to have this machine's own engine in place of this one."""
        if self.name is not None:
            return "leave `context` out"
        set_by = next((name for name in ("DOCKER_HOST", "DOCKER_CONTEXT") if os.environ.get(name)), None)
        return f"unset {set_by}" if set_by is not None else "docker context use default"

    @property
    def command_option(self) -> tuple[Literal["--context", "--host"], str] | None:
        """The docker command's option for this engine; None if the docker command uses this engine by default."""
        if self.name is None:
            return None
        return "--host" if "://" in self.name else "--context", self.name

    def connect(self) -> docker.DockerClient:
        """Return a client of the engine.

        Raises:
            docker.errors.DockerException: the engine does not answer; `engine_call` translates the error.
        """
        url = self.url
        # For a URL without a port, the docker package passes port 22 to ssh, whatever the user's configuration says.
        if (address := urlsplit(url)).scheme == "ssh" and address.port is None and "port" in self._ssh:
            url = f"ssh://{address.netloc}:{self._ssh['port']}"
        # The ssh command knows the user's keys and aliases; the docker package's own ssh client does not know all.
        connect = partial(docker.DockerClient, base_url=url, tls=self.tls, timeout=_TIMEOUT_S, use_ssh_client=True)
        if address.scheme not in _BY_NETWORK or address.hostname is None:
            return connect()
        if _is_loopback(address.hostname):
            return _apart_from_environment(connect, {})
        proxies = requests.utils.get_environ_proxies(address._replace(scheme="https").geturl(), no_proxy=None)
        if not any(proxies.get(kind) for kind in ("https" if self.tls else "http", "all")):
            _require_answer(address.hostname, address.port)
        return _apart_from_environment(connect, proxies) if self.tls else connect()

    @cached_property
    def _ssh(self) -> Mapping[str, str]:
        """The user's ssh configuration for the machine (ssh_config(5)), read without a connection."""
        user_and_host, _, port = urlsplit(self.url).netloc.partition(":")
        command = ["ssh", "-G", *(["-p", port] if port else []), user_and_host]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_SSH_TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return {}
        return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)

    def __str__(self) -> str:
        return self.name if self.name is not None else self.url


def _require_answer(host: str, port: int | None) -> None:
    """Check that a machine answers soon: the docker package waits for a connection as long as for an answer.

    Raises:
        docker.errors.DockerException: neither yes nor no came back, as from an address behind a firewall.
    """
    try:
        socket.create_connection((host, port or _DEFAULT_PORT), timeout=_CONNECT_TIMEOUT_S).close()
    except TimeoutError as error:
        raise docker.errors.DockerException(f"no connection within {_CONNECT_TIMEOUT_S} s") from error
    except OSError:  # the docker package meets it, too
        return


def _apart_from_environment(connect: "partial[docker.DockerClient]", proxies: Mapping[str, str]) -> docker.DockerClient:
    """Return a client that takes nothing from the environment, but these proxies.

    The docker command sends no request for an engine at a loopback address through a proxy, whatever HTTP_PROXY and
    NO_PROXY say, and it trusts DOCKER_CERT_PATH's authority alone. The docker package takes the proxy, and the
    authorities of REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE in place of the engine's own, already for the version that it
    asks for when it is made without one.
    """
    version = DEFAULT_DOCKER_API_VERSION
    while True:
        client = connect(version=version)
        client.api.trust_env, client.api.proxies = False, dict(proxies)
        if (newest := str(client.version(api_version=False)["ApiVersion"])) == version:
            return client
        client.close()
        version = newest


def resolve(name: str | None = None) -> Context:
    """Return the engine of a docker context or URL; without a name, the engine that the docker command uses.

    Raises:
        UsageError: there is no such context.
        EngineMissing: the docker command, which knows the contexts, is not installed.
    """
    if name is not None and "://" in name:
        return Context(name=name, url=name)
    if name is None and (url := os.environ.get("DOCKER_HOST")):
        with _certificates("DOCKER_HOST", "set DOCKER_CERT_PATH to their directory, or unset DOCKER_TLS_VERIFY"):
            return Context(name=None, url=url, tls=kwargs_from_env().get("tls", False))
    if (context_name := name if name is not None else os.environ.get("DOCKER_CONTEXT")) is not None:
        return replace(_named(context_name), name=name)
    with _certificates("the current docker context", "docker context ls; docker context use default"):
        current = ContextAPI.get_current_context()
    if current is None:
        raise UsageError(
            "the current docker context does not exist", fix="docker context ls; docker context use default"
        )
    return Context(name=None, url=str(current.Host), tls=current.TLSConfig or False)


@contextmanager
def _certificates(whose: str, fix: str) -> Iterator[None]:
    """Turn the docker package's error for missing certificates into one of edgesim's."""
    try:
        yield
    except docker.errors.TLSParameterError as error:
        raise EngineMissing(
            f"{whose}: an engine behind TLS, and its ca.pem, cert.pem or key.pem is not there", fix=fix
        ) from error


def _named(name: str) -> Context:
    """Ask the docker command for a context: the docker package overlooks contexts without a ``config.json``."""
    try:
        done = subprocess.run(
            docker_command.call("context", "inspect", name), capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise EngineMissing(
            f"`context={name}`: the context needs the docker command, which is not on the PATH",
            fix=f"sudo {paths.engine_script()} install, or give the engine's URL",
        ) from error
    if done.returncode != 0:
        raise UsageError(
            f"`context={name}`: there is no docker context of that name",
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
        with _certificates(f"`context={name}`", f"docker context update {name} --docker host=URL,ca=,cert=,key="):
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
