"""What only Podman's own API tells, beside Docker's, which Podman serves at the same address."""

from collections.abc import Sequence
from typing import Any

import docker


def is_podman(version: Any) -> bool:
    """Return whether the engine that gave this answer to ``GET /version`` is Podman."""
    names = [str(component.get("Name", "")) for component in version.get("Components") or ()]
    return any(name.startswith("Podman") for name in names)


def controllers(api: docker.APIClient, version: str) -> Sequence[str] | None:
    """Return the controllers of control groups that the engine has on its host; None if the engine does not say.

    On control groups v2 Docker's answer, as Podman gives it, is about files of version 1: it denies limits that Podman
    sets, and says nothing of those that the user's systemd does not delegate.

    Args:
        version: of the engine, which its API has, too.
    """
    answer = api.get(f"{api.base_url}/v{version}/libpod/info", timeout=api.timeout)
    host = answer.json().get("host") if answer.ok else None
    found = host.get("cgroupControllers") if host else None
    return [str(name) for name in found] if found is not None else None
