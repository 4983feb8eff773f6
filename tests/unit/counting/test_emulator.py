"""Finding the emulator that counts."""

from pathlib import Path

import pytest

from edgesim.counting import emulator
from edgesim.errors import EmulatorMissing


def test_missing_emulator_names_the_script_that_makes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path))
    with pytest.raises(EmulatorMissing) as raised:
        emulator.find()
    script, *words = raised.value.fix.split()
    assert Path(script).is_file()
    assert words[0] == "build"


def test_command_begins_with_the_emulators_own_loader(tmp_path: Path) -> None:
    command = emulator.CountingEmulator(tmp_path, "10.0.2").command(("/usr/bin/python3", "-m", "server"))
    assert command[0] == "/run/edgesim-counting-emulator/loader"
    assert command[-3:] == ("/usr/bin/python3", "-m", "server")
