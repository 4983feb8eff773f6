"""What is judged: the answers, the rules of validity and their verdicts."""

from collections.abc import Sequence
from typing import Literal

from edgesim.results.sections.base import Section
from edgesim.results.sections.measured import ResourcesSection

# How many detections that one side alone has are named.
_MOST_ROWS = 3


class OutputSection(Section):
    """One output of the board compared with the reference.

    Attributes:
        max_abs_difference: None if no number says it.
        same_class: share of rows with the same largest score; None for an output without class scores.
        notes: what the figures do not say: another shape, nothing on both sides, NaN on both sides, a random output.
    """

    name: str
    max_abs_difference: float | None
    same_class: float | None = None
    notes: tuple[str, ...] = ()


class AnswerSection(Section):
    """What the board answered for one output, by which another run can be compared with this one.

    Attributes:
        sha256: digest of the whole output's bytes, hex.
        excerpt: up to 64 values, evenly spread over the output; None for a NaN or an infinity; empty for texts.
        relative, of_scale, absolute: the tolerance of the output, see `edgesim.measure.tolerance.Tolerance`.
        scale: the largest finite absolute value of the whole output.
        is_random: whether two runs of the reference on one host differ.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    sha256: str
    excerpt: tuple[float | None, ...]
    relative: float
    of_scale: float
    absolute: float
    scale: float
    is_random: bool = False


class DetectionRowSection(Section):
    """A detection that one side alone has.

    Attributes:
        explained: whether its score is so near the threshold that rounding decides whether the row exists; None if the
            threshold is not known, and the score is below those of all matched rows.
    """

    request: int
    image: int
    label: int | None
    score: float | None
    explained: bool | None

    def __str__(self) -> str:
        words = [f"class {self.label}"] if self.label is not None else []
        words += [f"score {self.score:.4g}"] if self.score is not None else []
        return " ".join(words) or f"in request {self.request}"


class DetectionsSection(Section):
    """The rows of detections, matched by class and overlap before the outputs were compared.

    Attributes:
        layout: which outputs were read as what, in words.
        matched: number of pairs.
        min_iou: the smallest overlap of a pair, as intersection over union.
        max_score_difference: of a pair; None without scores.
        more, fewer: the rows that the board alone, or the reference alone, has.
        threshold: the score from which on a row exists; None if it is not known.
        verdict: FAIL where a row is missing that no threshold explains.
        problem: why the rows could not be matched.
    """

    layout: str
    matched: int
    min_iou: float | None = None
    max_score_difference: float | None = None
    more: tuple[DetectionRowSection, ...] = ()
    fewer: tuple[DetectionRowSection, ...] = ()
    threshold: float | None = None
    verdict: Literal["PASS", "FAIL", "INCONCLUSIVE"]
    problem: str = ""

    def words(self) -> list[str]:
        """Return what was matched and what was not, in words."""
        if self.problem:
            return [f"detections not matched: {self.problem}"]
        if not self.matched and not self.more and not self.fewer:
            return ["no detections on either side"]
        words = [f"{self.matched} detection{'s' if self.matched != 1 else ''} matched by class and overlap"]
        if self.min_iou is not None:
            scores = self.max_score_difference
            words[0] += f" (IoU {self.min_iou:.4f} or more"
            words[0] += f", scores differ by at most {scores:.2g})" if scores is not None else ")"
        return words + [self._alone(rows, side) for rows, side in ((self.more, "more"), (self.fewer, "fewer")) if rows]

    def _alone(self, rows: Sequence[DetectionRowSection], side: str) -> str:
        shown = ", ".join(map(str, rows[:_MOST_ROWS])) + (", …" if len(rows) > _MOST_ROWS else "")
        words = f"{len(rows)} {side} ({shown})"
        threshold = f" of {self.threshold:.4g}" if self.threshold is not None else ""
        if all(row.explained for row in rows):
            return f"{words}, at the threshold{threshold}"
        if any(row.explained is False for row in rows):
            return f"{words}, which the threshold{threshold} does not explain"
        return f"{words}, below all others: `match=detections:threshold=SCORE` says whether that is the threshold"


class SequenceSection(Section):
    """How the difference of one output develops over the steps of a sequence of requests.

    Each request takes something of the answer before, so that an error may add up. The board's state is its own; the
    tokens of a generation are those that this host chooses. After a gap in `steps` the state is this host's.

    Attributes:
        output: the output that differs most, by its tolerance.
        steps: the steps that were compared, from 1 on.
        differences: the largest absolute difference in each of them; None if no number says it.
        worst_step: the step with the largest difference.
        grows: whether the difference grows from step to step; None if there are too few steps to tell.
        same_token: share of the steps in which both choose the same next token; None unless tokens are generated.
    """

    output: str
    steps: tuple[int, ...]
    differences: tuple[float | None, ...]
    worst_step: int
    grows: bool | None = None
    same_token: float | None = None


class AgreementSection(Section):
    """The board's outputs compared with the reference: ONNX Runtime on this host, with the same inputs.

    Attributes:
        compared: number of samples in the request.
        max_abs_difference: over all outputs that are not random; None if no number says it, as when one side alone
            answers NaN, or an output has another shape.
        same_class: share of rows with the same largest score; None if no output has class scores.
        accuracy_device, accuracy_host: shares of labelled inputs that are classified correctly; None without labels.
        outputs: each output by itself.
        reference: the release of ONNX Runtime on this host, such as ``1.16.3``; None in older results.
        other_release: why this is not the board's release; None if it is, or the board's is not edgesim's choice.
        detections: None unless rows of detections were matched.
        sequence: how the largest difference develops over a sequence of requests; None unless the requests are one.
        answers: what the board answered, of a sequence its first step; empty in results of before.
    """

    compared: int
    max_abs_difference: float | None
    same_class: float | None = None
    accuracy_device: float | None = None
    accuracy_host: float | None = None
    outputs: tuple[OutputSection, ...] = ()
    reference: str | None = None
    other_release: str | None = None
    detections: DetectionsSection | None = None
    sequence: SequenceSection | None = None
    answers: tuple[AnswerSection, ...] = ()


class ScaledSection(Section):
    """What the scaled half alone shows in a run that was scaled and emulated.

    The scaled server runs this host's instructions: its memory and answers are not the board's.
    """

    resources: ResourcesSection
    agreement: AgreementSection | None = None


class RuleSection(Section):
    """What one rule of validity found, with its figures; ``unknown``: this host does not report the figures."""

    name: str
    verdict: Literal["ok", "suspect", "invalid", "unknown"]
    finding: str


class ValiditySection(Section):
    """Whether the run can be trusted as a measurement: VALID, INVALID with `reasons`, or suspect with `suspicions`."""

    valid: bool
    reasons: tuple[str, ...] = ()
    suspect: bool = False
    suspicions: tuple[str, ...] = ()
    rules: tuple[RuleSection, ...] = ()

    @property
    def words(self) -> str:
        """``VALID``, ``VALID, but suspect`` or ``INVALID``."""
        if not self.valid:
            return "INVALID"
        return "VALID, but suspect" if self.suspect else "VALID"
