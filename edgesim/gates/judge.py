"""Rules and results → a verdict for each rule. What is not known never passes."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from edgesim import __version__
from edgesim.errors import UsageError
from edgesim.gates import paired
from edgesim.gates.comparable import are_paired, differences, unfit
from edgesim.gates.difference import FEWEST_CONTAINERS, difference
from edgesim.gates.result_metrics import (
    HIGHER_IS_BETTER,
    UNSCALED,
    Metric,
    figure,
    is_steady,
    is_time,
    measured_as,
    metric,
    times,
)
from edgesim.gates.rules import Rule, Rules
from edgesim.options import Execution
from edgesim.results.run_result import RunResult
from edgesim.results.verdict import Item, Verdict, VerdictWord


def judge(result: RunResult, rules: Rules, baseline: RunResult | None = None, *, none_since: str = "") -> Verdict:
    """A verdict for each rule that holds for the result's board.

    Args:
        baseline: what rules of change are held against; the other side's result, where both ran interleaved.
        none_since: why there is no baseline, for the rules that need one.

    Raises:
        UsageError: no rule is for this board, or one asks of an emulator's time what only the device time can tell.
    """
    chosen = rules.of_board(result.profile.name, result.profile.mode)
    if not chosen:
        raise UsageError(f"no rule is for {result.profile.name}", fix="put one under rules: or under its name")
    for rule in chosen:
        refuse(rule, result.execution)
    tail = _tail(result, baseline, chosen)
    runs = [_run(result, "the run"), *([_run(baseline, "the baseline")] if baseline is not None else [])]
    items = [*runs]
    for rule in chosen:
        if rule.kind == "change":
            item = _change(rule, result, baseline, tail, none_since or "no baseline to compare with")
        else:
            verdict, finding = _absolute(rule, metric(result, rule.metric))
            item = Item(name=rule.text, verdict=verdict, finding=finding)
        items.append(item if all(run.verdict == "PASS" for run in runs) else _of_no_measurement(item, rule, result))
    return Verdict(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        edgesim_version=__version__,
        profile=result.profile.name,
        board=result.profile.title,
        model=result.model.name,
        execution=result.execution,
        items=tuple(items),
    )


def refuse(rule: Rule, execution: Execution) -> None:
    """Raise a UsageError where a rule is of a time that tells nothing of the board.

    An emulator's never does; a plain process's on this host does not either, but changes as the model's work does. So
    does what a scaled board takes of this host to start and to compute: it is the requests that are held back.
    """
    if not is_time(rule.metric):
        return
    if execution == "scaled" and rule.kind != "change" and rule.metric in UNSCALED:
        raise UsageError(
            f"{rule.text}: in a scaled run that is this host's, not the board's",
            fix="a rule of change, or a native run; edgesim check tells what is known of the board's start",
        )
    if execution == "emulated" or (execution == "host" and rule.kind != "change"):
        raise UsageError(
            f"{rule.text}: {'an' if execution == 'emulated' else 'a'} {execution} run has no time of the board's",
            fix="a limit on device_time_ms.p50, or a scaled or native run",
        )


def _tail(result: RunResult, baseline: RunResult | None, chosen: Sequence[Rule]) -> float:
    """What one rule's interval may leave out on either side, so that all of them and all looks together do."""
    changes = max(sum(rule.kind == "change" for rule in chosen), 1)
    paired_sides = baseline is not None and are_paired(baseline, result)
    looks = len(result.interleaved.looks) if paired_sides and result.interleaved is not None else 1
    return paired.tail(max(looks, 1), changes)


def _run(result: RunResult, name: str) -> Item:
    """A run that is no measurement shows nothing, however good its figures."""
    problems = [why] if (why := unfit(result)) else []
    if (there := _held(result, whole=name == "the run")) != result.requests.ok:
        problems.append(f"it tells of {result.requests.ok} requests that were answered, and holds {there}")
    if problems:
        return Item(name=name, verdict="INCONCLUSIVE", finding="; ".join(problems))
    return Item(name=name, verdict="PASS", finding=f"VALID, {result.requests.ok} requests")


def _held(result: RunResult, *, whole: bool) -> int:
    """The answered requests that a result holds: as samples, or of one that was saved without them as histograms."""
    if result.samples or whole:
        return sum(sample.ok for sample in result.samples)
    return sum(map(len, times(result, "latency_ms.p50") or []))


def _has(result: RunResult, name: str) -> bool:
    parts = times(result, name)
    return metric(result, name).value is not None and (parts is None or all(map(len, parts)))


def _of_no_measurement(item: Item, rule: Rule, result: RunResult) -> Item:
    """A run that shows nothing does not show that a time is too long or has changed, either.

    What is missing is missing, and a memory that was too large was.
    """
    told = is_time(measured_as(result.execution, rule.metric)) or (
        rule.kind == "change" and not is_steady(result, rule.metric)
    )
    if item.verdict != "FAIL" or not told or not _has(result, rule.metric):
        return item
    finding = f"{item.finding}, in a run that shows nothing"
    return item.model_copy(update={"verdict": "INCONCLUSIVE", "finding": finding})


def _absolute(rule: Rule, found: Metric) -> tuple[VerdictWord, str]:
    if found.value is None:
        return "FAIL", f"{rule.metric} is missing in this result"
    good = found.value <= rule.limit if rule.kind == "<=" else found.value >= rule.limit
    if found.low is None or found.high is None:
        return ("PASS" if good else "FAIL"), figure(rule.metric, found.value)
    words = f"{figure(rule.metric, found.value)}, {found.sure} {found.low:.4g} to {found.high:.4g}"
    surely = found.high <= rule.limit if rule.kind == "<=" else found.low >= rule.limit
    surely_not = found.low > rule.limit if rule.kind == "<=" else found.high < rule.limit
    if surely:
        return "PASS", words
    return ("FAIL" if surely_not else "INCONCLUSIVE"), f"{words}{'' if surely_not else ': the limit lies within it'}"


def _change(rule: Rule, result: RunResult, baseline: RunResult | None, tail: float, none_since: str) -> Item:
    def item(verdict: VerdictWord, finding: str, figures: Mapping[str, float | None] | None = None) -> Item:
        kept = {name: value for name, value in (figures or {}).items() if value is not None and math.isfinite(value)}
        return Item(name=rule.text, verdict=verdict, finding=finding, figures=kept)

    if baseline is None:
        return item("INCONCLUSIVE", none_since)
    if apart := differences(baseline, result):
        return item("INCONCLUSIVE", f"the baseline is of something else: {'; '.join(apart)}")
    found = difference(baseline, result, rule.metric, tail=tail)
    if found.change is None:
        if _has(result, rule.metric):
            return item("INCONCLUSIVE", f"{rule.metric} is missing in the baseline")
        return item("FAIL", f"{rule.metric} is missing in this result")

    def worse(change: float) -> bool:
        return change < rule.limit if rule.metric in HIGHER_IS_BETTER else change > rule.limit

    words = f"{100 * found.change:+.1f} %"
    figures = {
        "base": found.base.value,
        "candidate": found.candidate.value,
        "change": found.change,
        "limit": rule.limit,
        "low": found.low,
        "high": found.high,
    }
    if found.low is None or found.high is None:
        if not is_steady(result, rule.metric):
            alone = "--execution emulated " if result.emulated is not None and not is_time(rule.metric) else ""
            how = f"{alone}--repeat {FEWEST_CONTAINERS} or more, on both sides"
            return item("INCONCLUSIVE", f"{words}, and nobody knows how sure: it takes {how}", figures)
        return item("FAIL" if worse(found.change) else "PASS", words, figures)
    words += f" ({100 * (1 - 2 * tail):.4g} % sure: {100 * found.low:+.1f} to {100 * found.high:+.1f} %)"
    effects = [found.low, found.high]
    if found.pairs is not None:
        pairs = found.pairs
        words += f", median {100 * pairs.median:+.1f} %, larger in {pairs.more} of {pairs.rounds} rounds"
        figures |= {
            "median": pairs.median,
            "rounds": pairs.rounds,
            "larger_rounds": pairs.more,
            "scatter": pairs.scatter,
            "effect_size": pairs.effect_size,
            "p_value": pairs.p_value(rule.limit),
        }
        effects.append(pairs.median)  # test and effect must agree, so that no freak round decides
    elif found.by != "containers":
        least = f"{words}: of these very containers; --repeat {FEWEST_CONTAINERS} or more tells of others"
        return item("INCONCLUSIVE", least, figures)
    ends = [worse(effect) for effect in effects]
    verdict: VerdictWord = "FAIL" if all(ends) else "INCONCLUSIVE" if any(ends) else "PASS"
    return item(verdict, words, figures)
