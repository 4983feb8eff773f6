"""The manifest of a bundle: what each file must be, and how the run is repeated."""

import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgesim import untrusted
from edgesim.errors import ResultError
from edgesim.version import __version__

NAME = "manifest.json"
RESULT, README, SBOM, ENVIRONMENT = "result.json", "README.md", "sbom.cdx.json", "environment.json"
MODELS, INPUTS, IMAGES = "models", "inputs", "images"
FORMAT = 1
MOST_BYTES = 8 << 20
_DIGEST = r"^[0-9a-f]{64}$"
_MOST_PATH = 1024
_FIX = "get the bundle again, or make it again: edgesim bundle RESULT.json -o NAME.edgesim.tar"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class File(_Part):
    """A file of the bundle; the digest is SHA-256, in hex."""

    sha256: Annotated[str, Field(pattern=_DIGEST)]
    size_bytes: Annotated[int, Field(ge=0)]


class ServingImage(_Part):
    """A container image that the run used.

    Attributes:
        architecture: ``arm64``, ``amd64``.
        reference: name of the image in the engine of the run.
        id: digest by which that engine knew the image.
        name: name of the image in the bundle, made from its content, so that loading it replaces no image of another
            content; None if the bundle does not contain the image.
    """

    architecture: str
    reference: Annotated[str, Field(pattern=r"^[a-z0-9][\w.:/@-]*$", max_length=512)]
    id: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    name: Annotated[str, Field(pattern=r"^edgesim/bundled:[0-9a-f]{12}$")] | None = None


class Manifest(_Part):
    """All of a bundle but its files' contents.

    Attributes:
        files: every other file of the bundle, by path.
        profile: all facts of the board, power mode included.
        model: name of the model below `MODELS`.
        options: the options of the run that do not belong to a host; paths are those of the bundle.
    """

    kind: Literal["edgesim bundle"] = "edgesim bundle"
    format: Literal[1] = 1
    edgesim_version: str
    files: dict[str, File]
    images: tuple[ServingImage, ...] = ()
    profile: dict[str, Any]
    model: str
    options: dict[str, Any]

    @model_validator(mode="after")
    def _paths_are_safe(self) -> "Manifest":
        directories = {str(parent) for name in self.files for parent in PurePosixPath(name).parents}
        for name in self.files:
            if not is_safe(name):
                raise ValueError(f"{name!r} is not a path within the bundle")
            if name in directories or name == NAME:
                raise ValueError(f"{name!r} is a file and a directory, or the manifest")
        if missing := sorted({RESULT, README} - self.files.keys()):
            raise ValueError(f"no {missing[0]}")
        return self

    def as_json(self) -> bytes:
        """Return the manifest's bytes, the same for the same bundle."""
        options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
        return orjson.dumps(self.model_dump(mode="json"), option=options) + b"\n"


def is_safe(name: str) -> bool:
    """Return whether a path stays within the directory that the bundle is unpacked into."""
    path = PurePosixPath(name)
    printable = name.isprintable() and "\\" not in name and len(name.encode(errors="replace")) <= _MOST_PATH
    return printable and not path.is_absolute() and ".." not in path.parts and str(path) == name and name != "."


def read(data: bytes, where: str) -> Manifest:
    """Read a manifest of a bundle that may be a stranger's.

    Raises:
        ResultError: the manifest is wrong, or of a newer edgesim.
    """
    try:
        document = untrusted.json_of(data)
    except ValueError as error:
        raise broken(where, f"{NAME}: {error}") from error
    if not isinstance(document, dict) or document.get("kind") != "edgesim bundle":
        raise broken(where, f"{NAME}: not the manifest of a bundle")
    format_ = document.get("format")
    if isinstance(format_, int) and format_ > FORMAT:
        made_by = re.sub(r"[^\w.+-]", "", str(document.get("edgesim_version")))[:40]
        raise ResultError(
            f"{where}: a bundle of format {format_}, made by edgesim {made_by}; edgesim {__version__} reads format"
            f" {FORMAT}",
            fix=f"install edgesim {made_by} or newer",
        )
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"])[:200]
        raise broken(where, f"{NAME}: {at + ': ' if at else ''}{first['msg']}") from error


def broken(where: str, problem: str) -> ResultError:
    """Return the error for a bundle that is not as edgesim wrote it."""
    return ResultError(f"{where}: not a valid bundle: {problem}", fix=_FIX)
