"""Registrations of emulators, as the kernel shows them."""

from pathlib import Path

import pytest

from edgesim.host import binfmt
from edgesim.host.binfmt import Registration

MAGIC = "magic 7f454c460201010000000000000000000200b700"
MASK = "mask ffffffffffffff00fffffffffffffffffeffffff"
# A mask that looks at less of the header, as some set-ups register it.
LOOSE = "mask ffffffffffff00000000000000000000feffffff"
OTHER = "enabled\ninterpreter /usr/bin/qemu-arm\nflags: POF\noffset 0\nmagic 7f454c4601010100000000000000000002002800\n"
BY_SUFFIX = "enabled\ninterpreter /usr/bin/jexec\nflags: \nextension .jar\n"


def kernel(directory: Path, **files: str) -> Path:
    for name in ("register", "status"):
        (directory / name).write_text("enabled\n")
    for name, text in {"qemu-arm": OTHER, "jar": BY_SUFFIX, **files}.items():
        (directory / name.replace("_", "-")).write_text(text)
    return directory


@pytest.mark.parametrize("mask", [MASK, LOOSE])
def test_registration_is_found_by_the_header_that_it_matches(tmp_path: Path, mask: str) -> None:
    text = f"enabled\ninterpreter /usr/bin/qemu-aarch64\nflags: POCF\noffset 0\n{MAGIC}\n{mask}\n"
    found = binfmt.registration("arm64", kernel(tmp_path, by_hand=text))
    assert found == Registration(name="by-hand", interpreter="/usr/bin/qemu-aarch64", flags="POCF")
    assert found.reaches_containers
    assert str(found) == "by-hand: /usr/bin/qemu-aarch64, flags POCF"


def test_registration_without_flags_does_not_reach_containers(tmp_path: Path) -> None:
    text = f"disabled\ninterpreter /usr/bin/qemu-aarch64\nflags: \noffset 0\n{MAGIC}\n{MASK}\n"
    found = binfmt.registration("arm64", kernel(tmp_path, qemu_aarch64=text))
    assert found is not None
    assert (found.reaches_containers, found.enabled) == (False, False)


def test_host_without_a_registration_has_none(tmp_path: Path) -> None:
    assert binfmt.registration("arm64", kernel(tmp_path)) is None
    assert binfmt.registration("arm64", tmp_path / "not-mounted") is None
    assert binfmt.registration("riscv64", kernel(tmp_path)) is None
