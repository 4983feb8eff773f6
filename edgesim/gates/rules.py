"""The rules of a gate, such as ``device_time_ms.p50 <= 120`` and ``latency_ms.p50: +5 %``, for all boards or one."""

import difflib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ByteSize, TypeAdapter

from edgesim import yaml_files
from edgesim.errors import UsageError
from edgesim.gates.result_metrics import HIGHER_IS_BETTER, NAMES, canonical
from edgesim.units import parse_seconds

FILE_NAME = "edgesim-gate.yaml"
# The rules of a paired run without rules of its own.
DEFAULT_RULES = ("latency_ms.p50: +5 %",)
_MOST_RULES = 100
_MOST_LETTERS = 200  # of one rule
_EXAMPLE = "see docs/reference/rules.md for a rules file"
_ABSOLUTE = re.compile(r"^\s*([a-z0-9_.:-]+)\s*(<=|>=)\s*(.+?)\s*$")
_RELATIVE = re.compile(r"^\s*([+-])\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*%\s*$")


@dataclass(frozen=True)
class Rule:
    """A limit for a metric.

    `limit` is absolute (``<=``, ``>=``), or the largest ``change`` as a fraction of the baseline's value (0.05 is 5 %).
    """

    metric: str
    kind: Literal["<=", ">=", "change"]
    limit: float
    text: str


@dataclass(frozen=True)
class Rules:
    """Rules for every board, and rules for single boards by profile: ``NAME`` or ``NAME:MODE``."""

    everywhere: tuple[Rule, ...]
    by_profile: dict[str, tuple[Rule, ...]]

    @classmethod
    def read(cls, path: Path) -> "Rules":
        """Read a rules file.

        Raises:
            UsageError: the file cannot be read, has no rule, or has something that is not a rule, which is named.
        """
        document = yaml_files.load(path, "rules file", UsageError, example=_EXAMPLE)
        if not isinstance(document, dict) or not set(document) <= {"rules", "profiles"} or not document:
            raise UsageError(
                f"{path}: a rules file has only the keys rules and profiles",
                fix=_EXAMPLE,
            )
        by_profile = document.get("profiles") or {}
        if not isinstance(by_profile, dict):
            raise UsageError(f"{path}: profiles: must be a mapping from a profile's name to its rules")
        rules = cls(
            everywhere=_rules(document.get("rules") or [], f"{path}: rules"),
            by_profile={str(name): _rules(rows, f"{path}: profiles.{name}") for name, rows in by_profile.items()},
        )
        if not rules.everywhere and not any(rules.by_profile.values()):
            raise UsageError(f"{path}: contains no rule, so everything would pass", fix="add a rule")
        return rules

    @classmethod
    def of(cls, words: Sequence[str]) -> "Rules":
        """Parse rules, one a string, that hold for every board.

        Raises:
            UsageError: a string is not a rule.
        """
        return cls(everywhere=_rules(list(words), "`rule`"), by_profile={})

    def of_board(self, name: str, mode: str | None) -> tuple[Rule, ...]:
        """Return all rules that apply to a profile in a power mode."""
        return (*self.everywhere, *self.by_profile.get(name, ()), *self.by_profile.get(f"{name}:{mode}", ()))


def _rules(rows: Any, where: str) -> tuple[Rule, ...]:
    if not isinstance(rows, list):
        raise UsageError(f"{where}: must be a list of rules")
    if len(rows) > _MOST_RULES:  # each rule of change takes a part of a second
        raise UsageError(f"{where}: {len(rows):,} rules, more than {_MOST_RULES}")
    return tuple(_rule(row, where) for row in rows)


def _rule(row: Any, where: str) -> Rule:
    if isinstance(row, dict) and len(row) == 1:
        ((name, limit),) = row.items()
        row = f"{name}: {limit}"
    text = row if isinstance(row, str) else yaml_files.shown(row)
    if len(text) > _MOST_LETTERS:  # the expressions below would take long over them
        raise UsageError(f"{where}: {text[:40]!r}… is not a rule: it has {len(text):,} letters")
    name, colon, change = text.rpartition(":")  # the last one: a target's name has one, too
    if colon and (relative := _RELATIVE.match(change)):
        sign = -1 if relative[1] == "-" else 1
        metric = _metric(name.strip(), where)
        if sign != (worse := -1 if metric in HIGHER_IS_BETTER else 1):
            raise UsageError(
                f"{where}: {text!r}: {metric} gets worse by {'-' if worse < 0 else '+'}",
                fix=f"{metric}: {'-' if worse < 0 else '+'}{relative[2]} %",
            )
        return Rule(metric, "change", sign * float(relative[2]) / 100, text)
    if absolute := _ABSOLUTE.match(text):
        kind: Literal["<=", ">="] = "<=" if absolute[2] == "<=" else ">="
        metric = _metric(absolute[1], where)
        return Rule(metric, kind, _limit(metric, kind, absolute[3], where), text)
    raise UsageError(
        f"{where}: {text!r} is not a rule", fix="write, for example, device_time_ms.p50 <= 120 or latency_ms.p50: +5 %"
    )


def _metric(name: str, where: str) -> str:
    if (known := canonical(name)) is not None:
        return known
    if name.startswith("targets."):
        raise UsageError(
            f"{where}: no metric {name!r}",
            fix="write targets.NAME.p50, .low or .high, as in targets.gpu:tensorrt-fp16.p50",
        )
    near = difflib.get_close_matches(name, NAMES, n=1) or [known for known in NAMES if known.startswith(name)]
    raise UsageError(
        f"{where}: no metric {name!r}{f'; did you mean {near[0]}?' if near else ''}",
        fix="docs/reference/rules.md lists the metrics",
    )


def _limit(metric: str, kind: str, text: str, where: str) -> float:
    """Return the number of an absolute limit, in the metric's unit.

    Raises:
        UsageError: the text is no finite number of that unit; an infinite limit would let everything pass.
    """
    if _RELATIVE.match(text):
        raise UsageError(f"{where}: {text!r} is a change, which needs a colon", fix=f"{metric}: {text}")
    parse, example = _unit(metric)
    try:
        limit = parse(text)
    except (ValueError, OverflowError):  # pydantic's ValidationError is a ValueError, too
        limit = math.nan
    if not math.isfinite(limit):
        raise UsageError(
            f"{where}: {text!r} is not a limit for {metric}", fix=f"for example, {metric} {kind} {example}"
        )
    if metric == "accuracy" and limit > 1:
        raise UsageError(f"{where}: accuracy is between 0 and 1, not {text}", fix=f"accuracy {kind} {limit / 100:g}")
    return limit


def _unit(metric: str) -> tuple[Callable[[str], float], str]:
    """Return what reads a limit of a metric, with or without its unit, and an example of such a limit."""
    if metric.endswith("_bytes"):
        return lambda text: float(TypeAdapter(ByteSize).validate_python(text)), "512MiB"
    if "_ms." in metric or metric.startswith("targets."):
        return lambda text: _time(text, 1000), "120 or 120ms"
    if metric == "cold_start_s" or metric.startswith("cpu_seconds"):
        return lambda text: _time(text, 1), "1.5 or 1.5s"
    return float, "0.96" if metric == "accuracy" else "20"


def _time(text: str, parts_of_a_second: int) -> float:
    """Return a time in parts of a second; a bare number is in these parts already."""
    return parse_seconds(text) * parts_of_a_second if text[-1].isalpha() else float(text)
