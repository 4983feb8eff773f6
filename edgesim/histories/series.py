"""Series: one metric of one model on one board in the order of the revisions, with the steps in it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesim.errors import UsageError
from edgesim.gates.result_metrics import HIGHER_IS_BETTER, NAMES, OF_THE_BOARD, canonical, target_of
from edgesim.histories import commits, steps
from edgesim.histories.entry import Entry, Figure, Revision

# What is shown where no metric is named: each kind of figure once.
SHOWN = (
    "device_time_ms.p50",
    "latency_ms.p50",
    "latency_ms.p99",
    "throughput_qps",
    "generation.time_to_first_token_ms.p50",
    "generation.inter_token_ms.p50",
    "cold_start_s",
    "cpu_seconds_per_request",
    "memory_unreclaimable_bytes",
    "memory_peak_bytes",
    "artifact_bytes",
    "accuracy",
    "detections.matched",
    "detections.min_iou",
    "energy_j",
    "failed_requests",
    "instructions",
)
RECENT = 10


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which series of a history are looked at, and what counts as a step in them.

    Attributes:
        metrics: their names; empty for one of each kind.
        profiles, models: their names; empty for all.
        commits: a range of commits, such as ``v1.0..main``: only results of these count, in their order, by first
            parents; None means all results in the order of their revisions' dates.
        recent: a step is recent if its new level begins within this many last results of a series.
        min_change_percent: of the level, for a step; of answers each change is one.
        confidence: of a step, at least.
    """

    metrics: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    commits: str | None = None
    recent: int = RECENT
    min_change_percent: float = 100 * steps.MIN_CHANGE
    confidence: float = steps.CONFIDENCE

    def __post_init__(self) -> None:
        """Refuse what has no meaning.

        Raises:
            UsageError: a metric is unknown, or a number is out of its range.
        """
        for name in self.metrics:
            if canonical(name) is None:
                raise UsageError(f"{name}: no such metric", fix="docs/reference/rules.md lists the metrics")
        if not 0 <= self.min_change_percent < 100:
            raise UsageError(f"`min_change_percent={self.min_change_percent:g}`: not from 0 to below 100")
        if not 0.5 <= self.confidence < 1:
            raise UsageError(f"`confidence={self.confidence:g}`: not from 0.5 to below 1", fix="for example 0.99")
        if self.recent < 1:
            raise UsageError(f"`recent={self.recent}`: not 1 or more")

    def takes(self, entry: Entry) -> bool:
        """Whether an entry is of a profile and a model that are looked at; a profile takes all its power modes."""
        names = (entry.profile, entry.profile.partition(":")[0])
        return (not self.profiles or any(name in self.profiles for name in names)) and (
            not self.models or entry.model in self.models
        )

    def shows(self, metric: str) -> bool:
        """Whether a metric is looked at."""
        if self.metrics:
            return metric in map(canonical, self.metrics)
        return metric in SHOWN or (target_of(metric) is not None and metric.endswith(".p50"))


@dataclass(frozen=True)
class Point:
    """One figure of a series, and the entry that it is from."""

    entry: Entry
    figure: Figure


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of a series.

    Attributes:
        at: the number of the first point of the new level, from 0.
        revision, previous: of this point and of the one before: the change is between both.
        first, last: revisions of the points from which to which `at` lies with 95 % confidence.
        commits: how many commits lead from `previous` to `revision`; None if git does not know.
        before, after: the levels; `change` is their ratio minus 1.
        worse: whether the new level is the worse one.
        recent: whether the new level begins within the last results: see `Selection`.
        also: what else changed with it, in words.
    """

    at: int
    revision: Revision | None
    previous: Revision | None
    first: Revision | None
    last: Revision | None
    commits: int | None
    before: float
    after: float
    change: float
    confidence: float
    worse: bool
    recent: bool
    also: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Series:
    """One metric of one model on one board, of results with one fingerprint.

    Attributes:
        of: what the fingerprint stands for, by field, in words.
    """

    profile: str
    board: str
    model: str
    metric: str
    fingerprint: str
    of: dict[str, str]
    points: tuple[Point, ...]
    steps: tuple[Step, ...]

    @property
    def values(self) -> list[float]:
        """The figures, in the order of the revisions."""
        return [point.figure.value for point in self.points]

    @property
    def name(self) -> str:
        """The board, the model and the metric: ``jetson-nano detector latency_ms.p50``."""
        return f"{self.profile} {self.model} {self.metric}"


def series_of(entries: Sequence[Entry], selection: Selection, repository: Path) -> tuple[Series, ...]:
    """Return the series of entries that are in their order, by board, model and metric."""
    points: dict[tuple[str, str, str, str], list[Point]] = {}
    for entry in filter(selection.takes, entries):
        for metric, figure in entry.figures.items():
            if selection.shows(metric):
                points.setdefault((entry.profile, entry.model, metric, figure.fingerprint), []).append(
                    Point(entry, figure)
                )
    order = {name: place for place, name in enumerate((*SHOWN, *NAMES))}
    keys = sorted(points, key=lambda key: (*key[:2], order.get(key[2], len(order)), key[2]))
    return tuple(_series(key, points[key], selection, repository) for key in keys)


def _series(key: tuple[str, str, str, str], points: Sequence[Point], selection: Selection, repository: Path) -> Series:
    profile, model, metric, fingerprint = key
    last = points[-1].entry
    return Series(
        profile=profile,
        board=last.board,
        model=model,
        metric=metric,
        fingerprint=fingerprint,
        of=last.fingerprints.get(fingerprint, {}),
        points=tuple(points),
        steps=tuple(_steps(metric, points, selection, repository)),
    )


def _steps(metric: str, points: Sequence[Point], selection: Selection, repository: Path) -> Iterator[Step]:
    is_answer = metric == "failed_requests" or (metric in OF_THE_BOARD and not metric.startswith("memory_"))
    spans = steps.find(
        [point.figure.value for point in points],
        exact=all(point.figure.exact for point in points),
        confidence=selection.confidence,
        min_change=0.0 if is_answer else selection.min_change_percent / 100,
    )
    for span in spans:
        before, after = points[span.at - 1].entry, points[span.at].entry
        yield Step(
            at=span.at,
            revision=after.revision,
            previous=before.revision,
            first=points[span.first].entry.revision,
            last=points[span.last].entry.revision,
            commits=commits.between(before.revision, after.revision, repository),
            before=span.before,
            after=span.after,
            change=span.change,
            confidence=span.confidence,
            worse=(span.change < 0) == (metric in HIGHER_IS_BETTER),
            recent=span.at >= len(points) - selection.recent,
            also=tuple(_also(before, after)),
        )


def _also(before: Entry, after: Entry) -> Iterator[str]:
    """Yield what else differs between the results on both sides of a step, and whether the model's file does not."""
    for name, values in (
        ("edgesim", (before.edgesim_version, after.edgesim_version)),
        ("runtime", (before.runtime, after.runtime)),
    ):
        if values[0] != values[1]:
            yield f"{name} {values[0] or 'unknown'} to {values[1] or 'unknown'}"
    if before.model_sha256 is not None and before.model_sha256 == after.model_sha256:
        yield "the model's file is the same"
    if before.revision is not None and before.revision == after.revision:
        yield "both sides are of the same revision"


def in_order(entries: Iterable[Entry], selection: Selection, repository: Path) -> tuple[list[Entry], int]:
    """Return the entries that count, in their order, and how many are left out because of `Selection.commits`.

    Raises:
        UsageError: there is no such range of commits.
        HostError: git is needed and not installed.
    """
    ordered = sorted(entries, key=lambda entry: (entry.moment, entry.created))
    if selection.commits is None:
        return ordered, 0
    place = {commit: number for number, commit in enumerate(commits.first_parents(selection.commits, repository))}
    inside = [entry for entry in ordered if entry.revision is not None and entry.revision.name in place]
    inside.sort(key=lambda entry: (place[entry.revision.name] if entry.revision is not None else 0, entry.created))
    return inside, len(ordered) - len(inside)


def document(series: Series) -> dict[str, Any]:
    """Return a series for programs: a line of the JSON lines that docs/tasks/history.md describes."""
    return {
        "profile": series.profile,
        "board": series.board,
        "model": series.model,
        "metric": series.metric,
        "higher_is_better": series.metric in HIGHER_IS_BETTER,
        "fingerprint": series.fingerprint,
        "of": series.of,
        "points": [
            {
                "revision": _name(point.entry.revision),
                "date": _date(point.entry),
                "created": point.entry.created.isoformat(),
                "value": point.figure.value,
                "low": point.figure.low,
                "high": point.figure.high,
                "validity": point.entry.validity,
                "edgesim_version": point.entry.edgesim_version,
                "model_sha256": point.entry.model_sha256,
            }
            for point in series.points
        ],
        "steps": [
            {
                "at": step.at,
                "revision": _name(step.revision),
                "previous_revision": _name(step.previous),
                "first_revision": _name(step.first),
                "last_revision": _name(step.last),
                "commits": step.commits,
                "before": step.before,
                "after": step.after,
                "change_percent": 100 * step.change if abs(step.change) != float("inf") else None,
                "confidence": step.confidence,
                "worse": step.worse,
                "recent": step.recent,
                "also": list(step.also),
            }
            for step in series.steps
        ],
    }


def _name(revision: Revision | None) -> str | None:
    return revision.name if revision is not None else None


def _date(entry: Entry) -> str | None:
    dated = entry.revision.date if entry.revision is not None else None
    return dated.isoformat() if dated is not None else None
