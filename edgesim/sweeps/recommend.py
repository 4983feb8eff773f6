"""Which boards, and which variants of a model, hold rules: the cells of a sweep judged, the cheapest board first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgesim.errors import UsageError
from edgesim.gates.judge import judge_reading
from edgesim.gates.result_metrics import Metric, is_time
from edgesim.gates.rules import Rule, Rules
from edgesim.results.cell_result import CellResult, Job, Price
from edgesim.results.verdict import VerdictWord
from edgesim.sweeps.matrix import Matrix
from edgesim.sweeps.plan import ALL_TARGETS, plan
from edgesim.sweeps.run_cell import run_cell

_ORDER: dict[VerdictWord, int] = {"PASS": 0, "INCONCLUSIVE": 1, "FAIL": 2}
_NOUNS: dict[Job, str] = {"predict": "prediction", "run": "run", "check": "check"}
_TIME = "device_time_ms.p50"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A cell, and whether it holds the rules.

    Attributes:
        verdict: PASS if it holds all of them, FAIL if it breaks one.
        findings: for each rule, its verdict and why.
    """

    cell: CellResult
    verdict: VerdictWord
    findings: tuple[tuple[str, VerdictWord, str], ...]

    @property
    def price(self) -> Price | None:
        """The price of the board, if its profile states one."""
        return self.cell.price

    @property
    def why(self) -> str:
        """The findings that decide, in words."""
        return "; ".join(f"{rule}: {finding}" for rule, verdict, finding in self.findings if verdict == self.verdict)


def recommend(cells: Sequence[CellResult], rules: Sequence[str]) -> list[Choice]:
    """Judge cells by absolute rules, such as ``device_time_ms.p50 <= 50``.

    Returns:
        The best cell of each board and model variant, over all targets and settings. Cells that hold all rules come
        first; among these, boards with a price in the order of their prices, then the others; equal ones by device
        time.

    Raises:
        UsageError: a rule is not one, bounds a change, or bounds a time that is a host's and no board's.
    """
    parsed = _absolute(rules)
    best: dict[tuple[str, str, str | None], Choice] = {}
    for choice in sorted((_judged(cell, parsed) for cell in cells), key=_rank):
        best.setdefault((choice.cell.profile, choice.cell.model, choice.cell.precision), choice)
    choices = list(best.values())
    currencies = {choice.price.currency for choice in choices if choice.price is not None}
    if len(currencies) > 1:
        raise UsageError(
            f"prices in {', '.join(sorted(currencies))}: amounts of several currencies have no order",
            fix="state the prices in one currency",
        )
    return sorted(choices, key=_rank)


def predicted_cells(matrix: Matrix) -> list[CellResult]:
    """Return the predictions of a matrix, on all targets of each board unless it names some; nothing is kept.

    Raises:
        UsageError: the matrix has cells that are no predictions, or as `edgesim.sweeps.plan.plan`.
    """
    if any(job != "predict" for job in matrix.set.get("job", ())):
        raise UsageError(
            "`set`: job: recommend always predicts", fix="edgesim sweep -o DIR, then edgesim recommend DIR"
        )
    if "target" not in matrix.set:
        matrix = matrix.model_copy(update={"set": {**matrix.set, "target": (ALL_TARGETS,)}})
    return [run_cell(cell) for cell in plan(matrix).cells]


def facts(choice: Choice) -> dict[str, Any]:
    """Return a choice for programs."""
    cell = choice.cell
    return {
        "verdict": choice.verdict,
        "profile": cell.profile,
        "board": cell.board,
        "model": cell.model,
        "precision": cell.precision,
        "target": cell.target,
        "settings": cell.settings,
        _TIME: cell.value(_TIME),
        "artifact_bytes": cell.value("artifact_bytes"),
        "price": choice.price.amount if choice.price is not None else None,
        "currency": choice.price.currency if choice.price is not None else None,
        "rules": [{"rule": rule, "verdict": word, "finding": finding} for rule, word, finding in choice.findings],
    }


def _absolute(words: Sequence[str]) -> tuple[Rule, ...]:
    if not words:
        raise UsageError("`rule`: a recommendation needs at least one", fix="for example device_time_ms.p50 <= 50")
    rules = Rules.of(words).everywhere
    for rule in rules:
        if rule.kind == "change":
            raise UsageError(
                f"`rule`: {rule.text}: bounds a change, and there is no base to compare with",
                fix=f"bound the figure itself, as in {_TIME} <= 50",
            )
        if is_time(rule.metric):
            raise UsageError(
                f"`rule`: {rule.text}: is a time of a run's host",
                fix=f"bound {_TIME}; edgesim gate judges a run",
            )
    return rules


def _judged(cell: CellResult, rules: Sequence[Rule]) -> Choice:
    findings = tuple((rule.text, *_finding(cell, rule)) for rule in rules)
    words = {verdict for _, verdict, _ in findings}
    verdict: VerdictWord = "FAIL" if "FAIL" in words else "INCONCLUSIVE" if "INCONCLUSIVE" in words else "PASS"
    return Choice(cell=cell, verdict=verdict, findings=findings)


def _finding(cell: CellResult, rule: Rule) -> tuple[VerdictWord, str]:
    if cell.error is not None:
        return ("FAIL" if cell.error.kind == "OutOfMemory" else "INCONCLUSIVE"), cell.error.problem
    if cell.does_not_fit:
        return "FAIL", cell.does_not_fit
    figure = cell.figures.get(rule.metric)
    if figure is None or figure.value is None:
        why = figure.note if figure is not None and figure.note else f"a {_NOUNS[cell.job]} has no {rule.metric}"
        return ("FAIL" if figure is not None and figure.impossible else "INCONCLUSIVE"), why
    reading = Metric(
        name=rule.metric,
        value=figure.value,
        low=figure.low,
        high=figure.high,
        interval_kind=figure.interval_kind,
        elsewhere=figure.note if cell.job == "run" else "",
    )
    verdict, words = judge_reading(rule, reading)
    if figure.host is not None and verdict == "PASS":
        words += f" (measured on {figure.host})"
    return verdict, words


def _rank(choice: Choice) -> tuple[int, float, float]:
    infinite = float("inf")
    time = choice.cell.value(_TIME)
    price = choice.price.amount if choice.price is not None else infinite
    return _ORDER[choice.verdict], price, time if time is not None else infinite
