"""Name the instruction that ends the server because its core does not have it.

The kernel's SIGILL ends a process without saying which instruction it was. The handler here writes the instruction to
standard error, and then lets the process end as it would have.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
from typing import Any

# A64 encodings (Arm Architecture Reference Manual, DDI 0487, C4): mask, value, the extension's name in /proc/cpuinfo.
_EXTENSIONS = (
    (0x1E000000, 0x04000000, "sve"),
    (0xBFE0FC00, 0x0E809400, "asimddp"),  # SDOT (vector)
    (0xBFE0FC00, 0x2E809400, "asimddp"),  # UDOT (vector)
    (0xBFC0F400, 0x0F80E000, "asimddp"),  # SDOT (by element)
    (0xBFC0F400, 0x2F80E000, "asimddp"),  # UDOT (by element)
    (0xBFE0FC00, 0x0E80A400, "i8mm"),  # SMMLA, with USMMLA below
    (0xBFE0FC00, 0x2E80A400, "i8mm"),  # UMMLA
    (0xBFE0FC00, 0x2E40EC00, "bf16"),  # BFMMLA
    (0x9F60C400, 0x0E400400, "asimdhp"),  # three registers of half precision
    (0xBFFC0C00, 0x0E780800, "asimdhp"),  # two registers of half precision
    (0xFFE00C00, 0x1EE00800, "fphp"),  # arithmetic on one value of half precision
    (0xFFE03C00, 0x1EE02000, "fphp"),  # comparison
    (0x3F200C00, 0x38200000, "atomics"),  # LDADD and its like, SWP
    (0x3FA07C00, 0x08A07C00, "atomics"),  # CAS
    (0xBFA07C00, 0x08207C00, "atomics"),  # CASP
    (0xBF208C00, 0x2E008400, "asimdrdm"),  # SQRDMLAH, SQRDMLSH
)


def extension(word: int) -> str | None:
    """Return the extension of an A64 instruction, as /proc/cpuinfo names it; None if it is in none of the table."""
    return next((name for mask, value, name in _EXTENSIONS if word & mask == value), None)


class _Action(ctypes.Structure):
    """struct sigaction of 64-bit Linux with glibc."""

    _fields_ = [
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_ulong * 16),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    ]


_LIBC = ctypes.CDLL(None)
_SA_SIGINFO = 4
_SI_ADDR_OFFSET = 16  # of siginfo_t
_Handler = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


def _report(number: int, information: int, _: Any) -> None:
    address = ctypes.c_void_p.from_address(information + _SI_ADDR_OFFSET).value or 0
    word = ctypes.c_uint32.from_address(address).value
    name = extension(word)
    origin = f"of the extension {name}" if name is not None else "of an unknown extension"
    os.write(2, f"illegal instruction 0x{word:08x} {origin}: this core does not have it\n".encode())
    # The process returns to the same instruction, and with the default action dies of it. Python's signal.signal works
    # in the main thread alone, and this may be another one.
    _LIBC.signal(signal.SIGILL, 0)


_handler = _Handler(_report)  # a module variable, because the kernel calls it for as long as the process lives


def install_handler() -> None:
    """Have this process name the instruction that it dies of. Does nothing except on arm64, which the table is for."""
    if platform.machine() != "aarch64":
        return
    action = _Action(handler=ctypes.cast(_handler, ctypes.c_void_p).value, flags=_SA_SIGINFO)
    _LIBC.sigaction(signal.SIGILL, ctypes.byref(action), None)
