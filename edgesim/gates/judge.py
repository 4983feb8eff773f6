"""Judge a result by rules: a verdict for each rule. A figure that is not known never passes."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from edgesim.errors import UsageError
from edgesim.gates import paired_statistics
from edgesim.gates.comparable import are_paired, differences, unfit
from edgesim.gates.metric_change import FEWEST_CONTAINERS, MetricChange, metric_change
from edgesim.gates.predicted_band import BAND_OF_THE_PREDICTION, with_band
from edgesim.gates.predicted_change import PredictedChange, hidden_release, predicted_change
from edgesim.gates.result_metrics import (
    BAND,
    HIGHER_IS_BETTER,
    UNSCALED,
    Metric,
    exact_figure,
    figure,
    is_constant,
    is_count,
    is_predicted,
    is_time,
    measured_as,
    metric,
    times,
)
from edgesim.gates.rules import Rule, Rules
from edgesim.options import Execution
from edgesim.results.run_result import RunResult
from edgesim.results.stamp import stamp
from edgesim.results.verdict import Item, Verdict, VerdictWord
from edgesim.units import counted


def judge(
    result: RunResult,
    rules: Rules,
    baseline: RunResult | None = None,
    *,
    why_no_baseline: str = "",
    paired: bool = False,
) -> Verdict:
    """Return a verdict with an item for the run, one for the baseline, and one for each rule for the result's board.

    Args:
        baseline: the result that rules of change compare with; in a paired run, the base.
        why_no_baseline: why there is no baseline, for the findings of rules that need one.
        paired: the two are the sides of a comparison that has just run, and not a result and a saved one; two sides of
            one paired run are known as such without it.

    Raises:
        UsageError: no rule applies to this board, or a rule bounds a time that says nothing about the board: see
            `refuse`.
    """
    chosen = rules.of_board(result.profile.name, result.profile.mode)
    if not chosen:
        raise UsageError(
            f"no rule applies to {result.profile.name}", fix="add one under rules: or under the profile's name"
        )
    for rule in chosen:
        if result.execution != "same-architecture":  # whether its times are the host's is the run's outcome
            refuse(rule, result.execution)
    tail = _tail(result, baseline, chosen)
    paired = paired or (baseline is not None and are_paired(baseline, result))
    names = ("the candidate", "the base") if paired else ("the run", "the baseline")
    runs = [_run(result, names[0], by_samples=True)]
    if baseline is not None:
        runs.append(_run(baseline, names[1], by_samples=False))
    items = [*runs]

    @cache  # several rules may bound one metric, whose interval takes a part of a second
    def change_of(name: str) -> MetricChange:
        assert baseline is not None, "_change asks only with a baseline"
        return metric_change(baseline, result, name, tail=tail)

    for rule in chosen:
        if rule.kind == "change":
            item = _change(
                rule, result, baseline, names[1], tail, change_of, why_no_baseline or "no baseline to compare with"
            )
        else:
            verdict, finding = _not_the_boards(rule, result) or _absolute(rule, result)
            known = metric(result, rule.metric).value is not None
            if known and result.profile.has_core_of_host and is_time(measured_as(result.execution, rule.metric)):
                finding += " (this host's time)"
            item = Item(name=rule.text, verdict=verdict, finding=finding)
        items.append(item if all(run.verdict == "PASS" for run in runs) else _without_measurement(item, rule, result))
    return Verdict(
        **stamp(),
        profile=result.profile.name,
        board=result.profile.title_and_mode,
        model=result.model.name,
        execution=result.execution,
        items=tuple(items),
        base=_name(baseline) if baseline is not None else None,
        candidate=_name(result) if baseline is not None else None,
    )


def _name(result: RunResult) -> str:
    """Return what a side of a comparison is: a model, and its release in a paired run of two releases."""
    release = result.interleaved.release if result.interleaved is not None else None
    return f"{result.model.identity}, ONNX Runtime {release}" if release is not None else result.model.identity


def refuse(rule: Rule, execution: Execution) -> None:
    """Raise a UsageError if a rule bounds a time that says nothing about the board.

    An emulator's time never does. The time of a plain process on this host does not either, but it changes with the
    model's work, so rules of change are allowed. The same holds for a host of the board's architecture that is not
    slowed down, and for the CPU time and the cold start of a scaled run: time scaling slows down requests, not the
    start.
    """
    if not is_time(rule.metric):
        return
    if execution == "scaled" and rule.kind != "change" and rule.metric in UNSCALED:
        raise UsageError(
            f"{rule.text}: in a scaled run {rule.metric} is this host's, not the board's",
            fix="use a rule of change, or a native run; edgesim check reports what is known about the board's start",
        )
    if execution == "emulated" or (execution in ("host", "same-architecture") and rule.kind != "change"):
        raise UsageError(
            f"{rule.text}: `execution={execution}` does not measure the board's time",
            fix="bound device_time_ms.p50 or instructions, or use a scaled or native run",
        )


def _tail(result: RunResult, baseline: RunResult | None, chosen: Sequence[Rule]) -> float:
    """Return the probability beyond either end of one rule's interval.

    All rules and all looks together then stay within the permitted error of `paired_statistics.tail`.
    """
    changes = max(sum(rule.kind == "change" for rule in chosen), 1)
    paired_sides = baseline is not None and are_paired(baseline, result)
    looks = len(result.interleaved.looks) if paired_sides and result.interleaved is not None else 1
    return paired_statistics.tail(max(looks, 1), changes)


def _run(result: RunResult, name: str, *, by_samples: bool) -> Item:
    """Return the item on a run: PASS only if the run is usable as a measurement, however good its figures are."""
    problems = [why] if (why := unfit(result)) else []
    if (count := _answered(result, by_samples=by_samples)) != result.requests.ok:
        problems.append(f"it reports {result.requests.ok} answered requests, but has {count}")
    if problems:
        return Item(name=name, verdict="INCONCLUSIVE", finding="; ".join(problems))
    return Item(name=name, verdict="PASS", finding=f"VALID, {counted(result.requests.ok, 'request')}")


def _answered(result: RunResult, *, by_samples: bool) -> int:
    """Count the answered requests of a result, by its samples; a baseline without samples, by its histograms."""
    if result.samples or by_samples:
        return sum(sample.ok for sample in result.samples)
    return sum(map(len, times(result, "latency_ms.p50") or []))


def _has(result: RunResult, name: str) -> bool:
    parts = times(result, name)
    return metric(result, name).value is not None and (parts is None or all(map(len, parts)))


def _without_measurement(item: Item, rule: Rule, result: RunResult) -> Item:
    """Return the item of a rule for a run, or with a baseline, that is not usable as a measurement.

    Such a run cannot show that a time is too long or that a metric changed: FAIL becomes INCONCLUSIVE. A missing figure
    still fails, and so does an absolute limit that memory or size exceeded.
    """
    depends_on_run = is_time(measured_as(result.execution, rule.metric)) or (
        rule.kind == "change" and not is_constant(result, rule.metric)
    )
    if item.verdict != "FAIL" or not depends_on_run or not _has(result, rule.metric):
        return item
    finding = f"{item.finding}; the run is not usable as a measurement"
    return item.model_copy(update={"verdict": "INCONCLUSIVE", "finding": finding})


def _absolute(rule: Rule, result: RunResult) -> tuple[VerdictWord, str]:
    reading = with_band(result, metric(result, rule.metric))
    return _missing(reading, result) if reading.value is None else judge_reading(rule, reading)


def judge_reading(rule: Rule, reading: Metric) -> tuple[VerdictWord, str]:
    """Return the verdict of an absolute rule on a figure that is known, with the figure and its interval in words."""
    assert reading.value is not None, "a missing figure is judged by what it is missing from"
    if reading.elsewhere:
        return "INCONCLUSIVE", f"{figure(rule.metric, reading.value)}, {reading.elsewhere}"
    within = reading.value <= rule.limit if rule.kind == "<=" else reading.value >= rule.limit
    if reading.low is None or reading.high is None:
        return ("PASS" if within else "FAIL"), exact_figure(rule.metric, reading.value)
    low, high = figure(rule.metric, reading.low), figure(rule.metric, reading.high)
    words = f"{exact_figure(rule.metric, reading.value)}, {reading.interval_kind} {low} to {high}"
    all_within = reading.high <= rule.limit if rule.kind == "<=" else reading.low >= rule.limit
    all_beyond = reading.low > rule.limit if rule.kind == "<=" else reading.high < rule.limit
    if all_within:
        return "PASS", words
    if all_beyond:
        return "FAIL", words
    return "INCONCLUSIVE", f"{words}: the limit is within this interval{_rules_that_decide(rule, reading)}"


def _missing(metric: Metric, result: RunResult) -> tuple[VerdictWord, str]:
    """Return the verdict on a figure that the result does not have: too few requests say nothing about the model."""
    if metric.infinite:
        return "FAIL", f"{metric.name} reaches into the failed requests, whose time is infinite"
    if metric.needs_samples is not None and result.requests.ok < metric.needs_samples:
        answered = f"{result.requests.ok:,} were answered"
        return "INCONCLUSIVE", (
            f"{metric.name} takes {metric.needs_samples:,} answered requests, and {answered}: "
            f"`requests={metric.needs_samples}`"
        )
    if metric.unknown:
        known = "predicted" if is_predicted(metric.name, result.execution) else "known"
        return "INCONCLUSIVE", f"not {known}: {metric.unknown}"
    if metric.name.startswith("targets."):
        has = f", which has {', '.join(result.targets)}" if result.targets else ""
        return "FAIL", f"{metric.name} is missing in this result{has}"
    how = "; edgesim count counts it" if is_count(metric.name) else ""
    return "FAIL", f"{metric.name} is missing in this result{how}"


def _rules_that_decide(rule: Rule, metric: Metric) -> str:
    """Return the rules to write where a limit lies within a prediction's band, whose ends are metrics, too."""
    if metric.interval_kind == BAND_OF_THE_PREDICTION:
        return "; a limit beyond the band decides, and a time measured on the board narrows it: edgesim calibrate"
    if metric.interval_kind != BAND:
        return ""
    stem = metric.name.removesuffix(".p50")
    sure, doubtful = ("high", "low") if rule.kind == "<=" else ("low", "high")
    limit = f"{rule.kind} {rule.limit:g}"
    return (
        f"; {stem}.{sure} {limit} passes only if the whole band keeps the limit, {stem}.{doubtful}"
        f" {limit} fails only if no part of the band does"
    )


def _not_the_boards(rule: Rule, result: RunResult) -> tuple[VerdictWord, str] | None:
    """Return the verdict on an absolute rule for a figure that is the host's or not known; None if it can be judged.

    Only a host of the board's architecture that is not the board gets here: whether such a run has the board's time is
    the run's outcome.
    """
    if result.execution != "same-architecture":
        return None
    if rule.metric.startswith(("device_time_ms.", "energy_j")) and metric(result, rule.metric).value is None:
        return "INCONCLUSIVE", f"not known: {result.device_time_ms.method.removeprefix('none: ')}"
    if not is_time(rule.metric):
        return None
    if result.time_origin == "host":
        why = f": {result.not_scaled}" if result.not_scaled is not None else ""
        return "INCONCLUSIVE", f"this host's time, not the board's{why}"
    return ("INCONCLUSIVE", "this host's, not the board's") if rule.metric in UNSCALED else None


def _change(
    rule: Rule,
    result: RunResult,
    baseline: RunResult | None,
    name: str,
    tail: float,
    change_of: Callable[[str], MetricChange],
    why_no_baseline: str,
) -> Item:
    def item(verdict: VerdictWord, finding: str, figures: Mapping[str, float | None] | None = None) -> Item:
        finite = {name: value for name, value in (figures or {}).items() if value is not None and math.isfinite(value)}
        return Item(name=rule.text, verdict=verdict, finding=finding, figures=finite)

    if baseline is None:
        return item("INCONCLUSIVE", why_no_baseline)
    if different := differences(baseline, result):
        return item("INCONCLUSIVE", f"cannot compare with {name}: {'; '.join(different)}")
    if why := hidden_release(result, rule.metric):
        return item("INCONCLUSIVE", f"{why}: measure it on the board")
    change = change_of(rule.metric)
    if change.change is None:
        if _has(result, rule.metric):
            return item("INCONCLUSIVE", f"{rule.metric} is missing in {name}")
        return item(*_missing(change.candidate, result))

    if elsewhere := change.candidate.elsewhere or change.base.elsewhere:
        return item("INCONCLUSIVE", f"{100 * change.change:+.1f} %, {elsewhere}")

    def worse(change: float) -> bool:
        return change < rule.limit if rule.metric in HIGHER_IS_BETTER else change > rule.limit

    # Counts are known to a hundredth of a percent, times to a tenth at best.
    decimals = 2 if change.by == "counts" else 1
    words = f"{100 * change.change:+.{decimals}f} %"
    figures = {
        "base": change.base.value,
        "candidate": change.candidate.value,
        "change": change.change,
        "limit": rule.limit,
        "low": change.low,
        "high": change.high,
    }
    prediction = predicted_change(baseline, result, rule.metric)
    if change.low is None or change.high is None:
        if not is_constant(result, rule.metric):
            emulated = "`execution=emulated` and " if result.emulated is not None and not is_time(rule.metric) else ""
            needs = f"{emulated}`repeat={FEWEST_CONTAINERS}` or more on both sides"
            return item("INCONCLUSIVE", f"{words}; no confidence interval: needs {needs}", figures)
        by_figures = item("FAIL" if worse(change.change) else "PASS", words, figures)
        return _with_prediction(by_figures, prediction, change.change, change.change, worse)
    kind = "by the counts' scatter" if change.by == "counts" else f"{100 * (1 - 2 * tail):.4g} % confidence interval"
    words += f" ({kind} {100 * change.low:+.{decimals}f} to {100 * change.high:+.{decimals}f} %)"
    effects = [change.low, change.high]
    if change.pairs is not None:
        pairs = change.pairs
        words += f", median {100 * pairs.median:+.1f} %, larger in {pairs.more} of {pairs.rounds} rounds"
        figures |= {
            "median": pairs.median,
            "rounds": pairs.rounds,
            "larger_rounds": pairs.more,
            "scatter": pairs.scatter,
            "effect_size": pairs.effect_size,
            "p_value": pairs.p_value(rule.limit),
        }
        effects.append(pairs.median)  # the median must agree with both ends, so that no single odd round decides
    elif change.by not in ("containers", "counts"):
        needs = f"`repeat={FEWEST_CONTAINERS}` or more on both sides"
        return item(
            "INCONCLUSIVE", f"{words}; the interval covers these containers only: one for others needs {needs}", figures
        )
    ends = [worse(effect) for effect in effects]
    verdict: VerdictWord = "FAIL" if all(ends) else "INCONCLUSIVE" if any(ends) else "PASS"
    return _with_prediction(item(verdict, words, figures), prediction, change.low, change.high, worse)


def _with_prediction(
    item: Item, prediction: PredictedChange | None, low: float, high: float, worse: Callable[[float], bool]
) -> Item:
    """Return the item of a rule with the prediction's part: INCONCLUSIVE if the band of the prediction undoes it.

    Args:
        low, high: the interval of the measured change.
    """
    if prediction is None or not prediction.words:
        return item
    words, figures = f"{item.finding}; {prediction}", dict(item.figures)
    if prediction.low is not None and prediction.high is not None:
        figures |= {"predicted_low": prediction.low, "predicted_high": prediction.high}
    ends = [worse(end) for end in prediction.widen(low, high)]
    decided = prediction.low is not None and all(end == (item.verdict == "FAIL") for end in ends)
    if item.verdict == "INCONCLUSIVE" or decided:
        return item.model_copy(update={"finding": words, "figures": figures})
    figures["predicted_undecided"] = 1.0
    words += f"; {item.verdict} by the figures alone, which the prediction does not carry: measure both on the board"
    return item.model_copy(update={"verdict": "INCONCLUSIVE", "finding": words, "figures": figures})
