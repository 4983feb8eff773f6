"""The gate: results and rules → a verdict. It sees result files alone, and works where nothing can be run."""

from edgesim.gate.judge import judge
from edgesim.gate.rules import Rules

__all__ = ["Rules", "judge"]
