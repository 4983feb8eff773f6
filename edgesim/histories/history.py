"""A history: results are added to it, and series are read from it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesim.errors import UsageError
from edgesim.gates import baselines
from edgesim.gates.comparable import unfit
from edgesim.histories import commits, entry
from edgesim.histories.entry import Entry, Revision
from edgesim.histories.places import DIRECTORY, Branch, Directory, Place
from edgesim.histories.series import Selection, Series, in_order, series_of
from edgesim.results import result_file
from edgesim.results.run_result import RunResult

# In `model.origin` of a side of a paired run: ``main (8882064a1b2c)``.
_COMMIT = re.compile(r"\(([0-9a-f]{12,})\)$")


@dataclass(frozen=True, kw_only=True)
class Addition:
    """What became of results that were to be added.

    Attributes:
        added: names of the new files.
        known: names of the files of results that the history had already.
        refused: of each INVALID result its name, and why it is INVALID.
    """

    added: tuple[str, ...]
    known: tuple[str, ...]
    refused: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Trends:
    """What a history shows.

    Attributes:
        entries: how many results count.
        left_out: how many do not, because they are of no commit in `Selection.commits`.
        foreign: names of files in the history's place that are no entries, and were skipped.
    """

    series: tuple[Series, ...]
    entries: int
    left_out: int
    foreign: tuple[str, ...]

    @property
    def recent_worse(self) -> tuple[Series, ...]:
        """The series with a recent step for the worse."""
        return tuple(series for series in self.series if any(step.recent and step.worse for step in series.steps))


class History:
    """Results over time, as small files in a directory or on a git branch."""

    def __init__(self, place: Place, repository: Path) -> None:
        """Open a history.

        Args:
            repository: a directory of the git repository that revisions are looked up in.
        """
        self._place, self._repository = place, repository

    def __str__(self) -> str:
        return str(self._place)

    def add(self, *results: RunResult | Path | str, revision: str | None = None) -> Addition:
        """Add results to the history.

        Args:
            results: results, or files of results (a sweep keeps one beside each cell that is a run) or of baselines.
            revision: what the results are of: a git revision, or any name outside of a git repository; None means the
                commit that the result itself names, as one of a paired run does, else the one that is checked out.

        Raises:
            ResultError: a file is no result, or cannot be written.
            UsageError: there is no such revision.
            DiskFull: no space is left.
        """
        given = commits.revision(revision, self._repository)
        files: dict[str, bytes] = {}
        refused = {}
        for result in results:
            where = result.model.name if isinstance(result, RunResult) else str(result)
            made = self._entry(result, given, named=revision is not None)
            if isinstance(made, Entry):
                files[made.file_name] = made.as_json()
            else:
                refused[where] = made
        added = self._place.add(files) if files else ()
        return Addition(added=added, known=tuple(name for name in files if name not in added), refused=refused)

    def _entry(self, result: RunResult | Path | str, revision: Revision | None, *, named: bool) -> Entry | str:
        """Return the entry of a result, or why it can be none."""
        if not isinstance(result, RunResult):
            document: Any = result_file.document(result)
            result = baselines.of_document(document, Path(result))
        if why := unfit(result):
            return why
        own = _COMMIT.search(result.model.origin or "")
        if own is not None and not named:
            revision = self._own_revision(own[1])
        return entry.of_run(result, revision)

    def _own_revision(self, commit: str) -> Revision | None:
        try:
            return commits.revision(commit, self._repository)
        except UsageError:  # of another repository
            return Revision(name=commit)

    def entries(self) -> tuple[list[Entry], tuple[str, ...]]:
        """Return all entries in the order of their files, and the names of files that are none and were skipped.

        Raises:
            ResultError: there is no history, or an entry was damaged.
        """
        found, foreign = [], []
        for name, content in self._place.files():
            if entry.FILE_NAME.fullmatch(name):
                found.append(entry.read(content, f"{self._place}: {name}"))
            else:
                foreign.append(name)
        return found, tuple(foreign)

    def trends(self, selection: Selection = Selection()) -> Trends:  # noqa: B008  # frozen
        """Return the series of the history, and the steps in them.

        Raises:
            ResultError: there is no history, or an entry was damaged.
            UsageError: there is no such range of commits.
        """
        entries, foreign = self.entries()
        counted, left_out = in_order(entries, selection, self._repository)
        series = series_of(counted, selection, self._repository)
        return Trends(series=series, entries=len(counted), left_out=left_out, foreign=foreign)


def history(directory: Path | str | None = None, *, branch: str | None = None, repository: Path | str = ".") -> History:
    """Open the history in a directory, or on a branch of a git repository; `add` makes one that does not exist.

    Args:
        directory: ``history`` if neither this nor a branch is given.
        repository: a directory of the git repository that has the branch, and the revisions.

    Raises:
        UsageError: both a directory and a branch are given, or there is no git repository for the branch.
        HostError: git is needed and not installed.
    """
    if directory is not None and branch is not None:
        raise UsageError("`dir` and `branch`: give only one of them")
    place: Place = Branch(branch, Path(repository)) if branch is not None else Directory(Path(directory or DIRECTORY))
    return History(place, Path(repository))
