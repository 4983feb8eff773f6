"""The gate for Python: rules and a result → a verdict."""

from collections.abc import Sequence
from pathlib import Path

from edgesim.gates import baselines
from edgesim.gates.judge import judge
from edgesim.gates.rules import Rules
from edgesim.results.run_result import RunResult
from edgesim.results.verdict import Verdict


def gate(
    result: RunResult, rules: Sequence[str] | Path | str, baseline: RunResult | Path | str | None = None
) -> Verdict:
    """Judge a result by rules.

    Args:
        rules: rules such as ``device_time_ms.p50 <= 120`` or ``latency_ms.p50: +5 %``; one such rule; or the path of a
            rules file, which ends in ``.yaml`` or ``.yml`` if it is a string.
        baseline: what rules of change compare with: a result, a result file or saved baseline, or a directory of
            saved baselines.

    Returns:
        The verdict, with an item for each run and each rule. A rule of change without a baseline is INCONCLUSIVE.

    Raises:
        UsageError: there is no rule for the result's board, or a rule is wrong or has no meaning for the execution.
        ResultError: the baseline cannot be read.
    """
    if isinstance(rules, str):
        rules = Path(rules) if rules.endswith((".yaml", ".yml")) else [rules]
    chosen = Rules.read(rules) if isinstance(rules, Path) else Rules.of(rules)
    reason = ""
    if isinstance(baseline, Path | str):
        baseline, reason = baselines.find(Path(baseline), result)
    return judge(result, chosen, baseline, why_no_baseline=reason)
