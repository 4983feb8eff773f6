"""Sections of the result file have the fields and values of the domain values that they are made from."""

from dataclasses import asdict, fields
from typing import Any

import pytest

from edgesim.host.host_facts import HostFacts
from edgesim.host.host_load import HostLoad
from edgesim.measure import validity, variance
from edgesim.measure.reference import Comparison
from edgesim.measure.resource_usage import ResourceUsage
from edgesim.measure.rule_outcome import RuleOutcome
from edgesim.measure.statistics import Summary, summarise
from edgesim.measure.steady_state import WarmUp
from edgesim.measure.validity import Validity
from edgesim.measure.variance import Variance
from edgesim.results.sections import (
    AgreementSection,
    Distribution,
    HostLoadSection,
    HostSection,
    ResourcesSection,
    RuleSection,
    Section,
    Spread,
    ValiditySection,
    WarmUpSection,
    optional_section,
    section,
)

PAIRS = [
    (HostFacts, HostSection),
    (HostLoad, HostLoadSection),
    (ResourceUsage, ResourcesSection),
    (Summary, Distribution),
    (WarmUp, WarmUpSection),
    (Comparison, AgreementSection),
    (Variance, Spread),
    (RuleOutcome, RuleSection),
]


@pytest.mark.parametrize(("value", "kind"), PAIRS)
def test_section_has_the_fields_of_its_value_in_the_same_order(value: Any, kind: type[Section]) -> None:
    assert [field.name for field in fields(value)] == list(kind.model_fields)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (HostFacts(cpu="x", cores=2, memory_bytes=2**33, kernel="Linux 6", context="lab"), HostSection),
        (ResourceUsage(source="cgroup v2", cpu_seconds=1.5, oom_kills=0), ResourcesSection),
        (summarise([float(n) for n in range(1, 66)]), Distribution),
        (Comparison(compared=3, max_abs_difference=None, same_class=1.0), AgreementSection),
        (variance.analyse([[1.0, 2.0], [3.0, 5.0]]), Spread),
    ],
)
def test_section_has_the_values_of_its_value(value: Any, kind: type[Section]) -> None:
    assert section(kind, value).model_dump() == asdict(value)


def test_validity_section_lists_reasons_and_suspicions_of_the_rules() -> None:
    judged = Validity(
        (
            RuleOutcome(name="device alive", verdict="invalid", finding="died after 9 requests"),
            RuleOutcome(name="steady", verdict="suspect", finding="+20 %"),
            RuleOutcome(name="no failures", verdict="ok", finding="9 requests"),
        )
    )
    assert section(ValiditySection, judged).model_dump() == {
        "valid": False,
        "reasons": ("device alive: died after 9 requests",),
        "suspect": True,
        "suspicions": ("steady: +20 %",),
        "rules": tuple(asdict(rule) for rule in judged.rules),
    }
    assert section(ValiditySection, validity.Validity(())).valid


def test_value_that_a_run_does_not_have_gives_no_section() -> None:
    assert optional_section(HostLoadSection, None) is None
