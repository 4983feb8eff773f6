"""Counts of the arm64 instructions that a program takes, from an emulator with a plugin that counts."""

from edgesim.counting.counter import Counter
from edgesim.counting.counts import Counts, InstructionCount
from edgesim.counting.emulator import CountingEmulator

__all__ = ["Counter", "CountingEmulator", "Counts", "InstructionCount"]
