"""Where a board runs: execution, architecture of the container, and emulator, decided before anything is started."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from edgesim.counting.emulator import CountingEmulator
from edgesim.engine.context import Context
from edgesim.errors import UsageError
from edgesim.host import identity
from edgesim.host.emulator import Emulator, host_architecture
from edgesim.host.identity import Comparison, MachineIdentity
from edgesim.options import CPU, Execution
from edgesim.profiles import DeviceProfile


@dataclass(frozen=True, kw_only=True)
class Placement:
    """How a board runs on the machine of an engine.

    Attributes:
        architecture: of the container, ``amd64`` or ``arm64``.
        comparison: the machine beside the board.
        emulator: what runs the container's programs; None if the machine runs them itself.
        emulator_in_command: the emulator stands before the server's command, since the machine's kernel runs the
            board's programs without one.
        counting: the emulator in the command counts instructions; None for one that does not.
    """

    execution: Execution
    architecture: str
    comparison: Comparison
    emulator: Emulator | None = None
    emulator_in_command: bool = False
    counting: CountingEmulator | None = None

    def counted_by(self, counting: CountingEmulator) -> "Placement":
        """Return the placement of an emulated board with an emulator that counts before its command."""
        emulator = Emulator(counting.version, str(counting.directory))
        return replace(self, execution="emulated", emulator=emulator, emulator_in_command=True, counting=counting)


def compare(profile: DeviceProfile, machine: Callable[[], MachineIdentity], *, engine_architecture: str) -> Comparison:
    """Compare an engine's machine with a board.

    Args:
        machine: reads the machine, which may take a container; called only if its answer decides.
    """
    same_architecture = profile.architecture == engine_architecture
    if not same_architecture or profile.has_core_of_host:
        return Comparison(same_architecture=same_architecture, is_the_board=False)
    return identity.compare(machine(), profile)


def place(
    profile: DeviceProfile,
    execution: Execution | None,
    *,
    engine_architecture: str,
    context: Context,
    machine: Callable[[], MachineIdentity],
) -> Placement:
    """Return how a board runs on an engine; the emulator of an emulated board is not chosen yet.

    Args:
        execution: the execution that the user requests; None means what `by_itself` returns.
        engine_architecture: of the engine's machine.
        context: the engine's.
        machine: reads the engine's machine.

    Raises:
        UsageError: the board runs in another execution than the requested one.
    """
    comparison = compare(profile, machine, engine_architecture=engine_architecture)
    if execution == "scaled":
        return Placement(execution="scaled", architecture=engine_architecture, comparison=comparison)
    placed = Placement(
        execution=by_itself(profile, comparison), architecture=profile.architecture, comparison=comparison
    )
    where = (
        f"this {engine_architecture} host" if context.machine is None else f"{context}, which is {engine_architecture},"
    )
    if comparison.same_architecture and execution == "emulated":
        _check_emulated_anyway(profile, context)
        return replace(placed, execution="emulated", emulator_in_command=True)
    check_execution(execution, placed.execution, f"an {profile.architecture} board on {where}", comparison)
    return placed


def by_itself(profile: DeviceProfile, comparison: Comparison) -> Execution:
    """Return the execution of a board on a machine, if the user requests none and no time scaling is wanted.

    A profile whose core is its host's own is ``native`` on any such host: whatever the host's time is, the profile
    claims no other.
    """
    if not comparison.same_architecture:
        return "emulated"
    return "native" if comparison.is_the_board or profile.has_core_of_host else "same-architecture"


def local_execution(profile: DeviceProfile) -> tuple[Execution, Comparison]:
    """Return the execution of a plain process of this host, and this host beside the board.

    A plain process has none of the board's limits, so that only the board itself runs it as the board does.
    """
    comparison = compare(profile, identity.of_this_host, engine_architecture=host_architecture())
    return "native" if comparison.is_the_board else "host", comparison


def check_execution(
    requested: Execution | None, actual: Execution, what: str, comparison: Comparison | None = None
) -> None:
    """Check that `what` runs in the requested execution, if one is requested.

    Args:
        comparison: the machine beside the board, whose differences the error names if ``native`` is refused.

    Raises:
        UsageError: it runs in another execution.
    """
    if requested is None or requested == actual:
        return
    fix = f"omit `execution`, or use `execution={actual}`"
    if requested == "native" and comparison is not None and comparison.same_architecture:
        raise UsageError(
            f"`execution=native`: {what} runs as {actual}, since this machine is not proven to be the board: "
            f"{comparison.differences}",
            fix=f"{comparison.remedy}, or {fix}" if comparison.remedy else fix,
        )
    raise UsageError(f"`execution={requested}`: {what} runs as {actual}", fix=fix)


def require_measurable(target: str, execution: Execution | None, *, has_gpus: bool) -> None:
    """Refuse a target that a native run cannot measure, since the container lacks the device.

    Args:
        has_gpus: whether the container is to have the GPUs of the engine's machine.

    Raises:
        UsageError: the execution is ``native``, and the target is an accelerator that the container does not get.
    """
    if execution == "native" and target != CPU and not (has_gpus and target.startswith("gpu")):
        fix = "leave `target` out: the result has the predictions of all targets beside what is measured"
        if target.startswith("gpu"):
            fix = f"`gpus=all` gives the container the GPU; or {fix}"
        raise UsageError(
            f"`target={target}`: a native run measures edgesim's server, which runs on the board's processor", fix=fix
        )


def _check_emulated_anyway(profile: DeviceProfile, context: Context) -> None:
    """Check that a board can be emulated on a machine that runs the board's programs itself.

    Raises:
        UsageError: it cannot.
    """
    problem = None
    if profile.emulation is None:
        problem = f"edgesim emulates arm64 boards, and {profile.reference} is {profile.architecture}"
    elif profile.image.reference is not None:
        # The emulator stands before the command, which is inside the image; a shell there would start the next program
        # without it.
        problem = f"image {profile.image.reference} starts its own server, without an emulator on this machine"
    elif context.machine is not None:
        problem = f"{context} is another machine; edgesim uses an emulator on this machine only"
    if problem is not None:
        raise UsageError(
            f"`execution=emulated`: {problem}", fix="omit `execution`, or use `execution=same-architecture`"
        )
