"""The words of ``--set NAME=VALUE,…``, as the values of options."""

from collections.abc import Sequence
from typing import Any

from edgesim.cli import _run_options
from edgesim.cli._values import tolerance
from edgesim.errors import UsageError, did_you_mean
from edgesim.sweeps.plan import KNOWN

_WORDS = {"true": True, "false": False, "none": None, "null": None}


def parsed(words: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values of each option, by its name; a name that is repeated adds values.

    Raises:
        UsageError: a word is not NAME=VALUE, there is no such option, or a value is wrong.
    """
    settings: dict[str, list[Any]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not value:
            raise UsageError(f"--set {word}: not NAME=VALUE,…", fix="for example --set threads=1,4")
        if name not in KNOWN:
            raise UsageError(f"--set {word}: no such option{did_you_mean(name, KNOWN)}")
        settings.setdefault(name, []).extend(_values(name, value))
    return settings


def _values(name: str, text: str) -> list[Any]:
    """Return the values of a text: those between commas; of an option whose own value has commas, the one value."""
    if name == "tolerance":
        return [tolerance(text)]
    if _run_options.is_compound(name):
        return [_run_options.value_of(name, text)]
    return [_scalar(part.strip()) for part in text.split(",")]


def _scalar(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
