"""The result of a run that is scaled and emulated: one half inside the other."""

from edgesim.progress import Stages
from edgesim.results.run_result import RunResult


def combined(scaled: RunResult, emulated: RunResult, stages: Stages) -> RunResult:
    """Return the scaled result with the emulated one inside; it is valid if both are.

    Args:
        stages: of the work before both halves; each half has its own beside them.
    """
    outer, inner = scaled.validity, emulated.validity
    return scaled.with_emulated(emulated).model_copy(
        update={
            "stages_s": {**stages.seconds, **scaled.stages_s},
            "complete": scaled.complete and emulated.complete,
            "validity": outer.model_copy(
                update={
                    "valid": outer.valid and inner.valid,
                    "reasons": (*outer.reasons, *(f"emulated: {reason}" for reason in inner.reasons)),
                    "suspect": outer.suspect or inner.suspect,
                    "suspicions": (*outer.suspicions, *(f"emulated: {doubt}" for doubt in inner.suspicions)),
                }
            ),
        }
    )


def without_emulated(scaled: RunResult, reason: str) -> RunResult:
    """Return the result of a combined run that ended before its emulated half: invalid and incomplete."""
    reasons = (*scaled.validity.reasons, f"emulated: {reason or 'interrupted'}")
    return scaled.model_copy(
        update={"complete": False, "validity": scaled.validity.model_copy(update={"valid": False, "reasons": reasons})}
    )
