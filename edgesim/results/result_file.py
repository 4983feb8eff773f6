"""Reading and writing of result files: whole, or not at all."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from edgesim import untrusted
from edgesim.errors import DISK_FULL, DiskFull, ResultError, UsageError, field_problem, of_limit

_MOST_BYTES = 512 * untrusted.MIB  # nearly five million requests
_OTHER_KIND = "other_kind"
# The directory of the cells within that of a sweep.
CELLS = "cells"
_MAKE = "edgesim run PROFILE MODEL -o FILE.json writes one"
_FIX = "set `output` to a file in a directory that exists and has space"

Kind = TypeVar("Kind", bound=BaseModel)


class OtherKindOfResult(ResultError):
    """The file is the result of a stack, and the reader expects the result of one model."""


def other_kind() -> PydanticCustomError:
    """Return the error that a validator of a result raises for a result of another kind, which `read` translates."""
    return PydanticCustomError(_OTHER_KIND, "is the result of a stack")


def path_of(value: object, parameter: str, *, or_else: str = "") -> Path:
    """Return the path that a caller from Python gave for a parameter.

    Args:
        or_else: what the parameter takes beside a path, such as ``a result``.

    Raises:
        UsageError: the value is no path.
    """
    if isinstance(value, str | os.PathLike):
        return Path(value)
    words = f"{or_else}, or a path" if or_else else "a path"
    raise UsageError(f"`{parameter}`: must be {words}, and is a value of type {type(value).__name__}")


def read(kind: type[Kind], path: Path | str) -> Kind:
    """Read a result file of one kind.

    Raises:
        OtherKindOfResult: the file is a result of another kind.
        ResultError: the file cannot be read, or is not a result file.
    """
    return validated(kind, document(path), path)


def document(path: Path | str, what: str = "a result file", *, fix: str = _MAKE) -> Any:
    """Read a JSON file that may be a stranger's.

    Raises:
        ResultError: the file cannot be read, is larger than a result can be, or is not JSON.
    """
    try:
        return untrusted.read_json(Path(path), _MOST_BYTES)
    except OSError as error:
        if Path(path).is_dir():
            raise _directory(Path(path), what, fix) from error
        raise ResultError(f"{path}: {error.strerror}", fix=untrusted.fix_of(error, fix)) from error
    except ValueError as error:
        if str(path).lower().endswith(".onnx"):
            fix = f"edgesim run PROFILE {path} -o FILE.json makes a result"
            raise ResultError(f"{path}: an ONNX model, not {what}", fix=fix) from error
        raise ResultError(f"{path}: not {what}: {error}", fix=fix) from error


def _directory(path: Path, what: str, fix: str) -> ResultError:
    """Return the error for a directory in place of a file."""
    if (path / CELLS).is_dir():
        fix = f"edgesim report {path} shows the sweep; a run's result is in {path / CELLS}/*.result.json"
        return ResultError(f"{path}: the directory of a sweep, not {what}", fix=fix)
    return ResultError(f"{path}: a directory without cells of a sweep, not {what}", fix=fix)


def validated(kind: type[Kind], document: Any, path: Path | str) -> Kind:
    """Return the result of one kind that the document of a file holds; raises as `read` does."""
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == _OTHER_KIND:
            raise OtherKindOfResult(
                f"{path}: is the result of a stack, not of one model",
                fix=_MAKE,
            ) from error
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ResultError(
            f"{path}: not a result file: {where}: {field_problem(first)}",
            fix=_MAKE,
        ) from error


def json_text(document: Any, *, indented: bool = True) -> str:
    """Return the text of a JSON file; what UTF-8 cannot hold, as the name of a file, is a question mark."""
    option = orjson.OPT_INDENT_2 if indented else 0
    try:
        return orjson.dumps(document, option=option).decode() + "\n"
    except TypeError:  # "surrogates not allowed"
        return orjson.dumps(_in_utf8(document), option=option).decode() + "\n"


def _in_utf8(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_in_utf8(key): _in_utf8(each) for key, each in value.items()}
    return [_in_utf8(each) for each in value] if isinstance(value, list | tuple) else value


def write_text(path: Path | str, text: str, *, what: str = "the result", fix: str = _FIX) -> None:
    """Write a text file as `write_bytes` does; what UTF-8 cannot hold, as from a broken log, is a question mark."""
    write_bytes(path, text.encode(errors="replace"), what=what, fix=fix)


def write_bytes(path: Path | str, data: bytes, *, what: str = "the result", fix: str = _FIX) -> None:
    """Write a file: whole, or not at all.

    Raises:
        ResultError: the file cannot be written; `what` and `fix` are for its message.
        DiskFull: no space is left for the file.
        HostError: a limit of this process forbids the file.
    """
    path = Path(path)
    # A symbolic link stays a link, and a path that is no regular file, such as /dev/stdout, is written directly.
    replaceable = path.is_file() or not path.exists()
    target = path.resolve() if replaceable else path
    scratch = target.with_name(f".{target.name}.{os.getpid()}") if replaceable else None
    try:
        (scratch or target).write_bytes(data)
        if scratch is not None:
            scratch.replace(target)
    except OSError as error:
        problem = f"{path}: cannot write {what}: {error.strerror}"
        if error.errno in DISK_FULL:
            raise DiskFull(problem, fix=f"free some space there (df -h {path.parent}), or {fix}") from error
        raise of_limit(error, problem) or ResultError(problem, fix=fix) from error
    finally:
        if scratch is not None:
            with suppress(OSError):
                scratch.unlink(missing_ok=True)
