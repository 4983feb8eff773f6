"""Waiting for what comes to hold by itself."""

import time
import urllib.error
from collections.abc import Callable


def eventually(holds: Callable[[], object], *, timeout_s: float = 30) -> None:
    """Wait until `holds` returns a true value; a server that does not know its model yet may answer with an error."""
    until = time.monotonic() + timeout_s
    while True:
        try:
            if holds():
                return
        except urllib.error.HTTPError:
            pass
        assert time.monotonic() < until, f"does not hold after {timeout_s:g} s"
        time.sleep(0.02)
