"""The samples of a result, with the order of their times checked."""

from typing import Annotated

from pydantic import AfterValidator

from edgesim.recording import Sample


def _in_order(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """Refuse an answer from before its request: a negative time has no logarithm, and no meaning."""
    for number, sample in enumerate(samples, 1):
        if sample.ok and sample.done_ns < max(sample.scheduled_ns, sample.sent_ns):
            raise ValueError(f"sample {number} was answered before it was scheduled or sent")
    return samples


Samples = Annotated[tuple[Sample, ...], AfterValidator(_in_order)]
