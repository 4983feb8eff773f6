"""A git repository with commits a day apart."""

import os
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.histories import BEGIN

Git = Callable[..., str]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of an empty git repository without a user, in which the test runs."""
    directory = tmp_path / "repository"
    directory.mkdir()
    for variable in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(variable, os.devnull)
    monkeypatch.chdir(directory)
    subprocess.run(["git", "init", "-q", "-b", "main"], check=True, cwd=directory)
    return directory


@pytest.fixture
def git(repository: Path) -> Git:
    """A function that calls git, in the name of somebody, on a day."""

    def called(*arguments: str, day: int = 0) -> str:
        date = (BEGIN + timedelta(days=day)).isoformat()
        identity = {f"GIT_{role}_{part}": "me" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
        dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        done = subprocess.run(
            ["git", *arguments],
            cwd=repository,
            env={**os.environ, **identity, **dates},
            capture_output=True,
            check=True,
        )
        return done.stdout.decode().strip()

    return called


@pytest.fixture
def commit(git: Git) -> Callable[[int], str]:
    """A function that makes a commit on a day, and returns its hash."""

    def made(day: int) -> str:
        git("commit", "-q", "--allow-empty", "-m", f"change {day}", day=day)
        return git("rev-parse", "HEAD")

    return made
