"""Whether edgesim's own server runs models on the GPUs that its container has."""

from collections.abc import Mapping
from typing import Any

from edgesim.errors import HostError
from edgesim.options import CPU
from edgesim.progress import Stages

_FIX = "a Dockerfile of your own (image.dockerfile) can have an ONNX Runtime with such a provider"


def look_for(description: Mapping[str, Any], stages: Stages, *, target: str | None, where: str | None = None) -> None:
    """Say that a server in a container with GPUs runs models on the CPU.

    Args:
        description: what the server says of itself; another server than edgesim's says nothing.
        target: the target that the user has chosen; None means none.
        where: what names the target in messages; None means the option `target`.

    Raises:
        HostError: the user has chosen a target that is a GPU's.
    """
    providers = description.get("providers")
    if not providers or providers[0] != "CPUExecutionProvider":
        return
    runtime = description.get("runtime", "the runtime")
    problem = f"{runtime} in this image has no provider for GPUs, so that models run on the CPU"
    if target not in (None, CPU):
        raise HostError(f"{where or f'`target={target}`'}: {problem}", fix=_FIX)
    stages.note(f"gpus: {problem}; {_FIX}")
