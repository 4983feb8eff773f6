"""The emulator that is registered, and whether edgesim can rely on it."""

import struct

import pytest

from edgesim.errors import (
    EmulatorLacksCore,
    EmulatorMissing,
    EmulatorStale,
    EmulatorTooOld,
    HostError,
)
from edgesim.host import emulator
from edgesim.host.emulator import Emulator


def test_a_core_that_the_emulator_lacks_is_refused_with_those_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Emulator("10.0.2", "/usr/bin/qemu", ("cortex-a57", "cortex-a76"))
    monkeypatch.setattr(emulator, "host_architecture", lambda: "amd64")
    monkeypatch.setattr(emulator, "probe", lambda: found)
    assert emulator.require("arm64", "cortex-a76") is found
    with pytest.raises(EmulatorLacksCore, match=r"no core 'cortex-a55'; it has cortex-a57, cortex-a76"):
        emulator.require("arm64", "cortex-a55")


QEMU_7, QEMU_10 = Emulator("7.2.13", "/usr/bin/qemu"), Emulator("10.0.2", "/usr/bin/qemu")


@pytest.mark.parametrize(
    ("running", "installed", "registered", "error", "fix"),
    [
        (None, None, False, EmulatorMissing, "install"),
        (None, "10.0.2", False, EmulatorMissing, "install"),
        (None, "10.0.2", True, EmulatorStale, "start"),
        (QEMU_7, "7.2.13", True, EmulatorTooOld, "install"),
        (QEMU_7, None, True, EmulatorTooOld, "install"),
        (QEMU_7, "10.0.2", True, EmulatorStale, "start"),
    ],
)
def test_an_emulator_that_cannot_be_relied_on_is_named_with_its_fix(
    running: Emulator | None, installed: str | None, registered: bool, error: type[HostError], fix: str
) -> None:
    with pytest.raises(error) as caught:
        emulator.judge("arm64", running=running, installed=installed, registered=registered)
    assert type(caught.value) is error
    assert f"scripts/engine {fix}" in caught.value.fix


def test_a_good_emulator_is_taken_even_if_another_is_installed() -> None:
    assert emulator.judge("arm64", running=QEMU_10, installed="10.1.0", registered=True) is QEMU_10


def test_what_is_not_emulated_is_refused() -> None:
    with pytest.raises(HostError, match="emulates arm64 boards"):
        emulator.judge("amd64", running=None, installed=None, registered=False)


def test_the_arm64_program_is_a_whole_elf_file() -> None:
    program = emulator.arm64_program()
    machine, entry = struct.unpack_from("<H", program, 18)[0], struct.unpack_from("<Q", program, 24)[0]
    assert program[:4] == b"\x7fELF"
    assert machine == 183, "EM_AARCH64"
    assert 0 < entry - 0x400000 < len(program)
