"""The README's sample: the report of its one command, shortened to what a reader needs first."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

EDGESIM = str(Path(sys.executable).parent / "edgesim")
COLUMNS = 100
# The lines of the report that are shown, by how they begin; a line that is left out is neither marked nor replaced.
SHOWN = ("device time", "answers", "memory peak", "requests", "ms ", "latency", "VALID", "INVALID")


def shortened(report: str) -> Iterator[str]:
    """Yield the heading, and the lines that begin as `SHOWN` says, each with the lines that continue it."""
    heading, *lines = report.splitlines()
    yield heading
    is_shown = False
    for line in lines:
        if not line.startswith("   "):
            is_shown = line.strip().startswith(SHOWN)
        if is_shown and line.strip():
            yield from textwrap.wrap(line.rstrip(), COLUMNS, subsequent_indent=" " * 20)


def main() -> None:
    command = [EDGESIM, "run", "jetson-nano", "mobilenet_v2"]
    environment = os.environ | {"COLUMNS": str(COLUMNS)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    print("\n".join(shortened(done.stdout)))


if __name__ == "__main__":
    main()
