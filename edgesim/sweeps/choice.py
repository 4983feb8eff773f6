"""Profiles and models that patterns name."""

import shlex
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from edgesim import profiles
from edgesim.errors import ModelError, ProfileError, did_you_mean
from edgesim.models import repository, samples
from edgesim.models.repository import Model
from edgesim.profiles import DeviceProfile
from edgesim.sweeps.model_files import ModelFiles

_WILD = "*?["


def is_pattern(text: str) -> bool:
    """Return whether a text stands for several names."""
    return any(letter in text for letter in _WILD)


def chosen_profiles(patterns: Sequence[str]) -> list[DeviceProfile]:
    """Return the profiles that patterns name, in their order, each once.

    Raises:
        ProfileError: a pattern names none.
    """
    found: dict[str, DeviceProfile] = {}
    for pattern in patterns:
        matched = list(_profiles(pattern)) if is_pattern(pattern) else [profiles.load(pattern)]
        if not matched:
            names = profiles.names()
            raise ProfileError(
                f"no profile matches {pattern!r}{did_you_mean(pattern, names)}", fix="edgesim profiles list"
            )
        for profile in matched:
            other = found.setdefault(profile.reference, profile)
            if other.file != profile.file:
                first = other.file if other.file is not None else "edgesim's own"
                raise ProfileError(
                    f"two profiles are called {profile.reference}: {first} and {profile.file}",
                    fix="give one of them another name",
                )
    return list(found.values())


def _profiles(pattern: str) -> Iterator[DeviceProfile]:
    base, separator, mode = pattern.rpartition(":")
    if not separator:
        base, mode = pattern, ""
    is_file = base.endswith((".yaml", ".yml")) or "/" in base
    names = _paths(base) if is_file else [name for name in profiles.names() if fnmatchcase(name, base.lower())]
    for name in names:
        profile = profiles.load(name)
        if not mode:
            yield profile
        else:
            yield from (profile.in_mode(each) for each in profile.modes if fnmatchcase(each.lower(), mode.lower()))


def _paths(pattern: str) -> list[str]:
    """Return the paths that a pattern matches."""
    path = Path(pattern)
    start = Path(path.anchor)
    return sorted(map(str, start.glob(str(path.relative_to(path.anchor)))))


class ChosenModel(NamedTuple):
    """A model of a sweep.

    Attributes:
        model: None for a file that cannot be read as a model: its cells fail, with the reason.
        note: a remark for the figures of each cell; empty for a model of the user's own.
    """

    files: ModelFiles
    model: Model | None
    note: str = ""


def chosen_models(patterns: Sequence[str], directory: Path | None) -> list[ChosenModel]:
    """Return the models that patterns name, in their order, each once.

    Args:
        directory: the model repository, as `edgesim.models.repository.find` takes it.

    Raises:
        ModelError: a pattern names none, or two models have one name.
    """
    found: dict[str, ChosenModel] = {}
    for pattern in patterns:
        matched = list(_models(pattern, directory))
        if not matched:
            raise ModelError(f"no model matches {pattern!r}", fix=_fix_of_pattern(pattern, directory))
        for chosen in matched:
            other = found.setdefault(chosen.files.name, chosen)
            if other.files.path != chosen.files.path:
                raise ModelError(
                    f"two models are called {chosen.files.name}: {other.files.path} and {chosen.files.path}",
                    fix="rename one, or sweep them into two directories",
                )
    return list(found.values())


def _fix_of_pattern(pattern: str, directory: Path | None) -> str:
    """Return what to do where a pattern matches no model: a repository without models needs some first."""
    inside = Path(pattern).parent if "/" in pattern and not repository.names_a_file(pattern) else directory
    if inside is None or is_pattern(str(inside)) or (inside.is_dir() and repository.names(inside)):
        return "edgesim models list"
    return f"edgesim models build --models {shlex.quote(str(inside))}"


def _models(pattern: str, directory: Path | None) -> Iterator[ChosenModel]:
    if not is_pattern(pattern):
        yield _model(pattern, directory)
        return
    if "/" not in pattern and not repository.names_a_file(pattern):
        names = repository.names(directory if directory is not None else repository.DEFAULT)
        if directory is None:
            names = list(dict.fromkeys([*names, *samples.NAMES]))
        yield from (_model(name, directory) for name in names if fnmatchcase(name, pattern))
        return
    for name in _paths(pattern):
        path = Path(name)
        if repository.names_a_file(name) or (path.is_dir() and path.name in repository.names(path.parent)):
            yield _model(name, directory)


def _model(reference: str, directory: Path | None) -> ChosenModel:
    """Return the model of a reference, which may also be the directory ``models/NAME``."""
    path = Path(reference)
    if "/" in reference and path.is_dir() and path.name in repository.names(path.parent):
        reference, directory = path.name, path.parent
    try:
        model = repository.find(reference, directory)
    except ModelError:
        file = path if repository.names_a_file(reference) else _newest(reference, directory)
        if file is None or not file.is_file():
            raise
        return ChosenModel(ModelFiles.unread(file), None)
    return ChosenModel(ModelFiles.of(model), model)


def _newest(name: str, directory: Path | None) -> Path | None:
    """Return the ONNX file of a repository's model that cannot be read."""
    versions = (directory if directory is not None else repository.DEFAULT) / name
    files = versions.glob(f"*/{repository.FILE_NAME}")
    return max(files, key=lambda file: (file.parent.name.isdecimal(), file.parent.name), default=None)
