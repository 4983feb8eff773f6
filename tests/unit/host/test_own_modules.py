"""Processes of edgesim's own: what they import is Python's and edgesim's, whatever directory the user is in."""

import re
import subprocess
from pathlib import Path

import edgesim
from edgesim.host import own_modules

SHADOWS = ("json", "numpy", "onnxruntime", "http", "ctypes", "sitecustomize", "edgesim")


def test_files_in_the_working_directory_are_not_taken_for_modules(tmp_path: Path) -> None:
    for name in SHADOWS:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a file of a stranger ran')\n")
    done = subprocess.run(
        own_modules.command("edgesim.server", "--help"),
        cwd=tmp_path,
        env=own_modules.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_process_of_this_python_is_kept_from_the_working_directory() -> None:
    calls = {
        str(path.relative_to(Path(edgesim.__file__).parent)): re.findall(r"\[\s*sys\.executable,\s*(\S+),", text)
        for path in Path(edgesim.__file__).parent.rglob("*.py")
        if "[sys.executable" in (text := path.read_text(encoding="utf-8"))
    }
    assert "host/own_modules.py" in calls
    assert {word for words in calls.values() for word in words} == {'"-P"'}, calls
