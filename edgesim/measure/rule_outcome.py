"""What one rule of validity found."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class RuleOutcome:
    """What one rule found, with its figures in `finding`; ``unknown``: this host does not report the figures."""

    name: str
    verdict: Literal["ok", "suspect", "invalid", "unknown"]
    finding: str


def ok(name: str, finding: str) -> RuleOutcome:
    return RuleOutcome(name=name, verdict="ok", finding=finding)


def invalid(name: str, finding: str) -> RuleOutcome:
    return RuleOutcome(name=name, verdict="invalid", finding=finding)


def suspect(name: str, finding: str) -> RuleOutcome:
    return RuleOutcome(name=name, verdict="suspect", finding=finding)


def unknown(name: str, finding: str) -> RuleOutcome:
    return RuleOutcome(name=name, verdict="unknown", finding=finding)
