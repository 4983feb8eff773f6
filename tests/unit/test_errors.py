"""Every error has an exit code of the contract."""

from edgesim.errors import EdgesimError, ExitCode


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
