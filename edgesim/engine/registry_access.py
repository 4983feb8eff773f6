"""How the docker command and its engine reach a registry, so that edgesim reaches the registry in the same way.

The account is that of ``docker login``: the user's configuration of docker, with its credential helpers. Which
registries need no TLS is the engine's configuration, and its directory of certificates has those of its registries.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import docker.auth
import docker.credentials.errors
import docker.errors

from edgesim.engine.api_errors import engine_call
from edgesim.engine.context import resolve
from edgesim.engine.docker_engine import Engine
from edgesim.errors import EdgesimError, RegistryDenied
from edgesim.registry.access import Access, Credentials, is_loopback
from edgesim.registry.reference import DOCKER_HUB

_CERTIFICATES = Path("/etc/docker/certs.d")
# Under this name ``docker login`` keeps the account of Docker Hub.
_HUB_ACCOUNT = "https://index.docker.io/v1/"


def of(registry: str, context: str | None = None) -> Access:
    """Return how to reach a registry.

    Args:
        context: docker context or URL of the engine; None means the current context. Without an engine, only
            registries of this machine may lack TLS.
    """
    return Access(
        registry=registry,
        insecure=is_loopback(registry) or _is_insecure(registry, context),
        authority=_authority(registry),
        credentials=lambda: credentials(registry),
    )


def credentials(registry: str) -> Credentials | None:
    """Return the account of ``docker login`` at a registry; None if the user is not logged in there.

    Raises:
        RegistryDenied: the credential helper of the user's configuration fails.
    """
    account = _HUB_ACCOUNT if registry == DOCKER_HUB else registry
    try:
        facts = docker.auth.load_config().resolve_authconfig(account)
    except (docker.errors.DockerException, docker.credentials.errors.StoreError, OSError, ValueError) as error:
        raise RegistryDenied(
            f"registry {registry}: docker's configuration or its credential helper fails: {error}",
            fix=f"docker login {registry} shows more details; DOCKER_CONFIG names the directory of the configuration",
        ) from error
    if not facts:
        return None
    by_name = {key.lower(): str(value) for key, value in facts.items() if value}
    if "identitytoken" in by_name:
        return Credentials(username=by_name.get("username", ""), identity_token=by_name["identitytoken"])
    if "username" not in by_name:
        return None
    return Credentials(username=by_name["username"], password=by_name.get("password", ""))


def _is_insecure(registry: str, context: str | None) -> bool:
    """Return whether the engine is configured to take a registry without TLS; False if no engine answers."""
    with contextlib.suppress(EdgesimError):
        engine = Engine(resolve(context))
        with engine_call():
            known = (engine.client.info().get("RegistryConfig") or {}).get("IndexConfigs") or {}
        return not known.get(registry, {}).get("Secure", True)
    return False


def _authority(registry: str) -> Path | None:
    with contextlib.suppress(OSError):
        return next(_certificates(_CERTIFICATES / registry), None)
    return None


def _certificates(directory: Path) -> Iterator[Path]:
    yield from sorted(directory.glob("*.crt"))
