"""A comparison of two results, as reports of every format show it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from edgesim.reports import phrases
from edgesim.reports.tables import Table
from edgesim.results.run_result import RunResult

_INTERVALS_COVER = {
    "rounds": "intervals are between rounds, in which base and candidate took turns",
    "containers": "intervals are between containers, and hold for the next container, too",
    "requests": "* the interval covers the requests of these containers only: one for other containers needs"
    " `repeat=3` or more on both sides",
}


class Change(NamedTuple):
    """One metric on both sides, in words.

    `interval` is the confidence interval of the change. `figures` has the same as numbers; its ``by`` says what the
    interval covers: ``rounds``, ``containers`` or ``requests``.
    """

    metric: str
    base: str
    candidate: str
    change: str
    interval: str
    figures: Mapping[str, float | str | None]


def interval_notes(changes: Iterable[Change]) -> list[str]:
    """Return what the intervals of these changes cover, in sentences; an option is named by its field."""
    by = {change.figures["by"] for change in changes}
    return [words for name, words in _INTERVALS_COVER.items() if name in by]


@dataclass(frozen=True)
class Comparison:
    """Two results side by side.

    `different` names the fields that make the two results incomparable: every report shows these fields first. `across`
    names the fields in which the user allows a difference. `notes` name the fields of `across`, and say what the
    intervals of `changes` cover, see `interval_notes`.
    """

    base: RunResult
    candidate: RunResult
    base_file: str
    candidate_file: str
    different: tuple[str, ...]
    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    across: tuple[str, ...] = ()

    @property
    def heading(self) -> str:
        """What is compared with what."""
        titles = phrases.title(self.base), phrases.title(self.candidate)
        return f"{titles[0]}, compared" if titles[0] == titles[1] else " → ".join(titles)

    @property
    def table(self) -> Table:
        """A row for each metric."""
        rows = tuple((row.metric, row.change, row.base, row.candidate, row.interval) for row in self.changes)
        return Table("Every metric", ("metric", "change", "base", "candidate", "99 % interval"), rows)

    def document(self) -> dict[str, object]:
        """Return the comparison for programs: what makes the two incomparable, and every change."""
        sides = {"base": (self.base, self.base_file), "candidate": (self.candidate, self.candidate_file)}
        return {
            "different": list(self.different),
            "across": list(self.across),
            "sides": {
                name: {"file": file, "model": result.model.name, "origin": result.model.origin}
                | {"sha256": result.model.sha256, "created": result.created}
                for name, (result, file) in sides.items()
            },
            "metrics": self.metrics(),
        }

    def metrics(self) -> dict[str, Mapping[str, float | str | None]]:
        """Return the changes for programs, by metric; a change is a fraction of the base's figure."""
        return {row.metric: row.figures for row in self.changes}
