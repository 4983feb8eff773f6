"""Names of files that are made of names that users give, such as a model's."""

import hashlib
import re

_MOST_LETTERS = 100  # of one name: file systems take 255 in all


def part_of(name: str) -> str:
    """Return a name as a part of a file's name: ASCII letters, digits, ``.``, ``_`` and ``-``, at most 109 letters.

    Different names have different parts: a name that is cut, or has other letters, ends with digits of its SHA-256.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:_MOST_LETTERS]
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
