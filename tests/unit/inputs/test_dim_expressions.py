"""Sizes that a model names, and arithmetic of such names."""

import pytest

from edgesim.inputs.dim_expressions import evaluate, names_in


@pytest.mark.parametrize(
    ("dim", "names", "size"),
    [
        ("sequence", {"sequence"}, 7),
        ("past + sequence", {"past", "sequence"}, 12),
        ("past + 1", {"past"}, 6),
        ("2*sequence", {"sequence"}, 14),
        ("sequence // 2 - 1", {"sequence"}, 2),
        ("unk__12", {"unk__12"}, None),
        ("other + 1", {"other"}, None),
        ("past - sequence", {"past", "sequence"}, None),
        ("sequence // 0", {"sequence"}, None),
        ("floor(past/2)", {"floor(past/2)"}, None),
        ("__import__('os').getpid()", {"__import__('os').getpid()"}, None),
        ("-" * 5000 + "1", {"-" * 5000 + "1"}, None),
        ("", set(), None),
    ],
)
def test_a_size_is_a_name_or_arithmetic_of_names(dim: str, names: set[str], size: int | None) -> None:
    assert names_in(dim) == names
    assert evaluate(dim, {"sequence": 7, "past": 5}) == size


def test_a_value_for_the_whole_expression_goes_before_its_names() -> None:
    assert evaluate("past + 1", {"past": 5, "past + 1": 9}) == 9
