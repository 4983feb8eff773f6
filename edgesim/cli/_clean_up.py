"""The clean-up that a program hands over when its user does not wait for it: `edgesim gc` in the background."""

import subprocess
from collections.abc import Sequence

from edgesim.host import own_modules


def hand_over(arguments: Sequence[str]) -> bool:
    """Start `edgesim gc` as a process that outlives this one; return whether it was started.

    It sees as left behind what this process started as soon as this process has ended. Its session is its own: no
    Ctrl-C and no end of the terminal reaches it.

    Args:
        arguments: of the command that ends. Its engine is the one to clean up.
    """
    try:
        subprocess.Popen(
            own_modules.command("edgesim.cli", "gc", *_context(arguments)),
            env=own_modules.environment(),
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
