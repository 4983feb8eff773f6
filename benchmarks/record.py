"""Run benchmarks, and write their output into the documents: ``python -m benchmarks.record NAME …``.

A NAME may have arguments of the benchmark after it, in the same word: ``'soak 20'``.

The README or a page below docs/ holds a benchmark's last output between ``<!-- NAME -->`` and ``<!-- /NAME -->``.
"""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from edgesim.host import host_facts

ROOT = Path(__file__).parents[1]


def documents() -> list[Path]:
    """Return the README and all pages below docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def run(name: str) -> str:
    """Run a benchmark, show its output while it runs, and return the output."""
    lines = []
    command = [sys.executable, "-u", "-m", *f"benchmarks.{name}".split()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        raise SystemExit(process.returncode)
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def record(name: str, output: str) -> None:
    """Put a benchmark's output into every document that has a place for it."""
    machine = host_facts.describe(engine=None, emulator=None)
    when = datetime.now(UTC).date().isoformat()
    heading = f"`python -m benchmarks.{name}`, {when}, {machine.cores} cores of {machine.cpu}:"
    for document in documents():
        text = document.read_text()
        place = name.split()[0]
        begin, end = f"<!-- {place} -->\n", f"<!-- /{place} -->\n"
        # A table or a heading becomes part of the page; any other output is shown as it was printed.
        shown = output if output.startswith(("| ", "### ")) else f"```text\n{output}\n```"
        block = f"{begin}{heading}\n\n{shown}\n{end}"
        changed = re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _, b=block: b, text, flags=re.DOTALL)
        if changed != text:
            document.write_text(changed)


def main() -> None:
    for name in sys.argv[1:]:
        print(f"== {name}")
        record(name, run(name))


if __name__ == "__main__":
    main()
