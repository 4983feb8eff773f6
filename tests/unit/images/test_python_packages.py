"""The packages of the reference: which Python of this host gets them, and what is said where none does."""

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgesim.errors import PackagesUnavailable
from edgesim.images import python_packages, runtime_releases

fetch_for_this_host = python_packages.fetch_for_this_host  # before the fixture that keeps other tests from a network


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The commands of pip, which succeeds."""
    run: list[list[str]] = []

    def pip(command: list[str], **_: Any) -> Any:
        run.append(command)
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(subprocess, "run", pip)
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path))
    return run


def test_packages_of_a_release_are_fetched_once(commands: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", SimpleNamespace(major=3, minor=11))
    release = runtime_releases.choose("1.18.1")
    python, packages = fetch_for_this_host(release)
    assert (python, fetch_for_this_host(release)) == (sys.executable, (python, packages))
    assert len(commands) == 1
    assert commands[0][commands[0].index("--python-version") + 1] == "3.11"


def test_an_older_release_takes_an_older_python_of_this_host(
    commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", SimpleNamespace(major=3, minor=11))
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/python3.9" if name == "python3.9" else None)
    python, _ = fetch_for_this_host(runtime_releases.choose("1.11.1"))
    assert (python, commands[0][commands[0].index("--python-version") + 1]) == ("/usr/bin/python3.9", "3.9")


def test_a_host_without_a_fitting_python_is_told_which_one_fits(
    commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", SimpleNamespace(major=3, minor=11))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(PackagesUnavailable, match=r"wheels for Python 3\.7 to 3\.9, and this host has none") as raised:
        fetch_for_this_host(runtime_releases.choose("1.11.1"))
    assert (raised.value.fix, commands) == ("install python3.9 on this host", [])


def test_an_index_that_does_not_answer_leaves_nothing_in_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "version_info", SimpleNamespace(major=3, minor=11))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=1, stderr="no route to host"))
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path))
    with pytest.raises(PackagesUnavailable, match=r"packages of ONNX Runtime 1\.18\.1 for Python 3\.11 of this host"):
        fetch_for_this_host(runtime_releases.choose("1.18.1"))
    assert list((tmp_path / "packages").iterdir()) == []


def test_numpy_of_the_reference_is_the_one_that_the_release_was_built_against() -> None:
    older, newer = (runtime_releases.choose(version).requirements_of_reference for version in ("1.18.1", "1.19.2"))
    assert ("numpy<2" in older, "numpy>=2" in newer) == (True, True)
