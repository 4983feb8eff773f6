"""What is to be compared: a model, a directory of one, or a git revision of the model repository."""

import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from edgesim.errors import HostError, ModelError, UsageError
from edgesim.models import repository as model
from edgesim.models.repository import FILE_NAME, Model

_POINTER = b"version https://git-lfs.github.com/spec/"
_FORMS = "a model's name, an .onnx file, a directory, or REVISION or REVISION:NAME of the repository of models"


@contextmanager
def sides(
    base: str, candidate: str, *, name: str | None = None, models: Path | None = None
) -> Iterator[tuple[Model, Model]]:
    """The two models that the references name; what was taken out of git is gone when the block ends.

    A reference is, in this order: a path to an ``.onnx`` file; a directory of a model (``VERSION/model.onnx``) or of a
    repository; a model's name in the repository; a git revision of the repository, or ``REVISION:NAME``.

    Args:
        name: the model, where a reference leaves it open; without, the one that the other reference names, or the only
            one that is there.
        models: the model repository; ``models/`` without.

    Raises:
        UsageError: a reference is none of these, or leaves open which model it means.
        HostError: git is not there.
    """
    wanted = name or _plain_name(candidate, models) or _plain_name(base, models)
    with tempfile.TemporaryDirectory(prefix="edgesim-revision-") as scratch:
        found = [
            _resolve(reference, wanted, models, Path(scratch) / side)
            for side, reference in (("base", base), ("candidate", candidate))
        ]
        yield found[0], found[1]


def _plain_name(reference: str, models: Path | None) -> str | None:
    """The model's name, where a reference tells it."""
    path = Path(reference)
    if path.is_dir():
        return path.resolve().name if _versions(path) else None
    if reference.endswith(".onnx"):
        in_repository = path.name == FILE_NAME and path.resolve().parent.name.isdigit()
        return path.resolve().parents[1].name if in_repository else None
    if not _is_model(reference, models):
        return reference.partition(":")[2] or None
    return reference


def _is_model(reference: str, models: Path | None) -> bool:
    try:
        model.find(reference, models)
    except ModelError:
        # One of its directories all the same, though what is in it is no model.
        repository = _repository(models)
        return repository.is_dir() and any(entry.name == reference and entry.is_dir() for entry in repository.iterdir())
    return True


def _repository(models: Path | None) -> Path:
    return models if models is not None else Path("models")


def _resolve(reference: str, name: str | None, models: Path | None, scratch: Path) -> Model:
    path = Path(reference)
    if reference.endswith(".onnx"):
        return model.find(reference)
    if path.is_dir():
        return _in_directory(path, name)
    if _is_model(reference, models):
        return model.find(reference, models)
    revision, _, own_name = reference.partition(":")
    return _in_git(revision, own_name or name, _repository(models), reference, scratch)


def _in_directory(directory: Path, name: str | None) -> Model:
    """A directory of versions, or of models."""
    if _versions(directory):
        return model.find(directory.resolve().name, directory.resolve().parent)
    return model.find(_only(model.names(directory), name, str(directory)), directory)


def _versions(directory: Path) -> list[Path]:
    """The versions in it, where it is one model's."""
    return [entry for entry in directory.iterdir() if entry.name.isdigit() and (entry / FILE_NAME).is_file()]


def _only(there: Sequence[str], name: str | None, where: str) -> str:
    if name is not None:
        return name
    if len(there) == 1:
        return there[0]
    if not there:
        raise ModelError(f"{where}: no model in it", fix=f"a model is at NAME/VERSION/{FILE_NAME}")
    raise UsageError(f"{where}: which model? It has {', '.join(there)}", fix="--model NAME")


def _in_git(revision: str, name: str | None, repository: Path, reference: str, scratch: Path) -> Model:
    """A model as a revision has it, with all the files of its directory."""
    unknown = f"{reference}: not {_FORMS}"
    if not repository.is_dir():
        raise UsageError(unknown, fix=f"{repository}, the repository of models, is not there: --models DIR")
    if shutil.which("git") is None:
        raise HostError(f"{reference}: git is not installed, which a revision takes", fix="apt-get install git")
    if revision.startswith("-"):
        raise UsageError(unknown)
    inside, prefix = _git(repository, "rev-parse", "--show-prefix")
    _, top = _git(repository, "rev-parse", "--show-toplevel")
    if not inside:
        raise UsageError(unknown, fix=f"{repository} is in no git repository, so there are no revisions of it")
    known, commit = _git(repository, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if not known:
        raise UsageError(unknown, fix=f"git -C {repository} log --oneline shows the revisions that are there")
    tree = f"{commit.decode().strip()}:{prefix.decode().strip().rstrip('/')}"
    exists, listed = _git(repository, "ls-tree", "-d", "-z", "--name-only", "--full-tree", tree)
    where = f"{repository} at {revision}"
    there = [entry for entry in listed.decode().split("\0") if entry] if exists else []
    if not there:
        raise ModelError(f"{where}: no model in it", fix=f"git -C {repository} log -- . shows when there was one")
    chosen = _only(there, name, where)
    if chosen not in there:
        raise ModelError(f"{where}: no model {chosen!r}; it has {', '.join(there)}")
    # From the top, since git would look for the path below the directory that it is called in.
    done, archive = _git(Path(top.decode().strip()), "archive", "--format=tar", tree, "--", chosen)
    if not done:
        raise UsageError(f"{where}: git cannot take {chosen} out of it: {archive.decode(errors='replace').strip()}")
    scratch.mkdir()
    try:
        with tarfile.open(fileobj=BytesIO(archive)) as unpacked:
            unpacked.extraction_filter = getattr(tarfile, "data_filter", None)  # not in the oldest 3.11
            unpacked.extractall(scratch)  # noqa: S202 (git keeps no path that leads out)
    except tarfile.TarError as error:
        raise ModelError(f"{where}: {chosen} cannot be taken out of git: {error}") from error
    for file in (scratch / chosen).rglob("*"):
        if file.is_file() and _is_pointer(file):
            raise ModelError(
                f"{where}: {chosen}/{file.relative_to(scratch / chosen)} is a pointer of git-lfs, not the file",
                fix=f"git -C {repository} lfs install --local && git -C {repository} lfs fetch origin {revision}",
            )
    return model.find(chosen, scratch)


def _is_pointer(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(_POINTER)) == _POINTER


def _git(directory: Path, *arguments: str) -> tuple[bool, bytes]:
    """Whether git did it, and what it printed: on stdout if it did, else on stderr."""
    done = subprocess.run(["git", "-C", str(directory), *arguments], capture_output=True, check=False)
    return done.returncode == 0, done.stdout if done.returncode == 0 else done.stderr
