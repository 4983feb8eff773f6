"""Stacks: several services on one board."""

from edgesim.stacks.benchmark import run
from edgesim.stacks.up import stack

__all__ = ["run", "stack"]
