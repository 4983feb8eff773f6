"""Stacks: several services on one board."""

from edgesim.stack.run import run
from edgesim.stack.up import stack

__all__ = ["run", "stack"]
