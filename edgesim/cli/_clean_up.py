"""The clean-up that a program hands over when its user does not wait for it: `edgesim gc` in the background."""

import os
import subprocess
import sys
from collections.abc import Sequence


def hand_over(arguments: Sequence[str]) -> bool:
    """Start `edgesim gc` as a process that outlives this one; return whether it was started.

    It sees as left behind what this process started as soon as this process has ended. Its session is its own: no
    Ctrl-C and no end of the terminal reaches it.

    Args:
        arguments: of the command that ends. Its engine is the one to clean up.
    """
    command = [sys.executable, "-m", "edgesim.cli", "gc", *_context(arguments)]
    # `-m` looks in the working directory first, which may have a directory of the same name.
    environment = os.environ | {"PYTHONSAFEPATH": "1"}
    try:
        subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return False
    return True


def _context(arguments: Sequence[str]) -> list[str]:
    """Return the option with the engine's context as a command has it, or nothing."""
    for number, word in enumerate(arguments):
        if word.startswith("--context="):
            return [word]
        if word == "--context":
            return list(arguments[number : number + 2])
    return []
