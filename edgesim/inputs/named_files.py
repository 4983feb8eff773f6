"""The files that a file of inputs names, which go with it to another machine."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edgesim.inputs import inputs_file
from edgesim.inputs.inputs_file import Entry
from edgesim.models.repository import Model

_WILD = "*?["


@dataclass(frozen=True)
class NamedFiles:
    """A file, or a pattern of files, that an entry names.

    Attributes:
        input: the model's input.
        pattern: as it is written.
        directory: what the pattern is relative to.
    """

    input: str
    pattern: str
    directory: Path

    @property
    def leads_out(self) -> bool:
        """Whether the files lie outside of the directory, and cannot go with it."""
        return self.is_absolute or ".." in PurePosixPath(self.pattern).parts

    @property
    def is_absolute(self) -> bool:
        """Whether the files are named by a path of this machine, or of the user's home."""
        return PurePosixPath(self.pattern).is_absolute() or self.pattern.startswith("~")

    def paths(self) -> list[Path]:
        """Return the paths that the pattern stands for; a file that is named may be missing."""
        path = self.directory / Path(self.pattern).expanduser()
        return sorted(path.parent.glob(path.name)) if any(letter in path.name for letter in _WILD) else [path]


def named(file: Path, model: Model) -> Iterator[NamedFiles]:
    """Yield what a file of inputs names.

    Raises:
        ModelError: the file is wrong, or of another model.
    """
    for name, entry in inputs_file.read(file, model).inputs.items():
        yield from (NamedFiles(name, pattern, file.parent) for pattern in _patterns(entry))


def _patterns(entry: Entry) -> Iterator[str]:
    yield from (str(each) for each in (entry.file, entry.lines) if each is not None)
    for one in entry.one_of or ():
        yield from _patterns(one)
