"""Model repositories: finds a model, and describes its inputs, outputs and contents."""

import errno
import hashlib
import math
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from edgesim import links_in_git, paths, untrusted
from edgesim.errors import ModelError, did_you_mean
from edgesim.models import (
    external_weights,
    graph_nodes,
    loose_files,
    other_formats,
    placeholders,
    samples,
    signature,
)
from edgesim.models.configuration import Configuration
from edgesim.models.links import Bounds
from edgesim.models.proto_text import are_text
from edgesim.models.signature import Tensor
from edgesim.profiles import is_profile
from edgesim.server.config import ConfigError
from edgesim.units import format_bytes

if TYPE_CHECKING:
    import onnx

FILE_NAME = "model.onnx"
INPUTS_NAME = "inputs.yaml"
# The repository of a user who names none.
DEFAULT = Path("models")
_CHUNK_BYTES = 1 << 20
_MOST_BYTES = 2**31 - 1  # of one message of protocol buffers
_OUTSIDE = "save the weights beside it: onnx.save(model, 'model.onnx', save_as_external_data=True)"
_HUGGING_FACE = re.compile(r"models--(?P<name>.+)")  # the cache's directory of the model acme/tiny: models--acme--tiny


@dataclass(frozen=True, kw_only=True)
class Model:
    """One version of an ONNX model on disk.

    Attributes:
        path: the ONNX file, in its real directory; the file itself may be a symbolic link.
        data_paths: the files of weights that the ONNX file refers to, in the same directory or below; they may be
            symbolic links (see `edgesim.models.external_weights`).
        size_bytes: size of all these files together.
        opset: of ONNX's own operations; 0 for a model that has none of them.
        opsets: versions of the other domains that the model takes operations from, such as ``ai.onnx.ml``.
        operations: how often each operation occurs, also in branches, loops and functions.
        parameters: number of elements of all initializers, also of branches, loops and functions, and of the constants
            that are weights: those of floating-point numbers with a dimension, and those outside the ONNX file.
        samples_path: an ``.npz`` file with real inputs (and labels) that came with the model; None without.
        inputs_path: a file that says which inputs the model takes (`edgesim.inputs.inputs_file`); None without.
        configuration: the configuration beside the model, by which the server loads and runs it; None without.
        host_libraries: libraries of custom operations that the user lets edgesim load on this host: files, or packages.
        origin: the reference that named the model, where a git revision with its commit; None for other models than the
            sides of a comparison.
    """

    name: str
    version: str
    path: Path
    data_paths: tuple[Path, ...]
    size_bytes: int
    opset: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operations: Counter[str]
    parameters: int
    opsets: dict[str, int] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    origin: str | None = None
    samples_path: Path | None = None
    inputs_path: Path | None = None
    configuration: Configuration | None = None
    host_libraries: tuple[str, ...] = ()

    @cached_property
    def sha256(self) -> str:
        """The digest of the ONNX file and then of each data file, hex; read when it is first asked for.

        Raises:
            HostError: this user may not read the files.
        """
        with _permission_is_the_hosts():
            return _digest((self.path, *self.data_paths))

    @property
    def opset_words(self) -> str:
        """The opsets in words: ``17, ai.onnx.ml 3``."""
        own = [str(self.opset)] if self.opset else []
        return ", ".join([*own, *(f"{domain} {version}" for domain, version in sorted(self.opsets.items()))])

    @property
    def signature(self) -> str:
        """Inputs and outputs in words: ``image FP32[?, 8, 8] → probabilities FP32[?, 10]``."""
        inputs, outputs = (", ".join(map(str, tensors)) for tensors in (self.inputs, self.outputs))
        return f"{inputs} → {outputs}"

    def check_configuration(self, *, board_cores: int) -> None:
        """Check what edgesim's server refuses in the model's configuration, before a server is started.

        Raises:
            ModelError: the server would refuse the configuration.
        """
        if self.configuration is not None:
            self.configuration.check(self.inputs, self.outputs, version=self.version, board_cores=board_cores)


@contextmanager
def _permission_is_the_hosts() -> Iterator[None]:
    """Turn a directory or file that this user may not read into an error of the host; what else fails is the model's.

    Files may vanish, and names may be longer than a file system takes.
    """
    try:
        yield
    except OSError as error:
        raise external_weights.unreadable(Path(error.filename or "."), error) from error


@_permission_is_the_hosts()
def find(reference: str | Path, repository: str | Path | None = None) -> Model:
    """Find the model that `reference` names: a path to an ``.onnx`` file, or a name in the repository.

    Args:
        repository: None means ``models/`` in the working directory; a sample model that is not there is built into the
            user's cache. Symbolic links of the model may lead anywhere in the repository.

    Raises:
        ModelError: no such model, its file is not an ONNX model, or its weights are missing or lead out of its
            directory.
        HostError: a sample model cannot be written into the cache, or this user may not read the files.
    """
    reference = str(reference)
    if names_a_file(reference):
        path = Path(reference)
        if not path.is_file():
            if path.is_dir():
                require_no_other_format(path)
            nothing = "a symbolic link to a file that does not exist" if path.is_symlink() else "no such model file"
            problem = f"{reference}: {untrusted.other_kind(path) or nothing}"
            raise ModelError(problem, fix=placeholders.fetching(path) or "edgesim models list")
        name = path.stem if path.name != FILE_NAME else _name_of(path)
        return read(path, name=name, repositories=[Path(repository)] if repository is not None else [])
    if Path(reference).name != reference:
        _require_no_directory(Path(reference))
    if repository is not None:
        repository = Path(repository)
        _require_directory(repository)
        return _in_repository(reference, repository)
    local = DEFAULT
    if (local / reference).is_dir():
        return _in_repository(reference, local)
    if reference in samples.NAMES:
        return _in_repository(reference, samples.ensure(reference))
    require_no_other_format(Path(reference))
    _require_no_directory(Path(reference))
    known = sorted({*names(local), *samples.NAMES})
    if is_profile(reference):
        raise ModelError(f"{reference!r} is a profile, and not a model", fix="edgesim models list")
    nearest = did_you_mean(reference, known)
    raise ModelError(f"unknown model {reference!r}; there are {', '.join(known)}{nearest}", fix="edgesim models list")


def names_a_file(reference: str) -> bool:
    """Return whether a reference is the path of an ONNX file, by its suffix in any case; else it is a name."""
    return reference.lower().endswith(".onnx")


def require_no_other_format(path: Path) -> None:
    """Raise for a path to a model that edgesim does not run, or to a file that is not called an ONNX file.

    Raises:
        ModelError: names the format, and what exports its models to ONNX.
    """
    is_file = paths.is_file(path)
    if (is_file or path.is_dir()) and (other := other_formats.identify(path)) is not None:
        raise ModelError(f"{path}: {other.kind}; edgesim runs ONNX models", fix=other.fix)
    if is_file:
        raise ModelError(
            f"{path}: the name of an ONNX file ends in .onnx",
            fix=f"if it is one: cp {path} {path.with_suffix('.onnx')}",
        )
    if path.suffix.lower() in other_formats.SUFFIXES:
        raise ModelError(f"{path}: no such file; edgesim runs ONNX models", fix="edgesim models list")


def _require_no_directory(path: Path) -> None:
    """Raise for a path to a directory in place of a model: say which of its files or names is meant."""
    if not path.is_dir():
        return
    require_no_other_format(path)
    if known := names(path):
        raise ModelError(
            f"{path}: a model repository, and not a model; it has {', '.join(known)}",
            fix=f"name the model, and the repository by `models={path}`",
        )
    files = sorted(file for pattern in ("*.onnx", "*/*.onnx") for file in path.glob(pattern))
    fix = f"give the file: {files[-1]}" if files else "give an .onnx file, or a name of edgesim models list"
    raise ModelError(f"{path}: a directory, and not a model", fix=fix)


@_permission_is_the_hosts()
def names(repository: str | Path) -> list[str]:
    """Return the names of a repository's models: its directories that contain a numbered version.

    Raises:
        HostError: this user may not read the directories.
    """
    repository = Path(repository)
    if not repository.is_dir():
        return []
    return sorted(entry.name for entry in repository.iterdir() if entry.is_dir() and _versions(entry))


def whole(repository: str | Path | None) -> Path:
    """Return the repository to take all models of, as a board that serves does.

    Args:
        repository: None means ``models/`` in the working directory, or the sample models, built into the user's cache,
            if there is no model in it: the same rule as that of `find`.

    Raises:
        ModelError: there is no model in the repository that was named.
        HostError: a sample model cannot be built, or this user may not read the directories.
    """
    directory = Path(repository) if repository is not None else DEFAULT
    if names(directory):
        return directory
    if repository is not None:
        fix = f"edgesim models build --models {directory} builds the sample models"
        if directory.is_dir() and (loose := loose_files.of(directory)):
            fix = loose_files.into_place(loose[0], FILE_NAME)
        raise ModelError(f"{directory}: no model in it", fix=fix)
    return [samples.ensure(name) for name in samples.NAMES][-1]


def _require_directory(repository: Path) -> None:
    if not repository.is_dir():
        raise ModelError(
            f"{repository}: no such model directory",
            fix=f"edgesim models build --models {repository} creates the directory with the sample models",
        )


def _versions(directory: Path) -> list[int]:
    # `isdigit` takes digits that `int` does not, such as ².
    return sorted(int(entry.name) for entry in directory.iterdir() if entry.name.isdecimal() and entry.is_dir())


def _in_repository(name: str, repository: Path) -> Model:
    directory = repository / name
    if Path(name).name != name or name == "..":
        require_no_other_format(Path(name))
        raise ModelError(
            f"{repository}: {name!r} is a path, not a model's name", fix="give a name, or the path of an .onnx file"
        )
    if not directory.is_dir():
        require_no_other_format(directory if directory.exists() else Path(name))
        known = names(repository)
        has = f"it has {', '.join(known)}" if known else "it has none"
        loose = next((path for path in loose_files.of(repository) if name in (path.stem, path.name)), None)
        fix = f"edgesim models list --models {shlex.quote(str(repository))}"
        if loose is not None:
            fix = f"give its path, {loose}, or move it: {loose_files.into_place(loose, FILE_NAME)}"
        raise ModelError(f"{repository}: no model {name!r}; {has}{did_you_mean(name, known)}", fix=fix)
    versions = _versions(directory)
    if not versions:
        raise ModelError(
            f"{directory}: contains no version", fix=f"a model is at {name}/VERSION/{FILE_NAME}, e.g. {name}/1/"
        )
    path = directory / str(_served_version(directory, versions)) / FILE_NAME
    if not path.is_file():
        fix = placeholders.fetching(path) or f"a model is at {name}/VERSION/{FILE_NAME}"
        raise ModelError(f"{path}: no such file", fix=fix)
    return read(path, name=name, repositories=[repository])


def _served_version(directory: Path, versions: Sequence[int]) -> int:
    """Return the newest version that the model's configuration lets the server serve, of those on disk."""
    configuration = Configuration.beside(directory / str(versions[-1]) / FILE_NAME)
    if configuration is None or isinstance(configuration.config, ConfigError):
        return versions[-1]
    served = configuration.config.versions.choose([*map(str, versions)])
    return int(served[-1]) if served else versions[-1]


def _name_of(path: Path) -> str:
    """Return the name of the directory that stands for the model of a ``model.onnx``.

    In the cache of Hugging Face (``models--acme--tiny/snapshots/COMMIT/onnx/model.onnx``) that is ``acme--tiny``.
    """
    version = path.parent.resolve()
    for directory in version.parents:
        if (match := _HUGGING_FACE.fullmatch(directory.name)) is not None:
            return match["name"]
    return version.parent.name if version.name.isdigit() else version.name


def read(path: str | Path, *, name: str, repositories: Sequence[Path] = ()) -> Model:
    """Read an ONNX file without the values of its weights.

    Args:
        repositories: directories that the user named, into which symbolic links of the model may lead.

    Raises:
        ModelError: the file is not an ONNX model, or a file of weights that it refers to is missing, too short or out
            of bounds (see `edgesim.models.external_weights`).
        HostError: this user may not read the files.
    """
    path = Path(path)
    _require_text(path)
    links_in_git.require_none_out(path, ModelError)
    proto = parse(path)
    # The file itself is not followed: weights are beside the link, in the cache of Hugging Face and with DVC.
    directory = path.parent.resolve()
    data_paths = tuple(
        directory / file.relative_to(path.parent) for file in external_weights.files(path, proto, repositories)
    )
    path = directory / path.name
    samples_path = path.parent.parent / "samples.npz"
    in_repository = path.name == FILE_NAME and path.parent.name.isdigit()
    return Model(
        name=name,
        version=path.parent.name if path.parent.name.isdigit() else "1",
        path=path,
        data_paths=data_paths,
        size_bytes=sum(file.stat().st_size for file in (path, *data_paths)),
        opset=next((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), 0),
        inputs=signature.inputs(path, proto),
        outputs=signature.outputs(path, proto),
        opsets=_other_opsets(proto),
        operations=Counter(node.op_type for node in graph_nodes.of_model(proto)),
        parameters=sum(math.prod(tensor.dims) for tensor in (*external_weights.tensors(proto), *_constants(proto))),
        metadata={entry.key: entry.value for entry in proto.metadata_props},
        samples_path=_own(samples_path, path, repositories) if path.name == FILE_NAME else None,
        inputs_path=_inputs_path(path, repositories, in_repository=in_repository),
        configuration=Configuration.beside(path, repositories) if in_repository else None,
    )


def _require_text(path: Path) -> None:
    """Raise for a path that ONNX Runtime cannot open: Python has lone surrogates for bytes that are not UTF-8."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError as error:
        raise ModelError(
            f"{path}: its path is not UTF-8 text, and ONNX Runtime opens no such path",
            fix="rename the file or directory",
        ) from error


def _own(file: Path, model: Path, repositories: Sequence[Path]) -> Path | None:
    """Return a file that came with a model; None without one.

    Raises:
        ModelError: the file is a symbolic link to what is not the model's or to nothing, or is no file.
    """
    try:
        if not (file.exists() or file.is_symlink()):
            return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # the model's own name is nearly so long
            return None
        raise
    Bounds.beside(model, file.parent, repositories).require(file)
    if file.is_file():
        return file
    kind = untrusted.other_kind(file) or "a symbolic link to nothing"
    fix = placeholders.fetching(file) or f"put the file in its place, or remove {file}"
    raise ModelError(f"{file}: {kind}, not a file", fix=fix)


def _inputs_path(path: Path, repositories: Sequence[Path], *, in_repository: bool) -> Path | None:
    """Return the file beside a model that says which inputs it takes, beside the versions in a repository."""
    beside = path.parent.parent if in_repository else path.parent
    files = (_own(beside / name, path, repositories) for name in (f"{path.stem}.{INPUTS_NAME}", INPUTS_NAME))
    return next((file for file in files if file is not None), None)


def _other_opsets(proto: "onnx.ModelProto") -> dict[str, int]:
    """Return the versions of the domains, beside ONNX's own, that a model really takes operations from."""
    used = {node.domain for node in graph_nodes.of_model(proto)}
    others = [entry for entry in proto.opset_import if entry.domain not in ("", "ai.onnx")]
    return {entry.domain: entry.version for entry in others if entry.domain in used}


def _constants(proto: "onnx.ModelProto") -> Iterator["onnx.TensorProto"]:
    """Yield the weights that are written as constants, in the ONNX file; those outside it are `external_weights`'."""
    from onnx import TensorProto

    floats = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
    for node in graph_nodes.of_model(proto):
        for attribute in node.attribute if node.op_type == "Constant" else ():
            tensor = attribute.t
            inside = tensor.data_location != TensorProto.EXTERNAL
            if inside and tensor.data_type in floats and len(tensor.dims) and math.prod(tensor.dims) > 1:
                yield tensor


def parse(path: Path) -> "onnx.ModelProto":
    """Parse an ONNX file; files of weights are not opened.

    Raises:
        ModelError: the file is not an ONNX model.
        HostError: this user may not read the file.
    """
    # Imported here: onnx takes 50 ms, which a program that only names models does without.
    import onnx
    from google.protobuf.message import DecodeError

    export = "export the model to ONNX; edgesim runs nothing else; if it is ONNX, copy or download the file again"
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ModelError(
                f"{path}: {format_bytes(path.stat().st_size)} is more than a file of ONNX can have, 2 GiB", fix=_OUTSIDE
            )
        proto = onnx.load(path, load_external_data=False)
        # Protocol buffers parse many files that are not models, as an empty model.
        has_graph = proto.graph.node or proto.graph.output  # an output may be an input, or a weight
        problem = "no graph in it" if not has_graph or not proto.opset_import else None
        if any(not node.output for node in proto.graph.node):
            problem = "a node of its graph has no output"
        if problem is None and not are_text(proto):
            problem = "a name in it is not UTF-8 text"
    except OSError as error:
        raise external_weights.unreadable(path, error) from error
    except DecodeError:
        problem = "protocol buffers cannot parse it"
    if problem is None:
        graph_nodes.sort(proto.graph)
        return proto
    instead = other_formats.identify(path) or placeholders.identify(path)
    if instead is not None:
        raise ModelError(f"{path}: not an ONNX model: {instead.kind}", fix=instead.fix)
    raise ModelError(f"{path}: not an ONNX model ({problem})", fix=export)


def _digest(paths: tuple[Path, ...]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()
