"""How exact scaled runs are: their median and tail beside the device time, and a queue beside queueing theory.

``python -m benchmarks.scaled [BOARD …]`` takes these boards, or all bundled ones, with each of their targets.
"""

import itertools
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np

import edgesim
from edgesim import inputs, profiles
from edgesim.errors import HostTooSlow, ModelError, ProfileError
from edgesim.loadgen.client import Client
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import CPU, InputOptions
from edgesim.results.run_result import RunResult

MODELS = ("mobilenet_v2", "resnet18")
SHORTEST_MS, LONGEST_MS = 5.0, 5000.0
# The queue is measured on the pair nearest to this device time, so that its requests do not take hours.
QUEUE_MS = 25.0
QUEUE_REQUESTS, SINGLE_REQUESTS = 3000, 700
# Requests arrive at this part of the capacity.
LOAD = 0.7
SIDE_BY_SIDE_BOARD, SIDE_BY_SIDE_S = "jetson-nano", 8.0


class Case(NamedTuple):
    """A model on a target of a board."""

    board: str
    target: str
    model: str


def run(case: Case, *, qps: float | None = None, requests: int | None = None) -> RunResult | None:
    """Return the result of a scaled run, or None if this host is slower than the board."""
    try:
        return edgesim.run(case.board, case.model, execution="scaled", target=case.target, qps=qps, requests=requests)
    except HostTooSlow:
        return None


def latencies_ms(result: RunResult) -> np.ndarray:
    """Return the latencies of all requests, in milliseconds."""
    return np.array([sample.latency_ms for sample in result.samples])


def cases(boards: list[str]) -> dict[Case, float]:
    """Return the cases from `SHORTEST_MS` to `LONGEST_MS`, with their device times in ms."""
    device_times = {}
    for board, name in itertools.product(boards, MODELS):
        profile, model = profiles.load(board), repository.find(name)
        for target in profile.targets:
            try:
                time_ms = edgesim.predict(profile, model, target=target).request_ms
            except (ModelError, ProfileError) as error:
                print(f"{board}, {target}, {name}: {error.problem}", file=sys.stderr)
                continue
            if SHORTEST_MS <= time_ms <= LONGEST_MS:
                device_times[Case(board, target, name)] = time_ms
    return device_times


def row(case: Case, target_ms: float) -> tuple[str, float | None]:
    """Return a line of the table, and the error of the median in percent; None if this host is slower."""
    result = run(case)
    names = f"{case.board:<22}{case.target:<20}{case.model:<14}{target_ms:>8.1f}"
    if result is None:
        return f"{names}   this host is slower", None
    times = latencies_ms(result)
    p50 = float(np.median(times))
    error = 100 * (p50 / target_ms - 1)
    assert result.scaling is not None
    return (
        f"{names}{p50:>9.1f}{error:>+7.1f} %"
        f"{np.percentile(times, 99) / p50:>9.2f}{len(times):>10}"
        f"{100 * result.scaling.share:>9.1f} %{result.resources.cpu_percent_of_board:>7.0f} %"
    ), error


def queue(case: Case, target_ms: float) -> None:
    """Print the mean latency of Poisson arrivals, beside a queue with one server of constant service time (M/D/1)."""
    qps = LOAD * 1e3 / target_ms
    result = run(case, qps=round(qps, 4), requests=QUEUE_REQUESTS)
    assert result is not None, "this host was fast enough a minute ago"
    mean = latencies_ms(result).mean()
    theory = target_ms * (1 + LOAD / (2 * (1 - LOAD)))
    free = 0.0
    waits = []
    for due in sorted(sample.scheduled_ns / 1e6 for sample in result.samples):
        free = max(free, due) + target_ms
        waits.append(free - due)
    ideal = float(np.mean(waits))
    print(
        f"\n{case.board}, {case.model}: Poisson arrivals at {100 * LOAD:.0f} % of the capacity, {qps:.1f}/s,"
        f" mean of {len(waits)}"
    )
    print(f"  mean latency               {mean:9.1f} ms")
    print(f"  M/D/1                      {theory:9.1f} ms   {100 * (mean / theory - 1):+.1f} %")
    print(f"  these arrivals, served in  {ideal:9.1f} ms   {100 * (mean / ideal - 1):+.1f} %")
    print("  exactly the device time")


def side_by_side(board: str) -> None:
    """Print the median of each model alone, and of all at once; each client sends again when it has its answer."""
    with tempfile.TemporaryDirectory(prefix="edgesim-") as scratch:
        directory = Path(scratch)
        directory.chmod(0o755)  # the server is another user
        models = [repository.find(name) for name in MODELS]
        for model in models:
            shutil.copytree(model.path.parents[1], directory / model.name)
        print(f"\n{board}: models side by side, one client each, for {SIDE_BY_SIDE_S:g} s; p50 in ms")
        with edgesim.board(board, models=directory, execution="scaled") as started:
            url = started.device.direct_url
            alone = [medians_ms(url, [model])[0] for model in models]
            for model, alone_ms, together in zip(models, alone, medians_ms(url, models), strict=True):
                ratio = f"{together / alone_ms:.2f} times"
                print(f"  {model.name:<14} alone {alone_ms:8.1f}   together {together:8.1f}   {ratio}")


def medians_ms(url: str, models: Sequence[Model]) -> list[float]:
    """Return the median latency of each model, in milliseconds, while each has one client."""
    times: list[list[float]] = [[] for _ in models]
    until = time.monotonic() + SIDE_BY_SIDE_S

    def send(model: Model, into: list[float]) -> None:
        with closing(Client(url, model, timeout_s=60)) as peer:
            payload = peer.encode(inputs.choose(model, InputOptions()).requests[0])
            while time.monotonic() < until:
                begun = time.perf_counter()
                assert peer.infer(payload).outcome == "ok"
                into.append((time.perf_counter() - begun) * 1e3)

    threads = [threading.Thread(target=send, args=pair) for pair in zip(models, times, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [float(np.median(into)) for into in times]


def main() -> None:
    chosen = cases(sys.argv[1:] or profiles.names())
    print(f"{'board':<22}{'target':<20}{'model':<14}{'device':>8}{'p50':>9}{'error':>9}{'p99/p50':>9}", end="")
    print(f"{'requests':>10}{'share':>11}{'used':>9}")
    print(f"{'':<56}{'ms':>8}{'ms':>9}")
    errors = {}
    for case, target_ms in chosen.items():
        line, error = row(case, target_ms)
        print(line, flush=True)
        if error is not None:
            errors[case] = error
    within = sum(abs(error) <= 3 for error in errors.values())
    print(f"\nwithin 3 %: {within} of {len(errors)} cases")
    of_cpu = [case for case in errors if case.target == CPU]
    if not of_cpu:
        return
    case = min(of_cpu, key=lambda case: abs(chosen[case] - QUEUE_MS))
    single = run(case, requests=SINGLE_REQUESTS)
    assert single is not None, "this host was fast enough a minute ago"
    times = latencies_ms(single)
    print(f"\n{case.board}, {case.model}: single-stream, {len(times)} requests")
    print(f"  p99/p50                    {np.percentile(times, 99) / np.median(times):9.2f}")
    queue(case, chosen[case])
    side_by_side(SIDE_BY_SIDE_BOARD)


if __name__ == "__main__":
    main()
