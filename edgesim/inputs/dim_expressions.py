"""Sizes that a model names: ``sequence``, or a sum of such names, as exporters write them: ``past + sequence``."""

import ast
import operator
import re
from collections.abc import Callable, Mapping

_OPERATIONS: Mapping[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
}
# A name that a stranger wrote is no program: what is longer or deeper is a name as it stands.
_MOST_LETTERS = 200
_PLAIN = re.compile(r"[\w.-]*")


def names_in(dim: str) -> frozenset[str]:
    """Return the names that a size consists of: the name itself, where it is no arithmetic of names and integers."""
    tree = _parse(dim)
    if tree is None:
        return frozenset({dim}) if dim else frozenset()
    return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))


def evaluate(dim: str, values: Mapping[str, int]) -> int | None:
    """Return the size that a name or an expression stands for; None where a name has no value, or the size is none."""
    if dim in values:
        return values[dim]
    tree = _parse(dim)
    if tree is None:
        return None
    try:
        size = _value(tree, values)
    except (KeyError, ZeroDivisionError, OverflowError):
        return None
    return size if size >= 0 else None


def _parse(dim: str) -> ast.expr | None:
    """Return the expression of a size that is arithmetic; None for a plain name and for anything else."""
    if len(dim) > _MOST_LETTERS or _PLAIN.fullmatch(dim):
        return None
    try:
        tree = ast.parse(dim.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree if _is_arithmetic(tree) else None


def _is_arithmetic(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return type(node.op) in _OPERATIONS and _is_arithmetic(node.left) and _is_arithmetic(node.right)
    return isinstance(node, ast.Name) or (isinstance(node, ast.Constant) and type(node.value) is int)


def _value(node: ast.expr, values: Mapping[str, int]) -> int:
    if isinstance(node, ast.BinOp):
        return _OPERATIONS[type(node.op)](_value(node.left, values), _value(node.right, values))
    if isinstance(node, ast.Name):
        return values[node.id]
    value = node.value if isinstance(node, ast.Constant) else None
    assert isinstance(value, int), "an expression is arithmetic"
    return value
