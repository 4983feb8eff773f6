"""Locales that a model needs of the system that runs it, such as for lower case in a StringNormalizer."""

import re

# As ONNX Runtime writes it: "Failed to construct locale with name:en_US.UTF-8:locale::facet::_S_create_c_locale name
# not valid:Please, install necessary language-pack-en and configure locales".
_MISSING = re.compile(r"[Ff]ailed to construct locale with name:\s*(?P<name>[^:\s]+)")


def missing(text: str) -> str | None:
    """Return the locale that ONNX Runtime did not find on its system, by its message or log; None for other text."""
    match = _MISSING.search(text)
    return match["name"] if match is not None else None
