"""How long the stages of a first and of a second run take.

The benchmark has its own cache, so that "cold" is cold; the user's cache stays as it is.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EDGESIM = str(Path(sys.executable).parent / "edgesim")


def seconds(*arguments: str, cache: str) -> float:
    """Run an edgesim command with a cache directory, and return how long it took."""
    begun = time.monotonic()
    subprocess.run(
        [EDGESIM, *arguments], check=True, env=os.environ | {"EDGESIM_CACHE_DIR": cache}, stdout=subprocess.DEVNULL
    )
    return time.monotonic() - begun


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as cache:
        rows = [
            ("image, cold: base, packages and build", seconds("build", "jetson-nano", "--rebuild", cache=cache)),
            ("image, unchanged", seconds("build", "jetson-nano", cache=cache)),
            ("digits, first run", seconds("run", "jetson-nano", "digits", cache=cache)),
            ("digits, second run", seconds("run", "jetson-nano", "digits", cache=cache)),
            ("mobilenet_v2, first run", seconds("run", "jetson-nano", "mobilenet_v2", cache=cache)),
            ("mobilenet_v2, second run", seconds("run", "jetson-nano", "mobilenet_v2", cache=cache)),
        ]
    for name, took in rows:
        print(f"{name:<40} {took:6.1f} s")


if __name__ == "__main__":
    main()
