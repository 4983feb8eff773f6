"""Two results side by side, as every kind of report of them shows it."""

from dataclasses import dataclass
from typing import NamedTuple

from edgesim.report import words
from edgesim.result import RunResult


class Change(NamedTuple):
    """One figure on both sides, in words; `sure` is the interval of the change and what it holds of."""

    metric: str
    base: str
    candidate: str
    change: str
    sure: str


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
        titles = words.title(self.base), words.title(self.candidate)
        return f"{titles[0]}, compared" if titles[0] == titles[1] else " → ".join(titles)

    def metrics(self) -> dict[str, dict[str, str]]:
        """The changes for programs, by the metric's name."""
        return {
            metric: {"base": base, "candidate": candidate, "change": change, "sure": sure}
            for metric, base, candidate, change, sure in self.changes
        }
