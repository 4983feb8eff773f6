"""The gate: results and rules → a verdict. It sees result files alone, and works where nothing can be run."""

from edgesim.gates.judge import judge
from edgesim.gates.rules import Rules

__all__ = ["Rules", "judge"]
