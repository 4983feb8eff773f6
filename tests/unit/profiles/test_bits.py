"""Names that stand for 32-bit boards, and names that only look so."""

import re
from pathlib import Path

import pytest

from edgesim import profiles
from edgesim.errors import ProfileError
from edgesim.profiles import bits


@pytest.mark.parametrize(
    "word",
    [
        *("armv7", "armv7l", "armhf", "linux/arm/v7", "i386", "ARMv6"),
        *("raspberry-pi-zero", "raspberry-pi-2", "raspberry-pi-4-32", "raspberry-pi-3-32bit", "beaglebone-black"),
    ],
)
def test_name_of_a_32_bit_board_is_known(word: str) -> None:
    assert bits.names_32_bits(word)


@pytest.mark.parametrize("word", [*profiles.names(), "arm64", "aarch64", "x86_64", "amd64", "jetson-agx-orin-32gb"])
def test_name_of_a_64_bit_board_is_no_32_bit_one(word: str) -> None:
    assert not bits.names_32_bits(word)


def test_who_asks_for_a_32_bit_board_is_told_why_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="no packages for 32-bit systems") as caught:
        profiles.load("raspberry-pi-zero")
    assert "64-bit system" in caught.value.fix
    path = tmp_path / "old.yaml"
    text = (Path(__file__).parents[3] / "profiles" / "raspberry-pi-4.yaml").read_text()
    path.write_text(re.sub(r"^architecture: .*$", "architecture: armv7", text, flags=re.MULTILINE))
    with pytest.raises(ProfileError, match="architecture: armv7 has 32 bits"):
        profiles.load(str(path))
