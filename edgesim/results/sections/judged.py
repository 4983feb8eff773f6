"""What is judged: the answers, the rules of validity and their verdicts."""

from typing import Literal

from edgesim.results.sections.base import Section
from edgesim.results.sections.measured import ResourcesSection


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
    """

    compared: int
    max_abs_difference: float | None
    same_class: float | None = None
    accuracy_device: float | None = None
    accuracy_host: float | None = None
    outputs: tuple[OutputSection, ...] = ()
    reference: str | None = None
    other_release: str | None = None


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
