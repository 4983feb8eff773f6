"""Scaled runs held against what they are to be: the device time, a steady one, and queueing theory.

``python -m benchmarks.scaled [BOARD …]``: all boards that come along, or these.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

import edgesim
from edgesim import profiles
from edgesim.errors import ModelError, ProfileError
from edgesim.loadgen import inputs
from edgesim.loadgen.client import Client
from edgesim.models import repository as model
from edgesim.models.repository import Model
from edgesim.options import InputOptions
from edgesim.predictions import predict

MODELS = ("mobilenet_v2", "resnet18")
SHORTEST_MS, LONGEST_MS = 5.0, 5000.0
# Of the pair for the queue, so that its requests do not take all day.
QUEUE_MS = 25.0
QUEUE_REQUESTS, SINGLE_REQUESTS = 3000, 700
LOAD = 0.7
SIDE_BY_SIDE_BOARD, SIDE_BY_SIDE_S = "jetson-nano", 8.0


def run(board: str, name: str, *options: str) -> dict[str, Any] | None:
    """The result of a scaled run; None where this host is slower than the board."""
    with tempfile.TemporaryDirectory(prefix="edgesim-") as directory:
        path = Path(directory) / "r.json"
        command = [sys.executable, "-m", "edgesim.cli", "run", board, name, "--execution", "scaled", "-o", str(path)]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        if path.exists():
            document: dict[str, Any] = json.loads(path.read_text())
            return document
        if "it cannot be slowed down to that" in done.stderr:
            return None
        raise RuntimeError(done.stderr)


def times(result: dict[str, Any]) -> np.ndarray:
    """Latencies in milliseconds."""
    return np.array([(sample["done_ns"] - sample["scheduled_ns"]) / 1e6 for sample in result["samples"]])


def pairs(boards: list[str]) -> dict[tuple[str, str], float]:
    """Boards and models whose device time lies in the range that is looked at, with that time."""
    found = {}
    for board in boards:
        for name in MODELS:
            try:
                time_ms = predict(profiles.load(board), model.find(name)).p50_ms
            except (ModelError, ProfileError) as error:
                print(f"{board}, {name}: {error.problem}", file=sys.stderr)
                continue
            if SHORTEST_MS <= time_ms <= LONGEST_MS:
                found[board, name] = time_ms
    return found


def row(board: str, name: str, target_ms: float) -> tuple[str, float | None]:
    """A line of the table, and the error of the median in percent."""
    result = run(board, name)
    if result is None:
        return f"{board:<21}{name:<14}{target_ms:>9.1f}   this host is slower", None
    found = times(result)
    error = 100 * (np.median(found) / target_ms - 1)
    scaling, used = result["scaling"], result["resources"]
    return (
        f"{board:<21}{name:<14}{target_ms:>9.1f}{np.median(found):>9.1f}{error:>+7.1f} %"
        f"{np.percentile(found, 99) / np.median(found):>9.2f}{len(found):>10}"
        f"{100 * scaling['share']:>9.1f} %{used['cpu_percent_of_board']:>7.0f} %"
    ), error


def queue(board: str, name: str, target_ms: float) -> None:
    """Poisson arrivals beside the theory of a queue with one server that always takes the same time (M/D/1)."""
    qps = LOAD * 1e3 / target_ms
    result = run(board, name, "--qps", f"{qps:.4f}", "--requests", str(QUEUE_REQUESTS))
    assert result is not None, "it was fast enough a minute ago"
    mean = times(result).mean()
    theory = target_ms * (1 + LOAD / (2 * (1 - LOAD)))
    free = 0.0
    waits = []
    for due in sorted(sample["scheduled_ns"] / 1e6 for sample in result["samples"]):
        free = max(free, due) + target_ms
        waits.append(free - due)
    ideal = float(np.mean(waits))
    print(
        f"\n{board}, {name}: Poisson arrivals at {100 * LOAD:.0f} % of the capacity, {qps:.1f}/s, mean of {len(waits)}"
    )
    print(f"  mean latency               {mean:9.1f} ms")
    print(f"  M/D/1                      {theory:9.1f} ms   {100 * (mean / theory - 1):+.1f} %")
    print(f"  these arrivals, served in  {ideal:9.1f} ms   {100 * (mean / ideal - 1):+.1f} %")
    print("  exactly the device time")


def side_by_side(board: str) -> None:
    """Each model alone, then all at once, by clients that ask again when they are answered."""
    with tempfile.TemporaryDirectory(prefix="edgesim-") as directory:
        repository = Path(directory)
        repository.chmod(0o755)  # the server is another user
        served = [model.find(name) for name in MODELS]
        for subject in served:
            shutil.copytree(subject.path.parents[1], repository / subject.name)
        print(f"\n{board}: models side by side, one client each, for {SIDE_BY_SIDE_S:g} s; p50 in ms")
        with edgesim.board(board, models=repository, execution="scaled") as started:
            url = started.device.direct_url
            alone = [asked(url, [subject])[0] for subject in served]
            for subject, apart, together in zip(served, alone, asked(url, served), strict=True):
                ratio = f"{together / apart:.2f} times"
                print(f"  {subject.name:<14} alone {apart:8.1f}   together {together:8.1f}   {ratio}")


def asked(url: str, models: Sequence[Model]) -> list[float]:
    """The median of each model's times while all are asked."""
    found: list[list[float]] = [[] for _ in models]
    until = time.monotonic() + SIDE_BY_SIDE_S

    def ask(subject: Model, into: list[float]) -> None:
        with closing(Client(url, subject, timeout_s=60)) as peer:
            payload = peer.encode(inputs.choose(subject, InputOptions()).requests[0])
            while time.monotonic() < until:
                begun = time.perf_counter()
                assert peer.infer(payload).outcome == "ok"
                into.append((time.perf_counter() - begun) * 1e3)

    threads = [threading.Thread(target=ask, args=pair) for pair in zip(models, found, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [float(np.median(into)) for into in found]


def main() -> None:
    chosen = pairs(sys.argv[1:] or profiles.names())
    print(f"{'board':<21}{'model':<14}{'device':>9}{'p50':>9}{'error':>9}{'p99/p50':>9}{'requests':>10}", end="")
    print(f"{'share':>11}{'used':>9}")
    print(f"{'':<35}{'ms':>9}{'ms':>9}")
    errors = {}
    for (board, name), target_ms in chosen.items():
        line, error = row(board, name, target_ms)
        print(line, flush=True)
        if error is not None:
            errors[board, name] = error
    within = sum(abs(error) <= 3 for error in errors.values())
    print(f"\nwithin 3 %: {within} of {len(errors)} pairs")
    if not errors:
        return
    pair = min(errors, key=lambda pair: abs(chosen[pair] - QUEUE_MS))
    single = run(*pair, "--requests", str(SINGLE_REQUESTS))
    assert single is not None, "it was fast enough a minute ago"
    found = times(single)
    print(f"\n{', '.join(pair)}: single-stream, {len(found)} requests")
    print(f"  p99/p50                    {np.percentile(found, 99) / np.median(found):9.2f}")
    queue(*pair, chosen[pair])
    side_by_side(SIDE_BY_SIDE_BOARD)


if __name__ == "__main__":
    main()
