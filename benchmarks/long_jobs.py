"""Jobs that go on for long: ``python -m benchmarks.long_jobs [CELLS] [ROUNDS]``, by default 300 and 200.

A sweep of 300 cells, each a run in a container of its own, is killed once by SIGKILL in the middle and started again.
A gate compares a model with itself in 200 rounds, of two containers each. edgesim's own memory and open files are read
every two seconds, and have to stay as they are; nothing of it may be left on the engine.
"""

import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil

from benchmarks.soak import Readings
from edgesim.engine import docker_engine

_CELLS, _ROUNDS = 300, 200
_BOARD, _MODEL = "x86-gateway", "digits"
_EVERY_S = 2.0
# A cell and a round send as few requests as a run takes.
_SHORT = {"duration_s": "0.2", "warmup": "0"}
# The first quarter imports modules and fills caches.
_SETTLED = 0.25


def grown(values: Sequence[int]) -> int:
    """Return by how much the largest value of the last quarter is above that of the second."""
    quarter = max(int(len(values) * _SETTLED), 1)
    return max(values[-quarter:]) - max(values[quarter : 2 * quarter], default=values[0])


def watched(arguments: Sequence[str], *, kill_when: Callable[[], bool] = lambda: False) -> tuple[Readings, int, str]:
    """Run edgesim, and read its memory and open files meanwhile; return these, the exit code and the output.

    Args:
        kill_when: asked at each reading; True ends edgesim by SIGKILL.
    """
    readings, begun_s = Readings(), time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        command = [sys.executable, "-m", "edgesim.cli", *arguments]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
        reader = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                readings.take(reader, begun_s)
            except psutil.Error:  # it ends at this moment
                break
            if kill_when():
                process.kill()
            time.sleep(_EVERY_S)
        code = process.wait()
        output.seek(0)
        return readings, code, output.read()


def sweep(cells: int) -> Iterator[str]:
    """Yield the rows of a sweep that is killed in the middle and started again."""
    with tempfile.TemporaryDirectory(prefix="long-jobs-") as scratch:
        results = Path(scratch)
        options = [word for name, value in _SHORT.items() for word in ("--set", f"{name}={value}")]
        seeds = ",".join(map(str, range(cells)))
        arguments = ["sweep", "--profile", _BOARD, "--model", _MODEL, "--set", "job=run", "--set", f"seed={seeds}"]
        arguments += [*options, "--json", "-o", str(results)]

        def done() -> int:
            return len(list((results / "cells").glob("*.result.json")))

        first, code, _ = watched(arguments, kill_when=lambda: done() >= cells // 2)
        kept = done()
        yield _row("sweep until SIGKILL", f"{kept} of {cells} cells kept", code, first)
        subprocess.run([sys.executable, "-m", "edgesim.cli", "gc"], check=False, stdout=subprocess.DEVNULL)
        second, code, printed = watched(arguments)
        cell_results = json.loads(printed)["cells"]
        errors = sum("error" in cell and cell["error"] is not None for cell in cell_results)
        yield _row("sweep, started again", f"{len(cell_results)} cells, {errors} with an error", code, second)


def gate(rounds: int) -> Iterator[str]:
    """Yield the row of a gate whose rule no number of rounds decides."""
    rule = "latency_ms.p50: +0 %"
    arguments = ["gate", "--base", _MODEL, "--cand", _MODEL, _BOARD, "--rule", rule, "--max-rounds", str(rounds)]
    readings, code, printed = watched([*arguments, "--json"])
    verdict = json.loads(printed)
    (item,) = (item for item in verdict["items"] if item["name"] == rule)
    yield _row("gate", f"{item['figures']['rounds']:.0f} rounds, {verdict['verdict']}", code, readings)


def _row(job: str, what: str, code: int, readings: Readings) -> str:
    memory, files = readings.memory_bytes, readings.files
    return (
        f"| {job} | {what} | {code} | {readings.seconds[-1] / 60:.1f} | {max(memory) / 2**20:.1f} |"
        f" {grown(memory) / 2**20:+.1f} | {max(files)} | {grown(files):+d} |"
    )


def main() -> None:
    cells, rounds = (int(word) for word in (*sys.argv[1:], str(_CELLS), str(_ROUNDS))[:2])
    before = set(docker_engine.Engine().abandoned())
    print("| job | what was done | exit code | minutes | memory, MiB | grown | open files | grown |")
    print("|---|---|---|---|---|---|---|---|")
    for row in itertools.chain(sweep(cells), gate(rounds)):
        print(row, flush=True)
    left = sorted(set(docker_engine.Engine().abandoned()) - before)
    print(f"\nLeft on the engine afterwards: {', '.join(left) or 'nothing'}.")


if __name__ == "__main__":
    main()
