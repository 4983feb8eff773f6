"""Errors of the docker package, and of the HTTP client below it, as errors of edgesim."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import docker.errors
import psutil
import requests
import requests.utils
import urllib3

from edgesim import paths
from edgesim.engine import delegation, own_container
from edgesim.errors import (
    DiskFull,
    EngineDenied,
    EngineMissing,
    EngineRefused,
    HostError,
    KilledFromOutside,
    LimitsDenied,
)
from edgesim.host.proxies import without_password
from edgesim.host.signals import deferred

_SOCKETS_GROUP = "--group-add $(stat -c %g /var/run/docker.sock)"
_GIVE_SOCKET = (
    f"give this container an engine: docker run -v /var/run/docker.sock:/var/run/docker.sock {_SOCKETS_GROUP}, or "
    "DOCKER_HOST; `engine=local` and predictions need none"
)


@contextmanager
def engine_call(context: str | None = None) -> Iterator[None]:
    """Translate the errors of all calls to the engine in the block; Ctrl-C waits until the block is done.

    Args:
        context: the docker context or URL that the user gave, for the message if the engine does not answer.

    Raises:
        HostError: the engine does not answer, or its host lacks something; EngineRefused: the engine refuses a call.
    """
    try:
        with deferred():
            yield
    except docker.errors.APIError as error:
        raise _one_sided_tls(error, context) or _api_error(error) from error
    except (docker.errors.DockerException, requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _one_sided_tls(error, context) or _connection_error(error, context) from error


def files_unseen(which: str) -> HostError:
    """Return the error for files of this host that the engine, on another machine or in a container, does not see."""
    return HostError(
        f"the engine cannot see a file that it should mount: {which}",
        fix="use `mount=volume`, which copies the model; or share its directory with the engine",
    )


def _api_error(error: docker.errors.APIError) -> EngineRefused | KilledFromOutside | HostError:
    text = str(error.explanation or error)
    if "no space left on device" in text.lower():
        return DiskFull(
            f"no space left on the engine's disk: {text}",
            fix="docker system df shows what fills it; docker system prune frees space",
        )
    if "bind source path does not exist" in text or "making volume mountpoint" in text:  # Docker; Podman
        return files_unseen(text)
    if "cgroups in hybrid mode not supported" in text:  # crun
        return HostError(
            f"the engine's runtime does not run on control groups v1 and v2 at once: {text}",
            fix='sudo apt-get install runc; write runtime = "runc" below [engine] into /etc/containers/containers.conf',
        )
    if "AppArmor enabled on system but" in text:  # Debian's docker.io without the packages that it recommends
        return HostError(
            f"the engine cannot start containers: {text}",
            fix="sudo apt-get install apparmor && sudo systemctl restart docker",
        )
    if delegation.is_refusal(text):
        return LimitsDenied(f"the engine may not set a limit of the board: {text}", fix=delegation.DELEGATE)
    if "Requested CPUs are not available" in text:
        return HostError(
            f"the engine's cores differ from this host's: {text}",
            fix="omit `client_cores`, or give the engine all cores (its cpuset or affinity)",
        )
    if "No such container" in text or "marked for removal" in text:
        return KilledFromOutside(
            f"another program removed the container: {text}", fix="docker events shows what removes containers"
        )
    return EngineRefused(f"the engine refuses: {text}", fix="edgesim doctor checks what a run needs")


def _one_sided_tls(error: BaseException, context: str | None) -> EngineMissing | None:
    """Return the error for an engine that is behind TLS and is asked without, or the other way round; else None."""
    text, address = str(error), _address(context)
    in_context = "docker context create NAME --docker host={},ca=…,cert=…,key=…; then give its name as `context`"
    if "Client sent an HTTP request to an HTTPS server" in text:  # Go's net/http
        return EngineMissing(
            f"the engine at {address} is behind TLS, and was asked without",
            fix=in_context.format(address)
            if context is not None
            else "DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH: the directory of ca.pem, cert.pem and key.pem, which"
            " docker:dind writes to client in its DOCKER_TLS_CERTDIR",
        )
    if "WRONG_VERSION_NUMBER" in text or "record layer failure" in text:  # OpenSSL's reasons for an answer in plain
        return EngineMissing(
            f"the engine at {address} is not behind TLS, and was asked through TLS",
            fix="give its URL as `context`"
            if context is not None
            else "unset DOCKER_TLS_VERIFY, or give the port that is behind TLS, usually 2376",
        )
    return None


def _address(context: str | None) -> str:
    return context or os.environ.get("DOCKER_HOST") or "the socket of the current docker context"


def _connection_error(error: BaseException, context: str | None) -> HostError:
    script = paths.engine_script()
    address = _address(context)
    if "paramiko" in str(error):
        return EngineMissing(f"ssh to the engine at {address} needs another package", fix="pip install 'edgesim[ssh]'")
    if "key usage extension" in str(error):  # also where the docker command gets an answer
        return EngineMissing(
            f"the engine at {address}: Python {platform.python_version()} takes no certificate of an authority without"
            " a key usage (RFC 5280)",
            fix="make the authority's certificate anew: openssl req … -addext keyUsage=critical,keyCertSign; images"
            " docker:dind do so since May 2025",
        )
    reasons = list(_chain(error))
    if context is not None:
        return EngineMissing(
            f"no Docker Engine answers at {address}: {' '.join(str(error).split())}",
            fix=f"docker {'-H' if '://' in context else '--context'} {context} version shows more details",
        )
    if any(isinstance(reason, PermissionError) for reason in reasons):
        name = _user_name()
        return EngineDenied(
            f"a Docker Engine runs, but {name or f'user {psutil.Process().username()}'} may not use {address}",
            fix="sudo usermod -aG docker $USER, then log in again (or run with sudo)"
            if name is not None and not own_container.is_in_container()
            else f"add the socket's group: docker run {_SOCKETS_GROUP}",
        )
    if address.startswith(("tcp://", "http://", "https://", "ssh://")):
        return EngineMissing(
            f"no Docker Engine answers at {address}: {' '.join(str(error).split())}",
            fix=f"docker -H {address} version shows more details; DOCKER_HOST says where the engine"
            f" is{_proxy_hint(address)}",
        )
    is_plain = any(isinstance(reason, (FileNotFoundError, ConnectionRefusedError)) for reason in reasons)
    if "DOCKER_HOST" in os.environ:
        fix = (
            "correct or unset DOCKER_HOST, which says where the engine is; a machine without one:"
            f" sudo {script} install && sudo {script} start"
        )
    elif own_container.is_in_container():
        fix = _GIVE_SOCKET
    else:
        fix = f"sudo {script} install && sudo {script} start"
    return EngineMissing(f"no Docker Engine answers at {address}{'' if is_plain else f': {error}'}", fix=fix)


def _user_name() -> str | None:
    """Return the user's name; None for a user without an entry in the user database, as in a container."""
    name = psutil.Process().username()
    return None if name.isdigit() else name


def _proxy_hint(address: str) -> str:
    """Return what to do about a proxy that the request to the engine goes through; empty if it goes through none."""
    host = urlsplit(address).hostname or ""
    url = f"http://{host}"
    if requests.utils.should_bypass_proxies(url, no_proxy=None):
        return ""
    proxy = requests.utils.get_environ_proxies(url, no_proxy=None).get("http")
    return f"; the request goes through the proxy {without_password(proxy)}: add {host} to NO_PROXY" if proxy else ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, its causes, and the exceptions in its arguments: urllib3 nests errors in all these ways."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        nested = [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]
        waiting += [item for item in nested if isinstance(item, BaseException)]
