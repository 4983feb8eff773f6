"""The gate for Python: rules and a result → a verdict."""

from collections.abc import Sequence
from pathlib import Path

from edgesim.gates import baselines
from edgesim.gates.judge import judge
from edgesim.gates.rules import Rules
from edgesim.results import result_file
from edgesim.results.run_result import RunResult
from edgesim.results.verdict import Verdict


def gate(
    result: RunResult | Path | str, rules: Sequence[str] | Path | str, baseline: RunResult | Path | str | None = None
) -> Verdict:
    """Judge a result by rules.

    Args:
        result: a result of one model, or its file.
        rules: rules such as ``device_time_ms.p50 <= 120`` or ``latency_ms.p50: +5 %``; one such rule; or the path of a
            rules file, which ends in ``.yaml`` or ``.yml`` if it is a string.
        baseline: what rules of change compare with: a result, a result file or saved baseline, or a directory of
            saved baselines.

    Returns:
        The verdict, with an item for each run and each rule. A rule of change without a baseline is INCONCLUSIVE.

    Raises:
        UsageError: there is no rule for the result's board, a rule is wrong or has no meaning for the execution, or an
            argument is something else.
        ResultError: the result or the baseline cannot be read, or is a stack's.
    """
    if not isinstance(result, RunResult):
        result = result_file.read(RunResult, result_file.path_of(result, "result", or_else="a result of one model"))
    chosen, reason = _rules(rules), ""
    if baseline is not None and not isinstance(baseline, RunResult):
        baseline, reason = baselines.find(result_file.path_of(baseline, "baseline", or_else="a result"), result)
    return judge(result, chosen, baseline, why_no_baseline=reason)


def _rules(rules: Sequence[str] | Path | str) -> Rules:
    if isinstance(rules, str) and not rules.endswith((".yaml", ".yml")):
        return Rules.of([rules])
    if isinstance(rules, list | tuple):
        return Rules.of(rules)
    return Rules.read(result_file.path_of(rules, "rules", or_else="a list of rules"))
