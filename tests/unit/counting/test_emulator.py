"""Finding the emulator that counts."""

import hashlib
import platform
import subprocess
from pathlib import Path

import pytest

from edgesim import paths
from edgesim.counting import emulator
from edgesim.errors import EmulatorMissing


def test_missing_emulator_names_the_script_that_makes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path))
    with pytest.raises(EmulatorMissing) as raised:
        emulator.find()
    script, *words = raised.value.fix.split()
    assert Path(script).is_file()
    assert words[0] == "build"


def test_emulator_is_found_where_the_script_has_put_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path))
    plain = emulator.PLUGIN.read_bytes() + paths.counting_emulator_script().read_bytes()
    made = tmp_path / "counting-emulator" / f"{platform.machine()}-{hashlib.sha256(plain).hexdigest()[:12]}"
    made.mkdir(parents=True)
    (made / "VERSION").write_text("10.0.2\n")
    done = subprocess.run([paths.counting_emulator_script(), "status"], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(made), done.stderr
    assert emulator.find() == emulator.CountingEmulator(made, "10.0.2")


def test_command_begins_with_the_emulators_own_loader(tmp_path: Path) -> None:
    command = emulator.CountingEmulator(tmp_path, "10.0.2").command(("/usr/bin/python3", "-m", "server"))
    assert command[0] == "/run/edgesim-counting-emulator/loader"
    assert command[-3:] == ("/usr/bin/python3", "-m", "server")
