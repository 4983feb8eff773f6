"""Two results side by side, as every kind of report of them shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from edgesim.reports import phrases
from edgesim.results.run_result import RunResult

HEADS = ("metric", "change", "base", "candidate", "99 % sure")
_HOLDS = {
    "rounds": "intervals are by rounds, in which both sides took turns",
    "containers": "intervals are by containers, and hold for the next one",
    "requests": "* by the requests of these very containers: --repeat 3 or more on both sides tells of others",
}


class Change(NamedTuple):
    """One figure on both sides, in words; `sure` is the interval of the change.

    `figures` are the same as numbers, and `by` what the interval holds of: ``rounds``, ``containers`` or ``requests``.
    """

    metric: str
    base: str
    candidate: str
    change: str
    sure: str
    figures: Mapping[str, float | str | None]


@dataclass(frozen=True)
class Comparison:
    """`different` names what keeps the two from being compared: it is put on every report of them."""

    base: RunResult
    candidate: RunResult
    base_file: str
    candidate_file: str
    different: tuple[str, ...]
    changes: tuple[Change, ...]

    @property
    def heading(self) -> str:
        """What is compared with what."""
        titles = phrases.title(self.base), phrases.title(self.candidate)
        return f"{titles[0]}, compared" if titles[0] == titles[1] else " → ".join(titles)

    @property
    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """The changes as a table: `HEADS`."""
        return [(row.metric, row.change, row.base, row.candidate, row.sure) for row in self.changes]

    @property
    def notes(self) -> list[str]:
        """What the intervals hold of."""
        by = {row.figures["by"] for row in self.changes}
        return [words for name, words in _HOLDS.items() if name in by]

    def metrics(self) -> dict[str, Mapping[str, float | str | None]]:
        """The changes for programs, by the metric's name: parts of the base's figure."""
        return {row.metric: row.figures for row in self.changes}
