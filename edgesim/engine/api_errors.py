"""What the docker package and the HTTP client below it raise, in edgesim's words."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import docker.errors
import psutil
import requests
import urllib3

from edgesim import paths
from edgesim.errors import DeviceError, DiskFull, EngineDenied, EngineMissing, HostError
from edgesim.host.signals import deferred


@contextmanager
def engine_call(context: str | None = None) -> Iterator[None]:
    """Translate the errors of all calls to the engine in the block; Ctrl-C waits until they are done.

    `context` is what the engine was asked for by, for when it does not answer.
    """
    try:
        with deferred():
            yield
    except docker.errors.APIError as error:
        raise _api_error(error) from error
    except (docker.errors.DockerException, requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _connection_error(error, context) from error


def _api_error(error: docker.errors.APIError) -> DeviceError | HostError:
    text = str(error.explanation or error)
    if "no space left on device" in text.lower():
        return DiskFull(
            f"no space left on the engine's disk: {text}",
            fix="docker system prune, or docker system df to see what fills it",
        )
    if "bind source path does not exist" in text:
        return HostError(
            f"the engine does not see a file to be mounted: {text}",
            fix="share its directory with the engine, or run the engine on this host",
        )
    return DeviceError(f"the engine refuses: {text}", fix="edgesim doctor checks what it needs")


def _connection_error(error: BaseException, context: str | None) -> HostError:
    script = paths.engine_script()
    where = context or os.environ.get("DOCKER_HOST") or "the socket of the current docker context"
    if "paramiko" in str(error):
        return EngineMissing(f"ssh to the engine at {where} takes a package more", fix="pip install 'edgesim[ssh]'")
    reasons = list(_chain(error))
    if context is not None:
        return EngineMissing(
            f"no Docker Engine answers at {where}: {' '.join(str(error).split())}",
            fix=f"docker {'-H' if '://' in context else '--context'} {context} version says more",
        )
    if any(isinstance(reason, PermissionError) for reason in reasons):
        return EngineDenied(
            f"a Docker Engine is there, but {_user()} may not use {where}",
            fix="sudo usermod -aG docker $USER, then log in anew (or run with sudo)",
        )
    if any(isinstance(reason, (FileNotFoundError, ConnectionRefusedError)) for reason in reasons):
        return EngineMissing(
            f"no Docker Engine answers at {where}", fix=f"sudo {script} install && sudo {script} start"
        )
    return EngineMissing(
        f"no Docker Engine answers at {where}: {error}", fix=f"sudo {script} install && sudo {script} start"
    )


def _user() -> str:
    try:
        return psutil.Process().username()
    except (KeyError, psutil.Error):
        return f"user {os.getuid()}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception, what it was raised from, and what it carries in its arguments: urllib3 nests them in all ways."""
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
