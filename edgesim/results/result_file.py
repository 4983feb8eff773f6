"""Reading and writing of result files: whole, or not at all."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from edgesim.errors import DISK_FULL, DiskFull, ResultError

_OTHER_KIND = "other_kind"
_MAKE = "edgesim run PROFILE MODEL -o FILE.json writes one"
_FIX = "set `output` to a file in a directory that exists and has space"

Kind = TypeVar("Kind", bound=BaseModel)


class OtherKindOfResult(ResultError):
    """The file is the result of a stack, and the reader expects the result of one model."""


def other_kind() -> PydanticCustomError:
    """Return the error that a validator of a result raises for a result of another kind, which `read` translates."""
    return PydanticCustomError(_OTHER_KIND, "is the result of a stack")


def read(kind: type[Kind], path: Path | str) -> Kind:
    """Read a result file of one kind.

    Raises:
        OtherKindOfResult: the file is a result of another kind.
        ResultError: the file cannot be read, or is not a result file.
    """
    try:
        return kind.model_validate_json(Path(path).read_bytes())
    except OSError as error:
        raise ResultError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == _OTHER_KIND:
            raise OtherKindOfResult(
                f"{path}: is the result of a stack, not of one model",
                fix=_MAKE,
            ) from error
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ResultError(
            f"{path}: not a result file: {where}: {first['msg']}",
            fix=_MAKE,
        ) from error


def write_text(path: Path | str, text: str, *, what: str = "the result", fix: str = _FIX) -> None:
    """Write a text file: whole, or not at all.

    Raises:
        ResultError: the file cannot be written; `what` and `fix` are for its message.
        DiskFull: no space is left for the file.
    """
    path = Path(path)
    # A symbolic link stays a link, and a path that is no regular file, such as /dev/stdout, is written directly.
    replaceable = path.is_file() or not path.exists()
    target = path.resolve() if replaceable else path
    scratch = target.with_name(f".{target.name}.{os.getpid()}") if replaceable else None
    try:
        (scratch or target).write_text(text, encoding="utf-8", errors="replace")
        if scratch is not None:
            scratch.replace(target)
    except OSError as error:
        problem = f"{path}: cannot write {what}: {error.strerror}"
        if error.errno in DISK_FULL:
            raise DiskFull(problem, fix=f"free some space there (df -h {path.parent}), or {fix}") from error
        raise ResultError(problem, fix=fix) from error
    finally:
        if scratch is not None:
            with suppress(OSError):
                scratch.unlink(missing_ok=True)
