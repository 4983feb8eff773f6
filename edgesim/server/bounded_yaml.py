"""YAML of strangers: parsed with bounds on its size, its nesting and what its aliases stand for.

A few hundred bytes of aliases to aliases stand for gigabytes: whoever writes such a document out, or copies it, never
ends. Merges (``<<``) copy already while the document is parsed.
"""

from __future__ import annotations

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.constructor import ConstructorError, RoundTripConstructor, SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import ScalarNode

# A profile or a stack has some hundred values, ten kilobytes, and is four deep.
MOST_BYTES = 256 * 1024
_MOST_VALUES = 20_000
_DEEPEST = 50
_MOST_BITS = 64
_LETTERS = 64  # of a text that count as one value


def load(text: str, *, kind: str = "safe") -> Any:
    """Return the document of a YAML text.

    Args:
        kind: ``safe`` for plain values, ``rt`` for values that know their lines.

    Raises:
        YAMLError: the text is not YAML, or out of bounds. The message of `problem` says what is wrong.
    """
    if len(text) > MOST_BYTES:
        raise YAMLError(f"longer than {MOST_BYTES // 1024} KiB")
    yaml = YAML(typ=kind, pure=True)
    yaml.Composer, yaml.Constructor = _BoundedComposer, _CONSTRUCTORS[kind]
    try:
        return yaml.load(text)
    except YAMLError:
        raise
    except Exception as error:  # the parser has no other base class for what it stumbles over
        raise YAMLError(f"cannot be read: {error}") from error


def problem(error: YAMLError) -> str:
    """Return what is wrong with a text, and in which line, in one line."""
    mark = getattr(error, "problem_mark", None)
    text = getattr(error, "problem", None) or " ".join(str(error).split()) or "cannot be read"
    return f"line {mark.line + 1}: {text}" if mark is not None else str(text)


class _BoundedComposer(Composer):
    """Counts values as they are composed; an alias counts as all that it stands for, and a long text as several."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self._values = 0
        self._nested = 0
        self._values_in: dict[int, int] = {}  # by the identity of complete nodes, all of which the document keeps

    def compose_node(self, parent: Any, index: Any) -> Any:
        before, self._nested = self._values, self._nested + 1
        mark = self.parser.peek_event().start_mark
        if self._nested > _DEEPEST:
            raise ComposerError(None, None, f"nested deeper than {_DEEPEST}", mark)
        node = super().compose_node(parent, index)
        self._values += 1 + (len(node.value) // _LETTERS if isinstance(node, ScalarNode) else 0)
        if self._values > _MOST_VALUES:
            raise ComposerError(None, None, f"more than {_MOST_VALUES:,} values, those of aliases included", mark)
        self._values_in.setdefault(id(node), self._values - before)
        self._nested -= 1
        return node

    def return_alias(self, a: Any) -> Any:
        if id(a) not in self._values_in:
            raise ComposerError(None, None, "an alias within what it stands for", a.start_mark)
        self._values += self._values_in[id(a)]
        return a


class _MarkedErrors:
    """Names the line of a value that cannot be converted: dates, numbers, tags and keys are tried without looking."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)  # type: ignore[misc]  # of the constructor beside this class
            if isinstance(value, int) and value.bit_length() > _MOST_BITS:  # Python writes out no number of any size
                raise ValueError(f"a whole number of more than {_MOST_BITS} bits")
            if isinstance(value, str) and not value.isascii():
                value.encode()  # fails for half a pair of surrogates, which no file and no terminal takes
            return value
        except YAMLError:
            raise
        except Exception as error:  # ValueError, TypeError, OverflowError, AttributeError, …
            raise ConstructorError(None, None, f"a value cannot be read: {error}", node.start_mark) from error


class _SafeConstructor(_MarkedErrors, SafeConstructor):
    pass


class _RoundTripConstructor(_MarkedErrors, RoundTripConstructor):
    pass


_CONSTRUCTORS = {"safe": _SafeConstructor, "rt": _RoundTripConstructor}
