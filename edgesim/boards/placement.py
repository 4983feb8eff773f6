"""Where a board runs: execution, architecture of the container, and emulator, decided before anything is started."""

from dataclasses import dataclass

from edgesim.engine.context import Context
from edgesim.errors import UsageError
from edgesim.host.emulator import Emulator
from edgesim.options import Execution
from edgesim.profiles import DeviceProfile


@dataclass(frozen=True, kw_only=True)
class Placement:
    """How a board runs on the machine of an engine.

    Attributes:
        architecture: of the container, ``amd64`` or ``arm64``.
        emulator: what runs the container's programs; None if the machine runs them itself.
    """

    execution: Execution
    architecture: str
    emulator: Emulator | None = None


def place(
    profile: DeviceProfile, execution: Execution | None, *, engine_architecture: str, context: Context
) -> Placement:
    """Return how a board runs on an engine; the emulator of an emulated board is not chosen yet.

    Args:
        execution: the execution that the user requests; None means emulated or native.
        engine_architecture: of the engine's machine.
        context: the engine's.

    Raises:
        UsageError: the board runs in another execution than the requested one.
    """
    if execution == "scaled":
        return Placement(execution="scaled", architecture=engine_architecture)
    actual: Execution = "native" if profile.architecture == engine_architecture else "emulated"
    on_this_host = context.machine is None
    machine = f"this {engine_architecture} host" if on_this_host else f"{context}, which is {engine_architecture},"
    check_execution(execution, actual, f"an {profile.architecture} board on {machine}")
    return Placement(execution=actual, architecture=profile.architecture)


def check_execution(requested: Execution | None, actual: Execution, what: str) -> None:
    """Check that `what` runs in the requested execution, if one is requested.

    Raises:
        UsageError: it runs in another execution.
    """
    if requested is not None and requested != actual:
        raise UsageError(
            f"`execution={requested}`: {what} runs as {actual}",
            fix=f"leave `execution` out, or use `execution={actual}`",
        )
