"""edgesim's own container, if it runs in one, as the engine beside it knows it.

A CI job in a container that has the engine's socket mounted is a sibling of the containers that it starts: their ports
on 127.0.0.1 are the engine's host's and not the job's, and so are the files that the engine mounts.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors

_MOUNTS = Path("/proc/self/mountinfo")
_PODMANS_MARK = Path("/run/.containerenv")


@dataclass(frozen=True, kw_only=True)
class OwnContainer:
    """edgesim's own container.

    Attributes:
        network: the engine's network over which edgesim reaches other containers by their own addresses; None if
            edgesim shares the network of the engine's host, and reaches published ports.
    """

    id: str
    network: str | None


def find(client: docker.DockerClient) -> OwnContainer | None:
    """Return edgesim's own container; None if edgesim runs in none of this engine.

    Raises:
        docker.errors.DockerException: the engine does not answer.
    """
    for candidate in ids(_MOUNTS):
        try:
            facts = client.api.inspect_container(candidate)
        except docker.errors.NotFound:  # of another engine, such as the one that runs this engine in a container
            continue
        return OwnContainer(id=str(facts["Id"]), network=_network(client, facts))
    return None


def is_in_container() -> bool:
    """Return whether edgesim runs in a container of Docker's, of whichever engine, of Podman's, or of a pod."""
    others = _PODMANS_MARK.exists() or "KUBERNETES_SERVICE_HOST" in os.environ
    return others or next(ids(_MOUNTS), None) is not None


def ids(mounts: Path) -> Iterator[str]:
    """Yield the ids of containers whose files are mounted over this process's own, from /proc/self/mountinfo.

    Docker mounts ``/var/lib/docker/containers/ID/hostname`` over ``/etc/hostname``, whatever the host name is; Podman
    ``…/containers/storage/overlay-containers/ID/userdata/hostname``.
    """
    try:
        text = mounts.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return
    yield from dict.fromkeys(
        re.findall(r"/(?:overlay-)?containers/([0-9a-f]{64})/\S* /etc/(?:hostname|hosts|resolv\.conf) ", text)
    )


def _network(client: docker.DockerClient, facts: dict[str, Any]) -> str | None:
    mode = str(facts["HostConfig"]["NetworkMode"])
    if mode.startswith("container:"):
        return _network(client, client.api.inspect_container(mode.partition(":")[2]))
    networks = facts["NetworkSettings"]["Networks"]
    return next((str(name) for name, each in networks.items() if each.get("IPAddress")), None)
