"""Every error has an exit code of the contract."""

import errno
import os
from pathlib import Path

import pytest

from edgesim.errors import DiskFull, EdgesimError, ExitCode, HostError, of_host, of_limit, of_limit_in


def subclasses(root: type[EdgesimError]) -> list[type[EdgesimError]]:
    return [root, *(below for direct in root.__subclasses__() for below in subclasses(direct))]


def test_every_error_has_an_exit_code_of_the_contract() -> None:
    codes = {error.__name__: error.exit_code for error in subclasses(EdgesimError)}
    assert codes["ProfileError"] == codes["ModelError"] == codes["ResultError"] == 2
    assert codes["EngineMissing"] == codes["EmulatorStale"] == codes["DiskFull"] == 3
    assert codes["BuildFailed"] == codes["NotReady"] == codes["OutOfMemory"] == 4
    assert codes["Interrupted"] == 130
    assert codes.pop("EdgesimError") == ExitCode.INTERNAL
    assert ExitCode.INTERNAL not in codes.values(), "an error of a kind is never a fault of our own"


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        *((errno.ENOSPC, DiskFull), (errno.EROFS, HostError), (errno.EACCES, HostError)),
        *((errno.EMFILE, HostError), (errno.EFBIG, HostError)),
    ],
)
def test_what_the_host_lacks_or_forbids_is_the_hosts_and_says_where(number: int, kind: type[HostError]) -> None:
    error = of_host(OSError(number, os.strerror(number), "/full/file"))
    assert type(error) is kind
    assert error.problem == f"/full/file: {os.strerror(number)}"
    assert error.fix


@pytest.mark.parametrize(("number", "option"), [(errno.EFBIG, "ulimit -f"), (errno.EMFILE, "ulimit -n")])
def test_a_limit_of_this_process_is_named_with_what_raises_it(number: int, option: str) -> None:
    own, logged = of_limit(OSError(number, ""), "p"), of_limit_in(f"ERROR: pip: {os.strerror(number)}: x", "p")
    assert own is not None
    assert logged is not None
    assert option in own.fix
    assert (logged.problem, logged.fix) == (f"p: {os.strerror(number)}", own.fix)
    assert (own.exit_code, logged.exit_code) == (ExitCode.HOST, ExitCode.HOST)
    assert of_limit(OSError(errno.EACCES, ""), "p") is None
    assert of_limit_in("ERROR: no such package", "p") is None


def test_file_that_is_not_there_is_no_fault_of_the_host() -> None:
    assert of_host(FileNotFoundError(errno.ENOENT, "No such file or directory", "/x")) is None
    assert of_host(OSError("no number")) is None


def test_working_directory_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(FileNotFoundError) as caught:
        Path.cwd()
    error = of_host(caught.value)
    assert error is not None
    assert (error.problem, error.fix) == (
        "the working directory does not exist any more",
        "cd to a directory that exists",
    )


def test_name_of_a_file_that_is_too_long_is_a_fault_of_usage() -> None:
    with pytest.raises(OSError, match="too long") as caught:
        Path("x" * 300).stat()
    error = of_host(caught.value)
    assert error is not None
    assert error.exit_code == ExitCode.USAGE
    assert error.problem == f"{'x' * 60}…: File name too long"
