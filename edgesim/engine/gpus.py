"""How an engine gives a container the GPUs of its machine: by NVIDIA's runtime, a CDI device, or a device request.

JetPack's engines have the runtime ``nvidia``; newer ones report CDI devices (Container Device Interface). An engine
that reports neither may still carry out a device request, which only a container shows.
"""

import secrets
from collections.abc import Mapping
from typing import Any

import docker.errors
import docker.types

from edgesim.engine.api_errors import engine_call
from edgesim.engine.docker_engine import Engine
from edgesim.engine.gpu_access import ANY_GPU, GpuAccess
from edgesim.engine.labels import run_labels
from edgesim.errors import HostError

_RUNTIME = "nvidia"
_CDI_DEVICE = "nvidia.com/gpu=all"
_NO_DRIVER = ("could not select device driver", "unresolvable cdi devices", "unknown or invalid runtime name")
_FIX = (
    "install NVIDIA's container toolkit on the engine's machine: sudo nvidia-ctk runtime configure --runtime=docker, "
    "then sudo systemctl restart docker; or run without GPUs"
)


def reported(info: Mapping[str, Any]) -> GpuAccess | None:
    """Return how an engine gives GPUs by what it reports of itself (GET /info); None if it reports no way."""
    if _RUNTIME in (info.get("Runtimes") or {}):
        return GpuAccess(method=f"runtime {_RUNTIME}", runtime=_RUNTIME)
    devices = [str(device.get("ID", "")) for device in info.get("DiscoveredDevices") or ()]
    if any(device.startswith("nvidia.com/gpu=") for device in devices):
        request = docker.types.DeviceRequest(driver="cdi", device_ids=[_CDI_DEVICE])
        return GpuAccess(method=f"CDI device {_CDI_DEVICE}", requests=(request,))
    return None


def require(engine: Engine, *, where: str = "`gpus=all`") -> GpuAccess:
    """Return how an engine gives GPUs.

    Args:
        where: what asks for them, in messages.

    Raises:
        HostError: it has none to give.
    """
    with engine_call():
        info = engine.client.info()
    if (access := reported(info)) is not None:
        return access
    access = GpuAccess(method="a device request", requests=(ANY_GPU,))
    if (reason := _why_refused(engine, access)) is not None:
        raise HostError(f"{where}: {engine.facts.title} has no GPU to give: {reason}", fix=_FIX)
    return access


def _why_refused(engine: Engine, access: GpuAccess) -> str | None:
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
