"""git, called as a program."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path


def is_installed() -> bool:
    """Return whether there is a git to call."""
    return shutil.which("git") is not None


def git(
    directory: Path, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None
) -> tuple[bool, bytes]:
    """Run git; return whether it succeeded, and its stdout, or its stderr if it failed.

    Args:
        environment: variables beside those of this process.
    """
    done = subprocess.run(
        ["git", "-C", str(directory), *arguments],
        input=stdin,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        check=False,
    )
    return done.returncode == 0, done.stdout if done.returncode == 0 else done.stderr
