"""The emulator that is registered, and whether edgesim can rely on it."""

import errno
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgesim.errors import (
    EmulatorLacksCore,
    EmulatorMissing,
    EmulatorStale,
    EmulatorTooOld,
    HostError,
)
from edgesim.host import binfmt, emulator
from edgesim.host.binfmt import Registration
from edgesim.host.emulator import Emulator


def test_a_core_that_the_emulator_lacks_is_refused_with_those_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Emulator("10.0.2", "/usr/bin/qemu", ("cortex-a57", "cortex-a76"))
    monkeypatch.setattr(emulator, "host_architecture", lambda: "amd64")
    monkeypatch.setattr(emulator, "probe", lambda: (found, None))
    monkeypatch.setattr(binfmt, "registration", lambda _: None)
    assert emulator.require("arm64", "cortex-a76") is found
    with pytest.raises(EmulatorLacksCore, match=r"no core 'cortex-a55'; it has cortex-a57, cortex-a76"):
        emulator.require("arm64", "cortex-a55")


QEMU_7, QEMU_10 = Emulator("7.2.13", "/usr/bin/qemu"), Emulator("10.0.2", "/usr/bin/qemu")
PACKAGE = Registration(name="qemu-aarch64", interpreter="/usr/bin/qemu", flags="POF")
NO_FORMAT = OSError(errno.ENOEXEC, "Exec format error", "/proc/self/fd/3")


@pytest.mark.parametrize(
    ("running", "installed", "registration", "error", "fix"),
    [
        (None, None, None, EmulatorMissing, "install"),
        (None, "10.0.2", None, EmulatorMissing, "install"),
        (None, "10.0.2", PACKAGE, EmulatorStale, "start"),
        (QEMU_7, "7.2.13", PACKAGE, EmulatorTooOld, "install"),
        (QEMU_7, None, PACKAGE, EmulatorTooOld, "install"),
        (replace(QEMU_7, origin="replaced"), "10.0.2", PACKAGE, EmulatorStale, "start"),
        (QEMU_10, "10.0.2", replace(PACKAGE, flags="PO"), EmulatorMissing, "install"),
    ],
)
def test_an_emulator_that_cannot_be_relied_on_is_named_with_its_fix(
    running: Emulator | None,
    installed: str | None,
    registration: Registration | None,
    error: type[HostError],
    fix: str,
) -> None:
    with pytest.raises(error) as caught:
        emulator.judge("arm64", running=running, installed=installed, registration=registration, refusal=NO_FORMAT)
    assert type(caught.value) is error
    assert f"scripts/engine {fix}" in caught.value.fix


IMAGE_7 = Emulator("7.0.0", "/usr/bin/qemu-aarch64", origin="image")
BY_IMAGE = Registration(name="qemu-aarch64", interpreter="/usr/bin/qemu-aarch64", flags="POCF")


@pytest.mark.parametrize("installed", [None, "10.0.2"])
def test_old_emulator_that_an_image_registered_is_replaced_by_an_image(installed: str | None) -> None:
    with pytest.raises(EmulatorTooOld, match=r"QEMU 7\.0\.0, which a container image registered as /usr/bin") as caught:
        emulator.judge("arm64", running=IMAGE_7, installed=installed, registration=BY_IMAGE)
    assert "tonistiigi/binfmt --uninstall qemu-aarch64 && docker run" in caught.value.fix
    assert "docker/setup-qemu-action: image:" in caught.value.fix
    assert "scripts/engine" not in caught.value.fix


def test_registration_that_leads_to_no_program_is_shown() -> None:
    gone = FileNotFoundError(errno.ENOENT, "No such file or directory", "/proc/self/fd/3")
    with pytest.raises(EmulatorStale, match=r"points to no working QEMU .*/usr/bin/qemu-aarch64, flags POCF"):
        emulator.judge("arm64", running=None, installed=None, registration=BY_IMAGE, refusal=gone)


def test_registration_without_flag_f_serves_no_container() -> None:
    lacking = replace(BY_IMAGE, flags="")
    with pytest.raises(EmulatorMissing, match=r"none in containers: .*no flags\) lacks flag F"):
        emulator.judge("arm64", running=QEMU_10, installed="10.0.2", registration=lacking)


def test_emulator_that_is_switched_off_is_switched_on_again() -> None:
    with pytest.raises(EmulatorStale, match="switched off") as caught:
        emulator.judge("arm64", running=None, installed="10.0.2", registration=replace(PACKAGE, enabled=False))
    assert caught.value.fix == "echo 1 | sudo tee /proc/sys/fs/binfmt_misc/qemu-aarch64"


def test_host_that_runs_no_program_of_edgesims_is_no_host_without_an_emulator() -> None:
    denied = PermissionError(errno.EACCES, "Permission denied", "/tmp/edgesim-x/arm64-program")
    with pytest.raises(
        HostError, match=r"does not let edgesim run its own programs: Permission denied: /tmp/edgesim-x"
    ) as caught:
        emulator.judge("arm64", running=None, installed=None, registration=PACKAGE, refusal=denied)
    assert type(caught.value) is HostError
    assert "TMPDIR" in caught.value.fix


def test_a_good_emulator_is_taken_even_if_another_is_installed() -> None:
    assert emulator.judge("arm64", running=QEMU_10, installed="10.1.0", registration=PACKAGE) is QEMU_10
    assert emulator.judge("arm64", running=QEMU_10, installed=None, registration=None) is QEMU_10


def test_emulator_is_known_by_what_it_prints() -> None:
    found = emulator.reported("qemu-aarch64 version 9.2.2 (Debian)\n", "Available CPUs:\n  cortex-a53\n  max\n")
    assert found is not None
    assert (found.version, found.cores) == ("9.2.2", ("cortex-a53", "max"))
    assert emulator.reported("", "") is None


def test_what_is_not_emulated_is_refused() -> None:
    with pytest.raises(HostError, match="emulates arm64 boards"):
        emulator.judge("amd64", running=None, installed=None, registration=None)


def test_the_arm64_program_is_a_whole_elf_file() -> None:
    program = emulator.arm64_program()
    machine, entry = struct.unpack_from("<H", program, 18)[0], struct.unpack_from("<Q", program, 24)[0]
    assert program[:4] == b"\x7fELF"
    assert machine == 183, "EM_AARCH64"
    assert 0 < entry - 0x400000 < len(program)


# --- an emulator that stands before the command -----------------------------------------------------------------------


def elf(path: Path, *segments: int) -> Path:
    """Write the headers of a 64-bit ELF program with segments of these kinds."""
    header = b"\x7fELF\x02" + bytes(27) + struct.pack("<Q", 64) + bytes(14) + struct.pack("<HH", 56, len(segments))
    path.write_bytes(header.ljust(64, b"\0") + b"".join(struct.pack("<I", kind).ljust(56, b"\0") for kind in segments))
    return path


def test_program_that_needs_a_dynamic_linker_is_not_static(tmp_path: Path) -> None:
    assert emulator.is_static(elf(tmp_path / "static", 1, 6))
    assert not emulator.is_static(elf(tmp_path / "dynamic", 6, 3, 1))
    (tmp_path / "script").write_text("#!/bin/sh\n")
    assert not emulator.is_static(tmp_path / "script")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that installs a static QEMU of a version."""

    def install(version: str) -> Path:
        path = elf(tmp_path / "qemu-aarch64-static", 1)
        answers = {"--version": f"qemu-aarch64 version {version}", "-cpu": "Available CPUs:\n  cortex-a57\n"}
        monkeypatch.setattr(emulator, "_INSTALLED", (tmp_path / "missing", path))
        monkeypatch.setattr(emulator, "_output", lambda program, first, *rest: answers[first])
        return path

    return install


def test_static_emulator_is_found_with_its_version_and_cores(installed: Callable[[str], Path]) -> None:
    path = installed("10.0.2")
    assert emulator.require_static("cortex-a57") == Emulator("10.0.2", str(path), ("cortex-a57",))
    with pytest.raises(EmulatorLacksCore):
        emulator.require_static("cortex-a76")


def test_static_emulator_that_is_missing_or_too_old_is_refused(
    installed: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed("7.2.13")
    with pytest.raises(EmulatorTooOld, match=r"QEMU 7\.2\.13 crashes"):
        emulator.require_static()
    monkeypatch.setattr(emulator, "_INSTALLED", ())
    with pytest.raises(EmulatorMissing, match="no statically linked qemu-aarch64") as caught:
        emulator.require_static()
    assert "qemu-user-static" in caught.value.fix
