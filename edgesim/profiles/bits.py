"""Boards with a 32-bit system, which edgesim has none of: said where somebody asks for one."""

import re
from typing import Any

# Names of 32-bit architectures, as Debian, Docker and the kernel spell them, and boards with 32-bit cores alone.
_WORDS = re.compile(
    r"(?<![a-z0-9])(?:armv[5-7]\w*|armhf|armel|arm32\w*|arm|i[3-6]86|x86|32[-_]?bits?|beaglebone\S*"
    r"|raspberry-?pi-?(?:1|2|zero(?:-w)?|\d-32))(?![a-z0-9]|_64|-2|-gateway)"
)
REASON = "ONNX Runtime has no packages for 32-bit systems (its wheels are for x86_64 and aarch64)"
FIX = "install the 64-bit system of the board, where its core has one, and take its profile: edgesim profiles list"


def names_32_bits(word: str) -> bool:
    """Return whether the name of a board or of an architecture stands for a 32-bit one."""
    return _WORDS.search(word.lower().replace("/", "-")) is not None


def require_64(architecture: Any) -> Any:
    """Return what a profile states as its architecture.

    Raises:
        ValueError: it is a 32-bit one; the error names the key of the profile, as pydantic's validators do here.
    """
    if isinstance(architecture, str) and names_32_bits(architecture):
        raise ValueError(f"architecture: {architecture} has 32 bits: {REASON}")
    return architecture
