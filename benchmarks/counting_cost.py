"""What counting costs beside plain emulation: the server's start, and a request, of the same image."""

import statistics
import sys
import tempfile
from pathlib import Path

import edgesim
from benchmarks.counted_models import transformer_block
from edgesim.errors import ExitCode
from edgesim.models import repository
from edgesim.results.run_result import RunResult

BOARD = "jetson-nano"
RUNS = 3


def figures(results: list[RunResult]) -> tuple[float, float]:
    """Return the median seconds until the server is ready, and the median milliseconds of a request."""
    ready = statistics.median(result.lifecycle_s.ready or 0.0 for result in results)
    return ready, statistics.median(result.service_time_ms.p50 or 0.0 for result in results)


def main() -> int:
    print("| model | ready, emulated | ready, counted | request, emulated | request, counted |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as scratch:
        block = transformer_block(Path(scratch) / "transformer_block.onnx")
        for model in (repository.find("digits"), block):
            plain, counted = [], []
            for _ in range(RUNS):  # in turns, so that the host's other programs disturb both alike
                plain.append(edgesim.run(BOARD, model, execution="emulated", requests=3, duration_s=0.0, warmup=0))
                counted.append(edgesim.count(BOARD, model))
            (ready, request), (ready_counted, request_counted) = figures(plain), figures(counted)
            print(
                f"| {model.name} | {ready:.1f} s | {ready_counted / ready:.1f} times | {request:.0f} ms |"
                f" {request_counted / request:.1f} times |",
                flush=True,
            )
    print(f"\nCounting beside plain emulation of the same image, {RUNS} containers of each in turns.")
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
