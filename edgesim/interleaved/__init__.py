"""Two models in one job on one host: how they are named, how they take turns, and what its noise leaves to be seen."""

from edgesim.interleaved.job import Pair, default_execution, interleave

__all__ = ["Pair", "default_execution", "interleave"]
