"""The verdict on a replay: what must be equal in both results, and what the two hosts allow to compare."""

from collections.abc import Callable, Iterator

import numpy as np

from edgesim.gates.comparable import differences, metric_identity
from edgesim.gates.metric_change import metric_change
from edgesim.gates.result_metrics import is_predicted, metric, of_targets
from edgesim.measure.tolerance import Tolerance
from edgesim.results.run_result import RunResult
from edgesim.results.sections import AnswerSection
from edgesim.results.stamp import stamp
from edgesim.results.verdict import Item, Verdict, VerdictWord
from edgesim.units import format_bytes, format_ms

# Memory of two runs of one image on one host differs by the allocator's arenas and the emulator's translated code.
MEMORY_PERCENT = 5.0
# Counted instructions differ by what depends on addresses, such as the alignment of buffers; those of tiny models by a
# few hundred, whatever their number (docs/tasks/count.md: digits 0.29 % of 60,000 beside busy programs).
INSTRUCTIONS_PERCENT, INSTRUCTIONS_FEW = 0.1, 500
# Medians of two runs on one quiet host.
TIMES_PERCENT = 10.0
# Predictions are the same computation; the rounding of another processor's logarithms is allowed.
_PREDICTION = 1e-6
_TIMES = ("latency_ms.p50", "service_time_ms.p50")


def judge(base: RunResult, replayed: RunResult, *, digests: str) -> Verdict:
    """Return the verdict on a replay.

    Answers, predictions, memory and instructions are judged where both runs can show them; times where
    `comparable.differences` finds none. What cannot be compared is in `not_judged`, with the reason.

    Args:
        base: the result in the bundle.
        digests: what was compared with the bundle's manifest, in words.
    """
    judged: list[Item] = [Item(name="digests", verdict="PASS", finding=digests), _validity(replayed)]
    not_judged: list[Item] = []
    for judge_one in (_answers, _accuracy, _predictions, _memory, _instructions, _times):
        for item, counts in judge_one(base, replayed):
            (judged if counts else not_judged).append(item)
    return Verdict(
        **stamp(),
        profile=base.profile.name,
        board=base.profile.title_and_mode,
        model=base.model.name,
        execution=replayed.execution,
        items=tuple(judged),
        not_judged=tuple(not_judged),
        base=f"the bundle's result of {base.created}, edgesim {base.edgesim_version}",
        candidate=f"the replay, edgesim {replayed.edgesim_version}",
    )


# An item, and whether it counts in the verdict.
_Items = Iterator[tuple[Item, bool]]


def _validity(replayed: RunResult) -> Item:
    sound = replayed.validity.valid and replayed.complete and replayed.requests.ok > 0
    reasons = "; ".join(replayed.validity.reasons) or "no request was answered"
    finding = f"the replay is {replayed.validity.words}" + ("" if sound else f": {reasons}")
    return Item(name="validity", verdict="PASS" if sound else "INCONCLUSIVE", finding=finding)


def _not_compared(name: str, why: str) -> tuple[Item, bool]:
    return Item(name=name, verdict="INCONCLUSIVE", finding=f"not compared: {why}"), False


def _answers(base: RunResult, replayed: RunResult) -> _Items:
    before = base.agreement.answers if base.agreement is not None else ()
    after = {each.name: each for each in replayed.agreement.answers} if replayed.agreement is not None else {}
    if not before:
        yield _not_compared("answers", "the bundle's result does not have the answers of its board")
    for answer in before:
        name = f"answers: {answer.name}"
        if answer.is_random:
            yield _not_compared(name, "the output is random: two runs on one host differ")
        elif answer.name not in after:
            finding = "the replay has no such output"
            yield Item(name=name, verdict="FAIL" if after else "INCONCLUSIVE", finding=finding), True
        else:
            yield _answer(name, answer, after[answer.name]), True


def _answer(name: str, base: AnswerSection, replayed: AnswerSection) -> Item:
    if (base.shape, base.datatype) != (replayed.shape, replayed.datatype):
        kinds = [f"{each.datatype} {list(each.shape)}" for each in (base, replayed)]
        return Item(name=name, verdict="FAIL", finding=f"{kinds[0]} in the bundle, {kinds[1]} in the replay")
    if base.sha256 == replayed.sha256:
        return Item(name=name, verdict="PASS", finding=f"equal to the bit: {base.datatype} {list(base.shape)}")
    if not base.excerpt or len(base.excerpt) != len(replayed.excerpt):
        return Item(name=name, verdict="FAIL", finding="the output differs, and has no numbers to compare")
    expected, actual = (np.array(each.excerpt, dtype=np.float64) for each in (base, replayed))
    # The excerpt may lack the output's largest value, by which the tolerance goes.
    allowed = Tolerance(base.relative, base.absolute + base.of_scale * base.scale).bound(expected)
    same = np.isnan(expected) & np.isnan(actual)
    apart = np.where(same, 0.0, np.abs(expected - actual))
    within = bool(np.all(apart <= allowed))
    largest = float(np.nanmax(apart, initial=0.0))
    finding = (
        f"{len(expected)} of {max(int(np.prod(base.shape)), len(expected))} values differ by at most {largest:.2g}"
    )
    finding += ", within the tolerance" if within else f"; the tolerance is {float(allowed.max(initial=0.0)):.2g}"
    return Item(
        name=name, verdict="PASS" if within else "FAIL", finding=finding, figures={"max_abs_difference": largest}
    )


def _accuracy(base: RunResult, replayed: RunResult) -> _Items:
    shares = [each.agreement.accuracy_device if each.agreement is not None else None for each in (base, replayed)]
    before, after = shares
    if before is None:
        return
    finding = f"{before:.2%} in the bundle, {f'{after:.2%}' if after is not None else 'none'} in the replay"
    yield Item(name="accuracy", verdict="PASS" if before == after else "FAIL", finding=finding), True


def _predictions(base: RunResult, replayed: RunResult) -> _Items:
    names = [f"device_time_ms.{key}" for key in ("p50", "low", "high")]
    yield from _prediction("prediction", names, base, replayed)
    for name in of_targets(base, replayed):
        yield from _prediction(f"prediction: {name.removesuffix('.p50')}", [name], base, replayed)


def _prediction(item: str, names: list[str], base: RunResult, replayed: RunResult) -> _Items:
    if not all(is_predicted(names[0], each.execution) for each in (base, replayed)) or base.profile.has_core_of_host:
        yield _not_compared(item, "the time is a host's own, and not predicted")
        return
    figures = [(metric(base, name).value, metric(replayed, name).value) for name in names]
    before, after = figures[0]
    if before is None or after is None:
        if before is not after:
            yield Item(name=item, verdict="FAIL", finding="one of the two results has no prediction"), True
        return
    texts = format_ms(before), format_ms(after)
    equal = all(old is not None and new is not None and _is_near(old, new) for old, new in figures)
    timed = base.device_time_ms.sizes not in (None, "inference")
    if equal or not timed:
        finding = f"{texts[0]} ms in both" if equal else f"{texts[0]} ms in the bundle, {texts[1]} ms in the replay"
        if not equal and base.edgesim_version != replayed.edgesim_version:
            finding += f"; edgesim {base.edgesim_version} and {replayed.edgesim_version} predict"
        yield Item(name=item, verdict="PASS" if equal else "FAIL", finding=finding), True
        return
    yield _not_compared(item, f"{texts[0]} and {texts[1]} ms, made from a run of the model on each host")


def _is_near(old: float, new: float) -> bool:
    return abs(new - old) <= _PREDICTION * abs(old)


def _memory(base: RunResult, replayed: RunResult) -> _Items:
    yield from _within(
        "memory_unreclaimable_bytes", MEMORY_PERCENT, base, replayed, lambda value: format_bytes(round(value))
    )


def _instructions(base: RunResult, replayed: RunResult) -> _Items:
    if base.instructions is not None:
        few = INSTRUCTIONS_FEW
        yield from _within("instructions", INSTRUCTIONS_PERCENT, base, replayed, lambda value: f"{value:,.0f}", few=few)


def _within(
    name: str, percent: float, base: RunResult, replayed: RunResult, words: Callable[[float], str], *, few: float = 0
) -> _Items:
    """Compare a metric that the board has, whatever the host, where both runs had the board in the same execution.

    Args:
        few: a difference of at most as much is allowed, whatever its percentage.
    """
    before, after = metric(base, name).value, metric(replayed, name).value
    if before is None or after is None:
        side = "the bundle's result" if before is None else "the replay"
        yield _not_compared(name, f"{side} does not have the figure")
        return
    fields, others = metric_identity(base, name), metric_identity(replayed, name)
    if different := [field for field in fields if fields[field] != others.get(field)]:
        yield _not_compared(name, f"{words(before)} and {words(after)}; {', '.join(different)} differ")
        return
    change = 100 * (after / before - 1) if before else (0.0 if after == before else float("inf"))
    allowed = f"{percent:g} %" + (f" or {words(few)}" if few else "")
    finding = f"{words(before)} in the bundle, {words(after)} in the replay: {change:+.2f} %, {allowed} is allowed"
    verdict: VerdictWord = "PASS" if abs(change) <= percent or abs(after - before) <= few else "FAIL"
    yield Item(name=name, verdict=verdict, finding=finding, figures={"change_percent": change}), True


def _times(base: RunResult, replayed: RunResult) -> _Items:
    different = differences(base, replayed)
    origins = {base.time_origin, replayed.time_origin}
    for name in _TIMES:
        change = metric_change(base, replayed, name)
        if change.change is None or change.base.value is None or change.candidate.value is None:
            yield _not_compared(name, "one of the two results does not have the figure")
            continue
        texts = (
            f"{format_ms(change.base.value)} and {format_ms(change.candidate.value)} ms, {100 * change.change:+.1f} %"
        )
        if "emulator" in origins:
            yield _not_compared(name, f"{texts}; the times are an emulator's")
        elif different:
            yield _not_compared(name, f"{texts}; {'; '.join(different)}")
        else:
            near = abs(100 * change.change) <= TIMES_PERCENT
            covered = change.low is not None and change.high is not None and change.low <= 0 <= change.high
            finding = f"{texts}; {TIMES_PERCENT:g} % is allowed"
            yield Item(name=name, verdict="PASS" if near or covered else "INCONCLUSIVE", finding=finding), True
