"""Rules and results → a verdict for each rule. What is not known never passes."""

from collections.abc import Iterator
from datetime import UTC, datetime

from edgesim.errors import UsageError
from edgesim.gate.comparable import differences
from edgesim.gate.difference import FEWEST_CONTAINERS, difference
from edgesim.gate.metrics import HIGHER_IS_BETTER, Metric, is_time, metric
from edgesim.gate.rules import Rule, Rules
from edgesim.result import RunResult
from edgesim.verdict import Check, Item, Verdict
from edgesim.version import __version__


def judge(result: RunResult, rules: Rules, baseline: RunResult | None = None) -> Check:
    """A verdict for each rule that holds for the result's board.

    Raises:
        UsageError: no rule is for this board, or one asks of an emulator's time what only the device time can tell.
    """
    chosen = rules.of_profile(result.profile.name)
    if not chosen:
        raise UsageError(f"no rule is for {result.profile.name}", fix="put one under rules: or under its name")
    items = [_run(result, "the run"), *([_run(baseline, "the baseline")] if baseline is not None else [])]
    items += [_judged(rule, result, baseline) for rule in chosen]
    return Check(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        edgesim_version=__version__,
        profile=result.profile.name,
        board=result.profile.title,
        model=result.model.name,
        execution=result.execution,
        items=tuple(items),
    )


def _run(result: RunResult, name: str) -> Item:
    """A run that is no measurement shows nothing, however good its figures."""
    problems = [] if result.validity.valid else [*(result.validity.reasons or ("INVALID",))]
    problems += [] if result.complete else ["it was cut short"]
    problems += [] if result.requests.ok else ["no request was answered"]
    if problems:
        return Item(name=name, verdict="INCONCLUSIVE", finding="; ".join(problems))
    return Item(name=name, verdict="PASS", finding=f"VALID, {result.requests.ok} requests")


def _judged(rule: Rule, result: RunResult, baseline: RunResult | None) -> Item:
    if rule.kind == "change":
        verdict, finding = _change(rule, result, baseline)
    else:
        if is_time(rule.metric) and result.execution in ("emulated", "host"):
            raise UsageError(
                f"{rule.text}: the {result.execution} run of {result.model.name} has no time of the board's",
                fix="a limit on device_time_ms.p50, or a scaled or native run",
            )
        verdict, finding = _absolute(rule, metric(result, rule.metric))
    return Item(name=rule.text, verdict=verdict, finding=finding)


def _absolute(rule: Rule, found: Metric) -> tuple[Verdict, str]:
    if found.value is None:
        return "FAIL", f"{rule.metric} is missing in this result"
    good = found.value <= rule.limit if rule.kind == "<=" else found.value >= rule.limit
    if found.low is None or found.high is None:
        return ("PASS" if good else "FAIL"), _figure(rule.metric, found.value)
    words = f"{_figure(rule.metric, found.value)}, 80 % band {found.low:.4g} to {found.high:.4g}"
    surely = found.high <= rule.limit if rule.kind == "<=" else found.low >= rule.limit
    surely_not = found.low > rule.limit if rule.kind == "<=" else found.high < rule.limit
    if surely:
        return "PASS", words
    return ("FAIL" if surely_not else "INCONCLUSIVE"), f"{words}{'' if surely_not else ': the limit lies within it'}"


def _change(rule: Rule, result: RunResult, baseline: RunResult | None) -> tuple[Verdict, str]:
    if baseline is None:
        return "INCONCLUSIVE", "no baseline to compare with"
    if apart := differences(baseline, result):
        return "INCONCLUSIVE", f"the baseline is of something else: {'; '.join(apart)}"
    found = difference(baseline, result, rule.metric)
    if found.change is None:
        side = "this result" if found.candidate.value is None else "the baseline"
        return "FAIL", f"{rule.metric} is missing in {side}"

    def worse(change: float) -> bool:
        return change < rule.limit if rule.metric in HIGHER_IS_BETTER else change > rule.limit

    words = f"{100 * found.change:+.1f} %"
    if (found.low is None or found.high is None) and is_time(rule.metric):
        return "INCONCLUSIVE", f"{words}, and nobody knows how sure: a percentile of latency_ms tells"
    if found.low is None or found.high is None:  # a count, a size: the same again in every run
        return ("FAIL" if worse(found.change) else "PASS"), words
    words += f" (99 % sure: {100 * found.low:+.1f} to {100 * found.high:+.1f} %)"
    if found.by != "containers":
        return (
            "INCONCLUSIVE",
            f"{words}: of these very containers; --repeat {FEWEST_CONTAINERS} or more tells of others",
        )
    ends = [worse(found.low), worse(found.high)]
    if all(ends):
        return "FAIL", words
    return ("INCONCLUSIVE" if any(ends) else "PASS"), words


def _figure(name: str, value: float) -> str:
    return f"{value:,.0f}" if name.endswith(("_bytes", "_requests")) else f"{value:.4g}"


def rows(base: RunResult, candidate: RunResult, names: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """The metrics that either side has, as words: base, candidate, change, its interval."""
    for name in names:
        found = difference(base, candidate, name)
        values = [found.base.value, found.candidate.value]
        if values == [None, None]:
            continue
        change = f"{100 * found.change:+.1f} %" if found.change is not None else "-"
        sure = "-"
        if found.low is not None and found.high is not None:
            sure = f"{100 * found.low:+.1f} to {100 * found.high:+.1f} %, by {found.by}"
        yield name, [*("-" if value is None else _figure(name, value) for value in values), change, sure]
