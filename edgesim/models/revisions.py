"""The two sides of a comparison: each a model, a directory, or a git revision of the model repository."""

import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from edgesim import untrusted
from edgesim.errors import HostError, ModelError, UsageError
from edgesim.git import git, is_installed
from edgesim.host.scratch import scratch_directory
from edgesim.models import repository
from edgesim.models.repository import FILE_NAME, Model

# As many letters of a commit's name as stand for one commit in large repositories.
_COMMIT_LETTERS = 12
_FORMS = "a model's name, an .onnx file, a directory, REVISION or REVISION:NAME of the model repository"


@contextmanager
def sides(
    base: str, candidate: str, *, name: str | None = None, models: str | Path | None = None
) -> Iterator[tuple[Model, Model]]:
    """Find the models that two references name. Files taken out of git are removed when the block ends.

    A reference is, in this order: a path to an ``.onnx`` file; a directory of a model (``VERSION/model.onnx``) or of a
    repository; a model's name in the repository; a git revision of the repository, or ``REVISION:NAME``.

    Args:
        name: the model, where a reference does not name one; None means the model that the other reference names, or
            the repository's only model.
        models: the model repository; None means ``models/``.

    Raises:
        UsageError: a reference is none of these, or does not say which model it means.
        ModelError: no such model, or its file is not an ONNX model.
        HostError: git is not installed.
    """
    directory = Path(models) if models is not None else None
    name = name or _model_name(candidate, directory) or _model_name(base, directory)
    with scratch_directory("edgesim-revision-") as scratch:
        yield (
            _resolve(base, name, directory, Path(scratch) / "base"),
            _resolve(candidate, name, directory, Path(scratch) / "candidate"),
        )


def _model_name(reference: str, models: Path | None) -> str | None:
    """Return the name of the model, if the reference contains it."""
    path = Path(reference)
    if path.is_dir():
        return path.resolve().name if _versions(path) else None
    if repository.names_a_file(reference):
        directory = path.parent.resolve()  # the file itself may be a link into a store
        return directory.parent.name if path.name == FILE_NAME and directory.name.isdigit() else None
    if not _is_model(reference, models):
        return reference.partition(":")[2] or None
    return reference


def _is_model(reference: str, models: Path | None) -> bool:
    try:
        repository.find(reference, models)
    except ModelError:
        # A directory of the repository is a model's, even if its files are not a model.
        directory = _directory_of(models)
        return directory.is_dir() and any(entry.name == reference and entry.is_dir() for entry in directory.iterdir())
    return True


def _directory_of(models: Path | None) -> Path:
    return models if models is not None else repository.DEFAULT


def _resolve(reference: str, name: str | None, models: Path | None, scratch: Path) -> Model:
    path = Path(reference)
    if repository.names_a_file(reference):
        return replace(repository.find(reference, models), origin=reference)
    if path.is_dir():
        repository.require_no_other_format(path)
        return replace(_in_directory(path, name), origin=reference)
    if _is_model(reference, models):
        return replace(repository.find(reference, models), origin=reference)
    repository.require_no_other_format(path)
    revision, _, own_name = reference.partition(":")
    return _in_git(revision, own_name or name, _directory_of(models), reference, scratch)


def _in_directory(directory: Path, name: str | None) -> Model:
    """Find the model in a directory, which has either the versions of one model or several models."""
    if _versions(directory):
        return repository.find(directory.resolve().name, directory.resolve().parent)
    return repository.find(_only(repository.names(directory), name, str(directory)), directory)


def _versions(directory: Path) -> list[Path]:
    """Return the versions in a directory of one model; empty for any other directory."""
    return [entry for entry in directory.iterdir() if entry.name.isdigit() and (entry / FILE_NAME).is_file()]


def _only(names: Sequence[str], name: str | None, where: str) -> str:
    """Return `name`, or the only one of `names` without it."""
    if name is not None:
        return name
    if len(names) == 1:
        return names[0]
    if not names:
        raise ModelError(f"{where}: contains no model", fix=f"a model is at NAME/VERSION/{FILE_NAME}")
    raise UsageError(f"{where}: contains several models: {', '.join(names)}", fix="`model=NAME`")


def _in_git(revision: str, name: str | None, directory: Path, reference: str, scratch: Path) -> Model:
    """Find a model as it is in a revision, with all files of its directory."""
    tree, top = _tree_of(revision, directory, reference)
    exists, listing = git(directory, "ls-tree", "-d", "-z", "--name-only", "--full-tree", tree)
    where = f"{directory} at {revision}"
    names = [entry for entry in listing.decode().split("\0") if entry] if exists else []
    if not names:
        raise ModelError(f"{where}: contains no model", fix=f"git -C {directory} log -- . shows revisions with models")
    name = _only(names, name, where)
    if name not in names:
        raise ModelError(f"{where}: no model {name!r}; it has {', '.join(names)}")
    # From the top of the repository: git would look for the path below the directory in which it is called.
    archived, archive = git(top, "archive", "--format=tar", tree, "--", name)
    if not archived:
        raise UsageError(f"{where}: git cannot archive {name}: {archive.decode(errors='replace').strip()}")
    scratch.mkdir()
    try:
        with tarfile.open(fileobj=BytesIO(archive)) as unpacked:
            unpacked.extraction_filter = getattr(tarfile, "data_filter", None)  # the oldest 3.11 has none
            unpacked.extractall(scratch)  # noqa: S202 (git stores no path that leads out of its tree)
    except tarfile.TarError as error:
        raise ModelError(f"{where}: {name} cannot be extracted from git: {error}") from error
    for file in (scratch / name).rglob("*"):
        if file.is_file() and _is_pointer(file):
            raise ModelError(
                f"{where}: {name}/{file.relative_to(scratch / name)} is a pointer of git-lfs, not the file",
                fix=f"git -C {directory} lfs install --local && git -C {directory} lfs fetch origin {revision}",
            )
    commit = tree.partition(":")[0]
    return replace(repository.find(name, scratch), origin=f"{reference} ({commit[:_COMMIT_LETTERS]})")


def _tree_of(revision: str, directory: Path, reference: str) -> tuple[str, Path]:
    """Return git's name of the tree that `directory` is in a revision, and the top of the git repository.

    Raises:
        UsageError: `reference`, of which `revision` is a part, names neither a model nor a revision.
        HostError: git is not installed.
    """
    unknown = f"{reference}: not {_FORMS}"
    if not directory.is_dir():
        raise UsageError(unknown, fix=f"the model repository {directory} does not exist: `models=DIR`")
    if not is_installed():
        raise HostError(f"{reference}: git is not installed, and a revision needs it", fix="apt-get install git")
    if revision.startswith("-"):
        raise UsageError(unknown)
    in_git, prefix = git(directory, "rev-parse", "--show-prefix")
    _, top = git(directory, "rev-parse", "--show-toplevel")
    if not in_git:
        raise UsageError(unknown, fix=f"{directory} is in no git repository, so it has no revisions")
    known, commit = git(directory, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if not known:
        raise UsageError(unknown, fix=f"git -C {directory} log --oneline lists the revisions")
    tree = f"{commit.decode().strip()}:{prefix.decode().strip().rstrip('/')}"
    return tree, Path(top.decode().strip())


def _is_pointer(file: Path) -> bool:
    with file.open("rb") as opened:
        pointer = untrusted.pointer_of(opened.read(64))
    return pointer is not None and pointer.program == "Git LFS"
