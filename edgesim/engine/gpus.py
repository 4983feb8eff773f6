"""How an engine gives a container the GPUs of its machine: by NVIDIA's runtime, a CDI device, or a device request.

JetPack's engines have the runtime ``nvidia``; newer ones report CDI devices (Container Device Interface). An engine
that reports neither may still carry out a device request, which only a container shows.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import docker.errors
import docker.types

from edgesim.engine.api_errors import engine_call
from edgesim.engine.labels import run_labels
from edgesim.errors import HostError

if TYPE_CHECKING:
    from edgesim.engine.docker_engine import Engine

_RUNTIME = "nvidia"
_CDI_DEVICE = "nvidia.com/gpu=all"
# What NVIDIA's runtime reads of a container's environment; NVIDIA's own images set the same.
_ENVIRONMENT = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
# Debian's and Ubuntu's group video, whose members may use the devices of a Jetson's GPU; edgesim's server is not root.
_VIDEO_GROUP = "44"
_NO_DRIVER = ("could not select device driver", "unresolvable cdi devices", "unknown or invalid runtime name")
_FIX = (
    "install NVIDIA's container toolkit on the engine's machine: sudo nvidia-ctk runtime configure --runtime=docker, "
    "then sudo systemctl restart docker; or leave `gpus` out"
)


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
    environment: Mapping[str, str] = field(default_factory=lambda: dict(_ENVIRONMENT))

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the docker package's ``containers.create``."""
        own = {"runtime": self.runtime} if self.runtime is not None else {"device_requests": list(self.requests)}
        return own | {"group_add": [_VIDEO_GROUP]}


def reported(info: Mapping[str, Any]) -> GpuAccess | None:
    """Return how an engine gives GPUs by what it reports of itself (GET /info); None if it reports no way."""
    if _RUNTIME in (info.get("Runtimes") or {}):
        return GpuAccess(method=f"runtime {_RUNTIME}", runtime=_RUNTIME)
    devices = [str(device.get("ID", "")) for device in info.get("DiscoveredDevices") or ()]
    if any(device.startswith("nvidia.com/gpu=") for device in devices):
        request = docker.types.DeviceRequest(driver="cdi", device_ids=[_CDI_DEVICE])
        return GpuAccess(method=f"CDI device {_CDI_DEVICE}", requests=(request,))
    return None


def require(engine: "Engine") -> GpuAccess:
    """Return how an engine gives GPUs.

    Raises:
        HostError: it has none to give.
    """
    with engine_call():
        info = engine.client.info()
    if (access := reported(info)) is not None:
        return access
    request = docker.types.DeviceRequest(driver="", count=-1, capabilities=[["gpu"]])
    access = GpuAccess(method="a device request", requests=(request,))
    if (reason := _why_refused(engine, access)) is not None:
        raise HostError(f"`gpus=all`: {engine.facts.title} has no GPU to give: {reason}", fix=_FIX)
    return access


def _why_refused(engine: "Engine", access: GpuAccess) -> str | None:
    """Ask for GPUs by a container of an empty image; return the engine's refusal, None if it would give them.

    The engine looks for the devices before it looks for the program, which that image lacks.
    """
    session = secrets.token_hex(4)
    image = engine.images.make_empty()
    try:
        with engine_call():
            created = engine.client.containers.create(
                image, ["-"], name=f"edgesim-{session}", labels=run_labels(session), **access.arguments
            )
            try:
                created.start()
            except docker.errors.APIError as error:
                text = str(error.explanation or error)
                return text if is_refusal(text) else None
            return None
    except docker.errors.APIError as error:
        text = str(error.explanation or error)
        if not is_refusal(text):
            raise
        return text
    finally:
        engine.remove_session(session)


def is_refusal(text: str) -> bool:
    """Whether an engine's error says that it cannot give the GPUs."""
    return any(words in text.lower() for words in _NO_DRIVER)
