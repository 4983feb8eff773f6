"""The errors that edgesim raises for a reason outside itself, and their exit codes.

Each error says in one line what is wrong and where; its `fix` is the command or the change that mends it. Exceptions of
other libraries are translated in one module each. An exception that is not in this tree is a fault of edgesim itself,
with exit code 70.

::

    EdgesimError
    ├── UsageError                2   the command, its options or its files
    │   ├── ProfileError
    │   ├── ModelError
    │   │   ├── ModelUnsupported
    │   │   ├── LibraryNotNamed       (edgesim.models.session_loading)
    │   │   └── TooLong               (edgesim.measure.host_session)
    │   ├── StackError
    │   ├── PackageUnknown
    │   ├── NotPublished
    │   └── ResultError
    │       └── OtherKindOfResult     (edgesim.results.result_file)
    ├── HostError                 3   this host cannot do it
    │   ├── EngineMissing
    │   ├── EngineDenied
    │   ├── BuildxMissing
    │   ├── ComposeMissing
    │   ├── LimitsDenied
    │   ├── EmulatorMissing
    │   ├── EmulatorTooOld
    │   ├── EmulatorLacksCore
    │   ├── EmulatorStale
    │   ├── HostTooSlow
    │   ├── DiskFull
    │   ├── BaseUnavailable
    │   ├── PackagesUnavailable
    │   └── RegistryError
    │       └── RegistryDenied
    ├── DeviceError               4   the simulated device failed
    │   ├── BuildFailed
    │   ├── ImageUnavailable
    │   ├── EngineRefused
    │   ├── ReleaseTooOld
    │   ├── NotReady
    │   ├── ScaleFailed
    │   ├── ServiceFailed
    │   └── DeviceDied
    │       ├── OutOfMemory
    │       ├── IllegalInstruction
    │       ├── EmulatorCrashed
    │       └── KilledFromOutside
    ├── NoMeasurement             5   a run is INVALID, and only its figures were of use
    └── Interrupted             130   Ctrl-C
"""

import difflib
import errno
import os
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any

from edgesim.printable import printable

# Of an `OSError`: no space, or none within the user's quota.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
# The same: a limit of this process, which its shell or service manager has set, with what raises the limit. A file
# system has a largest size of files, too.
_LIMITS = {
    errno.EFBIG: "raise the limit on the size of a file (ulimit -f), or use a file system that takes larger files",
    errno.EMFILE: "raise the limit on open files: ulimit -n",
}


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
    """The root of the tree.

    An error on its way up may be completed: the job that was measuring sets `result`, and a caller that knows more may
    extend `problem` or `fix`. `result` is an `object` because this module knows no results; readers test its type.

    The texts are printable, whatever the names in them: see `edgesim.printable`.

    Attributes:
        problem: what is wrong and where, in one line; each problem of a YAML file has a line of its own.
        fix: what mends it, a command if there is one; empty if nothing sensible can be said.
        log: the end of the log of the program that failed; empty if there is none.
        result: the result of what was measured until the error, a `RunResult` or a `StackResult`; None if nothing was.
    """

    exit_code: int = ExitCode.INTERNAL

    def __init__(
        self, problem: str | Sequence[str], *, fix: str = "", log: str = "", result: object | None = None
    ) -> None:
        self.problem = "\n".join(map(printable, [problem] if isinstance(problem, str) else problem))
        super().__init__(self.problem)
        self.fix = printable(fix)
        self.log = log
        self.result = result

    @property
    def with_fix(self) -> str:
        """What is wrong and what mends it, as one phrase: for places that show no fix of their own."""
        return f"{self.problem}; {self.fix}" if self.fix else self.problem


class UsageError(EdgesimError):
    """The command, its options or its files are wrong."""

    exit_code = ExitCode.USAGE


class ProfileError(UsageError):
    """A profile is unknown, or its file is not valid."""


class ModelError(UsageError):
    """A model or a model repository is unknown or not valid."""


class ModelUnsupported(ModelError):
    """A model is whole and valid, and edgesim cannot serve it."""


class StackError(UsageError):
    """A stack file is not valid, or a stack with this name is already up, or is not up."""


class PackageUnknown(UsageError):
    """Debian has no package with this name."""


class NotPublished(UsageError):
    """A registry has nothing of this name, or something of another kind."""


class ResultError(UsageError):
    """A result file cannot be read or written."""


class HostError(EdgesimError):
    """This host cannot do it: the user has to install, start or free something first."""

    exit_code = ExitCode.HOST


class EngineMissing(HostError):
    """No Docker Engine answers."""


class EngineDenied(HostError):
    """A Docker Engine runs, but this user may not use it."""


class BuildxMissing(HostError):
    """The Docker client has no buildx."""


class ComposeMissing(HostError):
    """The Docker client has no Compose."""


class LimitsDenied(HostError):
    """This host does not let edgesim set one limit for several containers."""


class EmulatorMissing(HostError):
    """Programs of the board's architecture do not run on this host."""


class EmulatorTooOld(HostError):
    """The emulator is a version that is known to crash."""


class EmulatorLacksCore(HostError):
    """The emulator does not have the core that the profile asks for."""


class EmulatorStale(HostError):
    """The kernel runs another emulator than the installed one."""


class HostTooSlow(HostError):
    """This host takes longer for a model than the board, so it cannot be slowed down to the board's time."""


class DiskFull(HostError):
    """The disk has no space left."""


class BaseUnavailable(HostError):
    """No registry gives the base image of a build, nor do Debian's packages."""


class PackagesUnavailable(HostError):
    """Python packages of the server or of the reference cannot be fetched."""


class RegistryError(HostError):
    """A container registry does not answer, breaks off, or fails."""


class RegistryDenied(RegistryError):
    """A container registry does not let this user do it."""


class NoMeasurement(EdgesimError):
    """A run is INVALID, and the caller needed its figures."""

    exit_code = ExitCode.INVALID


class DeviceError(EdgesimError):
    """The simulated device failed."""

    exit_code: int = ExitCode.DEVICE


class BuildFailed(DeviceError):
    """The image cannot be built."""


class ImageUnavailable(DeviceError):
    """The engine does not have the image, and cannot pull it."""


class EngineRefused(DeviceError):
    """The engine refuses to do what edgesim asks of it, which says nothing about the model."""


class ReleaseTooOld(DeviceError):
    """The release of ONNX Runtime that was chosen for a board does not load the model, by the model's file."""


class NotReady(DeviceError):
    """The server did not become ready in time."""


class ScaleFailed(DeviceError):
    """A request failed while edgesim searched for the CPU share that gives the board's time."""


class DeviceDied(DeviceError):
    """The container or process of the server ended by itself."""


class ServiceFailed(DeviceError):
    """A service of a stack did not start, ended by itself, or ended with an error."""


class OutOfMemory(DeviceDied):
    """The kernel killed the server at the board's memory limit.

    Attributes:
        emulated: whether the emulator's own memory was within that limit, so that the model itself may fit.
    """

    emulated = False


class IllegalInstruction(DeviceDied):
    """A program used an instruction that the board's core does not have: it would die on the board, too."""


class EmulatorCrashed(DeviceDied):
    """The emulator itself crashed, which says nothing about the model."""


class KilledFromOutside(DeviceDied):
    """Another program ended the server, which says nothing about the model."""


class Interrupted(EdgesimError):
    """Ctrl-C; everything that edgesim started is taken down."""

    exit_code = ExitCode.INTERRUPTED


# What a host lacks, or forbids, wherever it shows: each with what mends it.
_OF_HOST = {
    errno.ENOSPC: "free some space there: df -h",
    errno.EDQUOT: "free some of your quota there: quota -s",
    errno.EROFS: "choose a directory that you can write",
    errno.EACCES: "choose a file or directory that you may use; id says who you are",
    errno.EPERM: "choose a file or directory that you may use; id says who you are",
    **_LIMITS,
    errno.ENFILE: "close programs that have many files open",
    errno.ENOMEM: "free some memory of this host",
    errno.EIO: "check the disk: dmesg",
}


_LETTERS_SHOWN = 60  # of a name that is too long


def of_host(error: OSError) -> HostError | UsageError | None:
    """Return the error for something that this host lacks or forbids; None for any other fault.

    The last resort for what no module has expected: such a fault is the host's and not edgesim's own.
    """
    if isinstance(error, FileNotFoundError) and not _is_somewhere():
        return HostError("the working directory does not exist any more", fix="cd to a directory that exists")
    if error.errno == errno.ENAMETOOLONG:
        name = str(error.filename)
        return UsageError(f"{name[:_LETTERS_SHOWN]}…: {error.strerror}", fix="give a shorter name")
    fix = _OF_HOST.get(error.errno or 0)
    if fix is None:
        return None
    path = error.filename2 or error.filename  # of two the second is the one that is written
    where = f"{path}: " if path is not None else ""
    kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else HostError
    return kind(f"{where}{error.strerror}", fix=fix)


def _is_somewhere() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


def of_limit(error: OSError, problem: str) -> HostError | None:
    """Return the error for a file that a limit of this process forbids to write or open; None for any other fault."""
    fix = _LIMITS.get(error.errno or 0)
    return HostError(problem, fix=fix) if fix is not None else None


def of_limit_in(log: str, problem: str) -> HostError | None:
    """Return the same error for a program that has logged such a limit; None for any other log."""
    number = next((number for number in _LIMITS if os.strerror(number) in log), None)
    return of_limit(OSError(number, ""), f"{problem}: {os.strerror(number)}") if number is not None else None


# What pydantic finds wrong with a value, by its type of error, for people who write files.
_PROBLEMS: Mapping[str, str] = {
    "missing": "is missing",
    **dict.fromkeys(("tuple_type", "list_type", "set_type", "frozen_set_type"), "must be a list"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type"), "must be a mapping of keys"),
    **dict.fromkeys(("model_attributes_type", "dataclass_type"), "must be a mapping of keys"),
    "path_type": "must be a path",
    "string_type": "must be a text",
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "must be a number"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    "too_long": "has {actual_length} values, {max_length} at most",
    "too_short": "has {actual_length} values, {min_length} at least",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be {ge:g} or more",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be {le:g} or less",
}


def field_problem(detail: Mapping[str, Any]) -> str:
    """Return what is wrong with the value of a field, for people who write files and not Python.

    Args:
        detail: one entry of pydantic's `ValidationError.errors()`.
    """
    words = _PROBLEMS.get(str(detail["type"]))
    try:
        return words.format(**detail.get("ctx", {})) if words is not None else str(detail["msg"])
    except (KeyError, ValueError):  # a bound that is no number, such as a date
        return str(detail["msg"])


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return ``; did you mean …?`` with the most similar of `words`, or an empty string if none is similar."""
    match = difflib.get_close_matches(str(word), list(words), n=1, cutoff=0.5)
    return f"; did you mean {match[0]!r}?" if match else ""
