"""Detections of two sides, matched by class and overlap, so that a row more or fewer is told as that.

Where a score is at the detector's threshold, its last digit decides whether there is a row at all. Compared row by row,
every row behind it would then differ.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from edgesim.measure import detection_layout, detection_rows, model_tolerances
from edgesim.measure.detection_layout import Layout
from edgesim.measure.detection_rows import Rows
from edgesim.measure.output_difference import Outputs, allowed
from edgesim.measure.tolerance import Tolerance
from edgesim.models import detection_thresholds
from edgesim.models.repository import Model
from edgesim.options import DetectionMatch

# Above this number of pairs of one class, the assignment takes minutes.
_MOST_PAIRS = 4_000_000


@dataclass(frozen=True, kw_only=True)
class Row:
    """A detection that one side alone has.

    Attributes:
        request, image: where it is.
        label: its class; None if the outputs have no classes.
        score: None if the outputs have no scores.
        explained: whether its score is so near the threshold that rounding decides whether the row exists; None if the
            threshold is not known, and the score is below those of all matched rows.
    """

    request: int
    image: int
    label: int | None
    score: float | None
    explained: bool | None


@dataclass(frozen=True, kw_only=True)
class Detections:
    """The rows of two sides, matched.

    Attributes:
        layout: which outputs were read as what, in words.
        matched: number of pairs of the same class that overlap enough.
        min_iou: the smallest overlap of a pair, as intersection over union; None without pairs.
        max_score_difference: the largest difference of the scores of a pair; None without pairs or scores.
        scores_within: whether the tolerance allows the difference of the scores.
        more, fewer: the rows that the board alone, or the reference alone, has.
        threshold: the score from which on a row exists; None if it is not known.
        problem: why the rows cannot be matched; empty if they were.
    """

    layout: str
    matched: int = 0
    min_iou: float | None = None
    max_score_difference: float | None = None
    scores_within: bool = True
    more: tuple[Row, ...] = ()
    fewer: tuple[Row, ...] = ()
    threshold: float | None = None
    problem: str = ""

    @property
    def verdict(self) -> Literal["PASS", "FAIL", "INCONCLUSIVE"]:
        """Whether the rows are the same: FAIL where a row is missing that no threshold explains."""
        unmatched = [row.explained for row in (*self.more, *self.fewer)]
        if self.problem or not self.scores_within or False in unmatched:
            return "FAIL"
        return "INCONCLUSIVE" if None in unmatched else "PASS"


class Matched(NamedTuple):
    """Outputs whose rows of detections are those that both sides have, in the same order, and how they were matched."""

    actual: list[Outputs]
    expected: list[Outputs]
    detections: Detections


@dataclass(frozen=True, kw_only=True)
class Matcher:
    """Matches the detections of one model.

    Attributes:
        threshold: the score from which on the model gives a row; None if it is not known.
        shapes: of the model's outputs by name; -1 where a size is open.
        tolerances: of the outputs, where the caller of `match` has none.
    """

    option: DetectionMatch
    threshold: float | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Model, option: DetectionMatch | None, outputs: Callable[[], Outputs]) -> Self | None:
        """Return the matcher that the option asks for; None without the option.

        Args:
            outputs: returns those of the reference, for one request: what the option names has to be there.

        Raises:
            UsageError: the outputs have no detections, or what the option names is not there.
        """
        if option is None:
            return None
        detection_layout.find([outputs()], option)
        threshold = option.threshold if option.threshold is not None else detection_thresholds.score_threshold(model)
        return cls(
            option=option,
            threshold=threshold,
            shapes={output.name: output.shape for output in model.outputs},
            tolerances=model_tolerances.of_outputs(model),
        )

    def match(
        self,
        actual: Sequence[Outputs],
        expected: Sequence[Outputs],
        tolerances: Tolerance | Mapping[str, Tolerance] | None = None,
    ) -> Matched:
        """Match the rows of detections of the board with those of the reference, request by request.

        Args:
            tolerances: see `output_difference.compare`; None means those of the model.
        """
        tolerances = tolerances if tolerances is not None else self.tolerances
        comparable = all(
            name in outputs and outputs[name].ndim == right[name].ndim
            for outputs, right in zip(actual, expected, strict=True)
            for name in right
        )
        layout = detection_layout.find([*expected, *(actual if comparable else ())], self.option)
        if not comparable:
            return Matched([*actual], [*expected], Detections(layout=str(layout), problem="an output has another form"))
        pairs = [
            _Pair(request, detection_rows.read(outputs, layout), detection_rows.read(right, layout), self.option.iou)
            for request, (outputs, right) in enumerate(zip(actual, expected, strict=True))
        ]
        if any(pair.too_many for pair in pairs):
            return Matched([*actual], [*expected], Detections(layout=str(layout), problem="too many rows of one class"))
        source = layout.scores or layout.rows
        scores = [side.score for pair in pairs for side in (pair.board, pair.host) if side.score is not None]
        together = np.concatenate(scores) if scores else np.empty(0)
        bound = float(allowed(source, expected[0][source], tolerances).bound(together).max(initial=0.0))
        differences = [difference for pair in pairs for difference in pair.score_differences()]
        overlaps = [overlap for pair in pairs for overlap in pair.overlaps]
        lowest = min((score for pair in pairs for score in pair.matched_scores()), default=None)
        explain = _Explanation(threshold=self.threshold, most_rows=self._most_rows(layout), bound=bound, lowest=lowest)
        detections = Detections(
            layout=str(layout),
            matched=len(overlaps),
            min_iou=min(overlaps, default=None),
            max_score_difference=max(differences, default=None),
            scores_within=max(differences, default=0.0) <= bound,
            more=tuple(row for pair in pairs for row in pair.rows_of_board(explain)),
            fewer=tuple(row for pair in pairs for row in pair.rows_of_host(explain)),
            threshold=self.threshold,
        )
        return Matched(
            [
                detection_rows.aligned(outputs, layout, pair.board.places[pair.of_board])
                for outputs, pair in zip(actual, pairs, strict=True)
            ],
            [
                detection_rows.aligned(right, layout, pair.host.places[pair.of_host])
                for right, pair in zip(expected, pairs, strict=True)
            ],
            detections,
        )

    def _most_rows(self, layout: Layout) -> int | None:
        """Return how many rows an image has at most; None where the model's output is of an open size."""
        shape = self.shapes.get(layout.rows, ())
        return shape[-2] if len(shape) > 1 and shape[-2] > 0 else None


@dataclass(frozen=True, kw_only=True)
class _Explanation:
    """Why a row may be missing on the other side.

    Attributes:
        threshold, most_rows: the least score, and the most rows of an image; None if they are not known.
        bound: how far two scores may be apart by rounding.
        lowest: the lowest score of a matched row; None without.
    """

    threshold: float | None
    most_rows: int | None
    bound: float
    lowest: float | None

    def of(self, score: float | None, others: Rows, image: int) -> bool | None:
        """Return whether a score is where the other side ends; None if that cannot be told."""
        if score is None:
            return False
        if self.most_rows is not None and others.score is not None:
            of_image = others.score[others.image == image]
            if len(of_image) >= self.most_rows and score <= of_image.min() + self.bound:
                return True
        if self.threshold is not None:
            return abs(score - self.threshold) <= self.bound
        return None if self.lowest is None or score <= self.lowest + self.bound else False


class _Pair:
    """The rows of both sides of one request.

    Attributes:
        of_board, of_host: the matched rows of each side, in the order of the host's.
        overlaps: of each matched pair.
    """

    def __init__(self, request: int, board: Rows, host: Rows, least: float) -> None:
        self.request, self.board, self.host, self._least = request, board, host, least
        self.too_many = False
        pairs: list[tuple[int, int, float]] = []
        for key in {*zip(board.image.tolist(), board.label.tolist(), strict=True)}:
            rows, columns = (np.flatnonzero((s.image == key[0]) & (s.label == key[1])) for s in (board, host))
            if len(rows) * len(columns) > _MOST_PAIRS:
                self.too_many = True
                return
            pairs += _assigned(board.box, host.box, rows, columns, least)
        pairs.sort(key=lambda pair: pair[1])
        self.of_board = np.array([pair[0] for pair in pairs], np.int64)
        self.of_host = np.array([pair[1] for pair in pairs], np.int64)
        self.overlaps = [pair[2] for pair in pairs]

    def score_differences(self) -> list[float]:
        if self.board.score is None or self.host.score is None:
            return []
        differences: list[float] = np.abs(self.board.score[self.of_board] - self.host.score[self.of_host]).tolist()
        return differences

    def matched_scores(self) -> list[float]:
        return self.host.score[self.of_host].tolist() if self.host.score is not None else []

    def rows_of_board(self, explain: _Explanation) -> list[Row]:
        return self._unmatched(self.board, self.of_board, self.host, self.of_host, explain)

    def rows_of_host(self, explain: _Explanation) -> list[Row]:
        return self._unmatched(self.host, self.of_host, self.board, self.of_board, explain)

    def _unmatched(
        self,
        side: Rows,
        matched: NDArray[np.int64],
        other: Rows,
        matched_of_other: NDArray[np.int64],
        explain: _Explanation,
    ) -> list[Row]:
        alone = np.setdiff1d(np.arange(len(side.places)), matched)
        left = np.setdiff1d(np.arange(len(other.places)), matched_of_other)
        found = []
        for row in alone.tolist():
            image = int(side.image[row])
            same_place = left[other.image[left] == image]
            # The same box with another class is another answer, wherever the threshold is.
            other_class = bool((_overlap(side.box[[row]], other.box[same_place]) >= self._least).any())
            score = float(side.score[row]) if side.score is not None else None
            found.append(
                Row(
                    request=self.request,
                    image=image,
                    label=int(side.label[row]) if side.has_classes else None,
                    score=score,
                    explained=False if other_class else explain.of(score, other, image),
                )
            )
        return sorted(found, key=lambda row: -(row.score or 0.0))


def _assigned(
    board: NDArray[np.float64],
    host: NDArray[np.float64],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    least: float,
) -> list[tuple[int, int, float]]:
    """Return the pairs of rows of one class that overlap most in all, each with its overlap of at least `least`."""
    if not len(rows) or not len(columns):
        return []
    from scipy.optimize import linear_sum_assignment  # takes 100 ms

    overlap = _overlap(board[rows], host[columns])
    # What overlaps less than `least` is no pair, whatever it would add to the sum.
    chosen = linear_sum_assignment(np.where(overlap >= least, overlap, 0.0), maximize=True)
    return [
        (int(rows[i]), int(columns[j]), float(overlap[i, j]))
        for i, j in zip(*chosen, strict=True)
        if overlap[i, j] >= least
    ]


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection over union of each box of `a` with each of `b`, shape (rows of a, rows of b).

    Indices without boxes overlap where they are equal; so do boxes without an area.
    """
    equal: NDArray[np.float64] = (a[:, None, :] == b[None, :, :]).all(axis=2).astype(np.float64)
    if a.shape[1] != 4:
        return equal
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inner = np.clip(high - low, 0, None).prod(axis=2)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1][None, :] - inner
    with np.errstate(divide="ignore", invalid="ignore"):
        overlap: NDArray[np.float64] = np.where(equal > 0, 1.0, np.nan_to_num(inner / union, nan=0.0, posinf=0.0))
    return overlap
