"""buildx: images built for any platform, through the docker command.

Only this module imports python-on-whales.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

import python_on_whales
import python_on_whales.exceptions

from edgesim import paths
from edgesim.engine import docker_command
from edgesim.engine.context import Context
from edgesim.errors import BaseUnavailable, BuildFailed, BuildxMissing, DiskFull

_LOG_LINES = 12
# BuildKit's words for an image of FROM that no registry gives.
_NO_BASE = re.compile(r"failed to solve: (?P<name>\S+): failed to resolve source metadata for \S+: (?P<reason>.+)")
_REGISTRY_TIMEOUT_S = 15


def version() -> str:
    """Return the version of buildx.

    Raises:
        BuildxMissing: the docker command or its buildx plugin is not installed.
    """
    fix = f"sudo {paths.engine_script()} install"
    try:
        command = docker_command.call("buildx", "version")
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except OSError as error:
        raise BuildxMissing("no docker command on the PATH", fix=fix) from error
    if done.returncode != 0:
        raise BuildxMissing("the docker command has no buildx plugin", fix=fix)
    return done.stdout.split()[1]


def registry_has(image: str) -> bool:
    """Return whether a registry has a public image; False if no registry answers within a few seconds."""
    try:
        command = docker_command.call("buildx", "imagetools", "inspect", image)
        done = subprocess.run(command, capture_output=True, timeout=_REGISTRY_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def build(
    *,
    context: Path,
    dockerfile: Path,
    tag: str,
    platform: str,
    build_contexts: Mapping[str, Path],
    build_args: Mapping[str, str],
    labels: Mapping[str, str],
    use_cache: bool = True,
    engine: Context | None = None,
) -> None:
    """Build an image with buildx and load it into the engine.

    Args:
        context: directory of the build context.
        build_contexts: directories that replace stages of the Dockerfile, by the stages' names.
        engine: None means the engine that the docker command uses.

    Raises:
        BuildxMissing: buildx is not installed.
        HostError: the docker command is the snap, and cannot read the files.
        BaseUnavailable: no registry gives an image that the build starts from.
        BuildFailed: the build failed; the error has the end of the log.
        DiskFull: no space is left for the image.
    """
    version()
    docker_command.require_seen([context, *build_contexts.values()])
    lines: list[str] = []
    try:
        stream = _client(engine).buildx.build(
            context,
            file=dockerfile,
            tags=tag,
            platforms=[platform],
            build_contexts={name: str(directory) for name, directory in build_contexts.items()},
            build_args=dict(build_args),
            labels=dict(labels),
            secrets=_certificate_secrets(),
            provenance=False,
            cache=use_cache,
            load=True,
            progress="plain",
            stream_logs=True,
        )
        assert isinstance(stream, Iterator), "stream_logs yields lines"
        lines.extend(line.rstrip() for line in stream)
    except python_on_whales.exceptions.DockerException as error:
        log = [*lines, *str(error.stderr or "").splitlines()]
        _raise_build_failure("\n".join(log[-_LOG_LINES:]), error)


def _client(engine: Context | None) -> python_on_whales.DockerClient:
    command = [*_ending_with_parent(), *docker_command.call()]
    match engine.command_option if engine is not None else None:
        case ("--context", name):
            return python_on_whales.DockerClient(context=name, client_call=command)
        case ("--host", url):
            return python_on_whales.DockerClient(host=url, client_call=command)
    return python_on_whales.DockerClient(client_call=command)


def _ending_with_parent() -> list[str]:
    """Return the words before a command with which the command ends if SIGKILL ends edgesim; else a build would go on.

    The library starts the command by itself, so that `host.parent_death` cannot act in the new process.
    """
    return ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") is not None else []


def _certificate_secrets() -> list[str]:
    """Return the host's certificates as a build secret: behind a company's proxy, a build that fetches needs them."""
    for path in (os.environ.get("SSL_CERT_FILE"), "/etc/ssl/certs/ca-certificates.crt"):
        if path and Path(path).is_file():
            return [f"id=ca,src={path}"]
    return []


def _raise_build_failure(log: str, cause: Exception) -> NoReturn:
    if "no space left on device" in log.lower():
        raise DiskFull(
            "no space left on the engine's disk while building the image",
            fix="docker system df shows what fills it; docker system prune frees space",
        ) from cause
    if base := _NO_BASE.search(log):
        raise BaseUnavailable(
            f"the image {base['name']}, which the build starts from, cannot be fetched: {base['reason']}",
            fix=f"check the name; docker pull {base['name']} must work, and a private registry needs docker login",
        ) from cause
    raise BuildFailed(
        "the image could not be built", fix="edgesim doctor checks what a build needs", log=log
    ) from cause
