"""What a container is created with to have GPUs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import docker.types

# What NVIDIA's runtime reads of a container's environment; NVIDIA's own images set the same.
GPU_ENVIRONMENT = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
# Debian's and Ubuntu's group video, whose members may use the devices of a Jetson's GPU; edgesim's server is not root.
GROUPS = ("44",)
# Asks for all GPUs of the machine by whatever driver the engine has for them.
ANY_GPU = docker.types.DeviceRequest(driver="", count=-1, capabilities=[["gpu"]])


@dataclass(frozen=True, kw_only=True)
class GpuAccess:
    """What a container is created with to have all GPUs of the engine's machine.

    Attributes:
        method: in words: ``runtime nvidia``.
        runtime: name of the container runtime; None means the engine's own.
        requests: device requests.
    """

    method: str
    runtime: str | None = None
    requests: Sequence[docker.types.DeviceRequest] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: dict(GPU_ENVIRONMENT))

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the docker package's ``containers.create``."""
        own = {"runtime": self.runtime} if self.runtime is not None else {"device_requests": list(self.requests)}
        return own | {"group_add": list(GROUPS)}
