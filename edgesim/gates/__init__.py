"""Gates: rules applied to results give a verdict.

A gate reads result files only, so it works on a machine that cannot run a board.
"""

from edgesim.gates.judge import judge
from edgesim.gates.rules import Rules

__all__ = ["Rules", "judge"]
