"""Finding the emulator that counts."""

import hashlib
import os
import platform
import subprocess
from pathlib import Path

import pytest

from edgesim import paths
from edgesim.counting import emulator
from edgesim.errors import EmulatorMissing, ExitCode


def test_missing_emulator_names_the_script_that_makes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path))
    with pytest.raises(EmulatorMissing) as raised:
        emulator.find()
    script, *words = raised.value.fix.split()
    assert Path(script).is_file()
    assert words[0] == "build"
    assert raised.value.exit_code == 3


def test_emulator_is_found_where_the_script_has_put_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path))
    plain = emulator.PLUGIN.read_bytes() + paths.counting_emulator_script().read_bytes()
    made = tmp_path / "counting-emulator" / f"{platform.machine()}-{hashlib.sha256(plain).hexdigest()[:12]}"
    made.mkdir(parents=True)
    (made / "VERSION").write_text("10.0.2\n")
    done = subprocess.run([paths.counting_emulator_script(), "status"], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(made), done.stderr
    assert emulator.find() == emulator.CountingEmulator(made, "10.0.2")


@pytest.mark.parametrize(
    ("stubs", "words"),
    [
        ({"apt-get": "exit 0", "apt-cache": "exit 0"}, "no source package of QEMU 9.1 or newer in apt's sources"),
        ({"apt-get": "exit 100", "pkg-config": "exit 1"}, "which the build needs"),
    ],
)
def test_build_without_source_or_tools_ends_with_exit_code_3_and_says_why(
    tmp_path: Path, stubs: dict[str, str], words: str
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, body in {"sudo": 'exec "$@"', "gcc": "exit 0", "ninja": "exit 0", "xz": "exit 0", **stubs}.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    if "pkg-config" not in stubs:
        (programs / "pkg-config").symlink_to("/bin/true")
    environment = os.environ | {"EDGESIM_CACHE_DIR": str(tmp_path), "PATH": f"{programs}:{os.environ['PATH']}"}
    command = [str(paths.counting_emulator_script()), "build"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == ExitCode.HOST, done.stderr
    assert words in done.stderr
    assert list((tmp_path / "counting-emulator").glob("build.*")) == []


def test_command_begins_with_the_emulators_own_loader(tmp_path: Path) -> None:
    command = emulator.CountingEmulator(tmp_path, "10.0.2").command(("/usr/bin/python3", "-m", "server"))
    assert command[0] == "/run/edgesim-counting-emulator/loader"
    assert command[-3:] == ("/usr/bin/python3", "-m", "server")
