"""The README's sample: the report of its one command, shortened to what a reader needs first."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

EDGESIM = str(Path(sys.executable).parent / "edgesim")
COLUMNS = 108
# The facts of the report, the rows of its table of times, and its last word that are shown.
SHOWN = re.compile(r"(device time|answers|memory peak|ms|latency) {2,}|(IN)?VALID")


def shortened(report: str) -> Iterator[str]:
    """Yield the heading, and the entries that `SHOWN` matches, each with the lines that continue it."""
    heading, *lines = report.splitlines()
    yield heading
    is_shown = False
    for line in lines:
        if not line.startswith("   "):
            is_shown = SHOWN.match(line) is not None
        if is_shown and line.strip():
            yield line.rstrip()


def main() -> None:
    command = [EDGESIM, "run", "jetson-nano", "mobilenet_v2"]
    environment = os.environ | {"COLUMNS": str(COLUMNS)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    print("\n".join(shortened(done.stdout)))


if __name__ == "__main__":
    main()
