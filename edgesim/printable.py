"""Text of strangers (names in models, profiles and results; other programs' messages) as it may be shown.

A terminal obeys escape sequences, and letters that turn the direction of writing make a name look like another one. A
CI log is a terminal, too, and obeys lines such as ``::error::`` (GitHub Actions), ``##[…]`` and ``##vso[…]`` (Azure
Pipelines). All these are written as JSON writes them, ``\\u001b``: visible, harmless, and within JSON the same text.
"""

import re

_LINE_BREAKS = re.compile(r"[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")
# Control characters, directions of writing, letters without width (but for the joiners that scripts and emoji need),
# lone surrogates (a file name that is not UTF-8), and tags; and how a log's commands begin.
_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]|(?:^|(?<=\\s)):(?=:[A-Za-z])|#(?=#(?:\\[|vso\\[))",
    re.MULTILINE,
)
# Of one line. Whoever writes a name of megabytes does not get a screenful.
_MOST_LETTERS = 1500


def printable(text: str) -> str:
    """Return text on one line, without what a terminal or a log would obey; the middle of a long text is left out."""
    return _shortened(harmless(_LINE_BREAKS.sub(" ", _shortened(text))))


def harmless(text: str) -> str:
    """Return text of any length in its own lines, without what a terminal or a log would obey."""
    return _HARMFUL.sub(_escape, text)


def _shortened(text: str) -> str:
    half = _MOST_LETTERS // 2
    return text if len(text) <= _MOST_LETTERS else f"{text[:half]} … {text[-half:]}"


def _escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
