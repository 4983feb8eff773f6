"""Whether a run is good as a measurement: named rules, each with its figures."""

from collections.abc import Sequence

from edgesim.result import ResourcesSection, Sample, ValiditySection

# Fewer than this say nothing, not even that the device answers again and again.
SMALLEST_RUN = 3


def judge(
    samples: Sequence[Sample], resources: ResourcesSection, *, alive: bool, interrupted: bool = False
) -> ValiditySection:
    """VALID, or INVALID with the reasons."""
    ok = sum(sample.ok for sample in samples)
    failed = [sample for sample in samples if not sample.ok]
    reasons = []
    if interrupted:
        reasons.append(f"interrupted: after {len(samples)} requests")
    if not alive:
        reasons.append(f"device alive: it died after {len(samples)} requests")
    if failed:
        reasons.append(
            f"no failures: {len(failed)} of {len(samples)} requests failed, the first with '{failed[0].outcome}'"
        )
    if ok < SMALLEST_RUN:
        reasons.append(f"enough requests: {ok} answered, {SMALLEST_RUN} needed")
    if resources.oom_kills:
        reasons.append(f"no out-of-memory kill: {resources.oom_kills} seen")
    return ValiditySection(valid=not reasons, reasons=tuple(reasons))
