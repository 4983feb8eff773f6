"""The services of a stack that have GPUs: which do, their precision, and how the engine gives the GPUs."""

from collections.abc import Sequence

from edgesim.boards import placement
from edgesim.boards.server_command import engine_precision
from edgesim.engine import gpus
from edgesim.engine.docker_engine import Engine
from edgesim.engine.gpu_access import GpuAccess
from edgesim.errors import HostError, StackError, UsageError
from edgesim.options import CPU, Execution
from edgesim.predictions.predictor import why_no_target
from edgesim.profiles import DeviceProfile
from edgesim.stacks.service import Service


def has_gpus(name: str, service: Service, board: DeviceProfile) -> bool:
    """Return whether a service gets GPUs.

    Raises:
        StackError: the board has no such target, or the service would not run its models there.
    """
    by_profile = board.image.gpus if service.has_server_image and not service.beside else None
    has = (service.gpus if service.gpus is not None else by_profile) == "all"
    if service.target is None or service.target == CPU:
        return has
    where = f"services.{name}.target: {service.target}"
    if (problem := why_no_target(board, service.target)) is not None:
        raise StackError(f"{where}: {problem}")
    try:
        placement.require_measurable(service.target, "native", has_gpus=has)
    except UsageError as error:
        is_gpu = service.target.startswith("gpu")
        raise StackError(
            f"{where}: a stack is never scaled, and this service runs models on the board's processor",
            fix=("gpus: all gives the service the GPU; or " if is_gpu else "") + "omit target",
        ) from error
    return has


def precision(service: Service, board: DeviceProfile) -> str | None:
    """Return the precision in which a service that has GPUs runs models there; None if it does not."""
    if not service.serves or service.target == CPU:
        return None
    return engine_precision(board, service.target if service.target is not None else CPU)


def access(
    names: Sequence[str], execution: Execution, engine: Engine, *, beside: Sequence[str] = ()
) -> GpuAccess | None:
    """Return how the engine gives GPUs to the services of these names; None if there is no such service.

    Args:
        names: services on the board.
        beside: services beside the board, which no emulator keeps from the GPUs.

    Raises:
        HostError: the engine has none to give, or the services on the board are emulated.
    """
    if not names and not beside:
        return None
    where = f"services.{[*names, *beside][0]}.gpus"
    if names and execution not in ("native", "same-architecture"):
        raise HostError(
            f"{where}: this stack is {execution}, and a GPU runs no emulated programs",
            fix="run the stack on the board; here, gpus: none",
        )
    return gpus.require(engine, where=where)
