"""The named volumes of an engine that edgesim has made."""

from collections.abc import Mapping

import docker
import docker.errors

from edgesim.engine.api_errors import engine_call
from edgesim.engine.labels import LABEL
from edgesim.errors import UsageError
from edgesim.version import __version__


class Volumes:
    """The volumes of one engine, by name."""

    def __init__(self, client: docker.DockerClient) -> None:
        self._client = client

    def names(self) -> list[str]:
        """Return the names of the volumes that edgesim has made."""
        with engine_call():
            return sorted(str(volume.name) for volume in self._client.volumes.list(filters={"label": LABEL}))

    def labels(self, name: str) -> Mapping[str, str] | None:
        """Return the labels of a volume, whoever made the volume; None if there is no such volume."""
        with engine_call():
            try:
                return dict(self._client.volumes.get(name).attrs.get("Labels") or {})
            except docker.errors.NotFound:
                return None

    def users(self, name: str) -> list[str]:
        """Return the names of the containers that mount a volume, whether they run or not."""
        with engine_call():
            containers = self._client.containers.list(all=True, filters={"volume": name}, ignore_removed=True)
            return sorted(str(container.name) for container in containers)

    def create(self, name: str) -> None:
        """Make an empty volume.

        Raises:
            UsageError: the engine does not accept the name.
        """
        with engine_call():
            try:
                self._client.volumes.create(name, labels={LABEL: __version__})
            except docker.errors.APIError as error:
                if error.status_code != 400:
                    raise
                raise UsageError(
                    f"volume {name!r}: not a valid name of a volume", fix="use letters, digits, '_', '.' and '-'"
                ) from error

    def remove(self, name: str) -> None:
        """Remove a volume that no container mounts."""
        with engine_call():
            self._client.volumes.get(name).remove()
