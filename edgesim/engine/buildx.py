"""buildx: images built for any platform, through the docker command. Beside `project` the only module that imports
python-on-whales.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

import python_on_whales
import python_on_whales.exceptions

from edgesim import paths
from edgesim.engine.context import Context
from edgesim.errors import BuildFailed, BuildxMissing, DiskFull

_LOG_LINES = 12
_REGISTRY_PATIENCE_S = 15


def version() -> str:
    """The version of buildx.

    Raises:
        BuildxMissing: the docker command or its buildx plugin is not there.
    """
    fix = f"sudo {paths.engine_script()} install"
    try:
        done = subprocess.run(["docker", "buildx", "version"], capture_output=True, text=True, timeout=30, check=False)
    except OSError as error:
        raise BuildxMissing("no docker command on the PATH", fix=fix) from error
    if done.returncode != 0:
        raise BuildxMissing("the docker command has no buildx plugin", fix=fix)
    return done.stdout.split()[1]


def registry_has(image: str) -> bool:
    """Whether a registry answers for a public image, within a few seconds."""
    try:
        command = ["docker", "buildx", "imagetools", "inspect", image]
        done = subprocess.run(command, capture_output=True, timeout=_REGISTRY_PATIENCE_S, check=False)
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
    where: Context | None = None,
) -> None:
    """Build an image with buildx and load it into the engine.

    Args:
        where: the engine; without, the one that the docker command takes.

    Raises:
        BuildxMissing: there is no buildx.
        BuildFailed: the build failed; the log's end is with it.
        DiskFull: no space is left for it.
    """
    version()
    secrets_wanted = _certificates()
    lines: list[str] = []
    try:
        stream = _client(where).buildx.build(
            context,
            file=dockerfile,
            tags=tag,
            platforms=[platform],
            build_contexts={name: str(directory) for name, directory in build_contexts.items()},
            build_args=dict(build_args),
            labels=dict(labels),
            secrets=secrets_wanted,
            provenance=False,
            cache=use_cache,
            load=True,
            progress="plain",
            stream_logs=True,
        )
        assert isinstance(stream, Iterator), "stream_logs gives lines"
        lines.extend(line.rstrip() for line in stream)
    except python_on_whales.exceptions.DockerException as error:
        log = [*lines, *str(error.stderr or "").splitlines()]
        _raise_build_failure("\n".join(log[-_LOG_LINES:]), error)


def _client(where: Context | None) -> python_on_whales.DockerClient:
    match where.command_option if where is not None else None:
        case ("--context", name):
            return python_on_whales.DockerClient(context=name)
        case ("--host", url):
            return python_on_whales.DockerClient(host=url)
    return python_on_whales.DockerClient()


def _certificates() -> list[str]:
    """The host's own certificates for a build that fetches packages itself, as behind a company's proxy."""
    for path in (os.environ.get("SSL_CERT_FILE"), "/etc/ssl/certs/ca-certificates.crt"):
        if path and Path(path).is_file():
            return [f"id=ca,src={path}"]
    return []


def _raise_build_failure(log: str, cause: Exception) -> NoReturn:
    if "no space left on device" in log.lower():
        raise DiskFull(
            "no space left on the engine's disk while building the image",
            fix="docker system prune, or docker system df to see what fills it",
        ) from cause
    raise BuildFailed(
        "the image could not be built", fix="edgesim doctor checks what a build needs", log=log
    ) from cause
