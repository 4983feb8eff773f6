"""The README's sample: the report of its one command, shortened to what a reader needs first."""

import re
from collections.abc import Iterator

from rich.console import Console

import edgesim
from edgesim.reports.formats import terminal

COLUMNS = 108
# The facts of the report, the rows of its table of times, and its last word that are shown.
SHOWN = re.compile(r"(device time|gpu:\S+|answers|memory peak|ms|latency) {2,}|(IN)?VALID")


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
    result = edgesim.run("jetson-nano", "mobilenet_v2")
    console = Console(width=COLUMNS, no_color=True, markup=False, highlight=False)
    with console.capture() as report:  # as on a terminal of this width
        console.print(terminal.render_result(result))
    print("\n".join(shortened(report.get())))


if __name__ == "__main__":
    main()
