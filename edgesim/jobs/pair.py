"""What a comparison of two models on one board gives."""

from dataclasses import dataclass

from edgesim.results.run_result import RunResult
from edgesim.results.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The results of both sides of a paired run, and the verdict by the rules."""

    base: RunResult
    candidate: RunResult
    verdict: Verdict
