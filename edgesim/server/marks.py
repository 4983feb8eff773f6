"""Marks for an emulator that counts instructions: where a load and an inference begin and end.

A mark is a system call that no kernel has. The emulator's plugin sees it (edgesim/counting/plugin.c); a kernel refuses
it, and nothing happens.
"""

from __future__ import annotations

import ctypes

LOAD_BEGINS, LOAD_ENDS, INFERENCE_BEGINS, INFERENCE_ENDS = 1, 2, 3, 4
_NUMBER = ctypes.c_long(0x65646765)
_KINDS = {kind: ctypes.c_long(kind) for kind in (LOAD_BEGINS, LOAD_ENDS, INFERENCE_BEGINS, INFERENCE_ENDS)}

_syscall = ctypes.CDLL(None).syscall


def mark(kind: int) -> None:
    """Tell the emulator that this moment has come."""
    _syscall(_NUMBER, _KINDS[kind])
