"""Everything that edgesim raises for a reason outside itself, and the exit code that stands for it.

Each error is one line that says what is wrong and where, and a `fix`: the command or the change that mends it.
Exceptions of other libraries are translated in one module each; what is not in this tree is a fault of edgesim's own.
"""

import difflib
from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of every command."""

    OK = 0
    FAIL = 1
    USAGE = 2
    HOST = 3
    DEVICE = 4
    INVALID = 5
    INCONCLUSIVE = 6
    INTERNAL = 70
    INTERRUPTED = 130


class EdgesimError(Exception):
    """Root of the tree.

    Attributes:
        problem: one line, what is wrong and where.
        fix: what mends it, a command where there is one; empty when nothing sensible can be said.
        log: the end of the log of what failed; empty when there is none.
        result: what had been measured until then, an `edgesim.results.run_result.RunResult`; None when nothing was.
    """

    exit_code = ExitCode.INTERNAL

    def __init__(self, problem: str, *, fix: str = "", log: str = "", result: object | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix
        self.log = log
        self.result = result


class UsageError(EdgesimError):
    """The command, its options or its files are wrong."""

    exit_code = ExitCode.USAGE


class ProfileError(UsageError):
    """A device profile is unknown, or its file does not hold."""


class ModelError(UsageError):
    """A model or a model repository is unknown, or is not what it should be."""


class StackError(UsageError):
    """A stack file is not what it should be, or a stack of that name is up, or is not."""


class PackageUnknown(UsageError):
    """Debian has no package of that name."""


class ResultError(UsageError):
    """A result file cannot be read or written."""


class HostError(EdgesimError):
    """This host cannot do it: something has to be installed, started or freed first."""

    exit_code = ExitCode.HOST


class EngineMissing(HostError):
    """No Docker Engine answers."""


class EngineDenied(HostError):
    """A Docker Engine is there, but not for this user."""


class BuildxMissing(HostError):
    """The Docker client has no buildx."""


class ComposeMissing(HostError):
    """The Docker client has no Compose."""


class BudgetDenied(HostError):
    """This host does not let one budget be set for several containers."""


class EmulatorMissing(HostError):
    """Programs of the board's architecture do not run here."""


class EmulatorTooOld(HostError):
    """The emulator is one that is known to crash."""


class EmulatorLacksCore(HostError):
    """The emulator has no such core as the board's profile asks for."""


class EmulatorStale(HostError):
    """The kernel runs another emulator than the one that is installed."""


class HostTooSlow(HostError):
    """This host takes longer for a model than the board: it cannot be slowed down to the board's time."""


class DiskFull(HostError):
    """No space is left where it was needed."""


class BaseUnavailable(HostError):
    """Neither a registry nor Debian's packages give the image's base."""


class PackagesUnavailable(HostError):
    """The server's Python packages could not be fetched."""


class NoMeasurement(EdgesimError):
    """A run was INVALID where its figures are all that was wanted of it."""

    exit_code = ExitCode.INVALID


class DeviceError(EdgesimError):
    """The simulated device failed."""

    exit_code = ExitCode.DEVICE


class BuildFailed(DeviceError):
    """The image could not be built."""


class ImageUnavailable(DeviceError):
    """The engine has not got the image, and cannot fetch it."""


class NotReady(DeviceError):
    """The server did not become ready in time."""


class ScaleFailed(DeviceError):
    """A request was not answered while the board's time was searched for."""


class DeviceDied(DeviceError):
    """The serving container or process ended by itself."""


class ServiceFailed(DeviceError):
    """A service of a stack did not start, ended by itself, or ended badly."""


class OutOfMemory(DeviceDied):
    """The model does not fit: the kernel killed the server at the board's memory limit."""


class IllegalInstruction(DeviceDied):
    """A program used an instruction that the board's core does not have: it would die on the board, too."""


class EmulatorCrashed(DeviceDied):
    """The emulator itself died, which says nothing about the model."""


class Interrupted(EdgesimError):
    """Ctrl-C, after everything was taken down."""

    exit_code = ExitCode.INTERRUPTED


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return ``; did you mean …?`` with the most similar of `words`, or an empty string if none is similar."""
    match = difflib.get_close_matches(str(word), list(words), n=1, cutoff=0.5)
    return f"; did you mean {match[0]!r}?" if match else ""
