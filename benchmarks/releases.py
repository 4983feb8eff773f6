"""What another release of the board's runtime costs, and whether a gate tells two releases apart.

``python -m benchmarks.releases`` builds the serving image with three releases, cold and warm, starts each on the
emulated board, and then sets releases against each other on a board of this host's architecture: one release
against itself, and two between which the kernel of GridSample became faster.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesim.errors import ExitCode

EDGESIM = str(Path(sys.executable).parent / "edgesim")
BOARD, GATE_BOARD = "jetson-nano", "x86-gateway"
RELEASES = ("1.16.3", "1.24.4", "1.31.1")
PAIRS = (("1.31.1", "1.31.1"), ("1.31.1", "1.24.4"))
RULE = "latency_ms.p50: +25 %"
STARTS = 5


def seconds(*arguments: str, cache: str) -> float:
    """Run an edgesim command with a cache directory, and return how long it took."""
    begin_s = time.monotonic()
    environment = os.environ | {"EDGESIM_CACHE_DIR": cache}
    subprocess.run([EDGESIM, *arguments], check=True, env=environment, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin_s


def ready_s(release: str, directory: Path) -> float:
    """Return the median seconds from the start of the emulated container until the server is ready."""
    path, ready = directory / "result.json", []
    for _ in range(STARTS):
        options = ("--execution", "emulated", "--requests", "3", "--runtime", release, "-o", str(path))
        subprocess.run([EDGESIM, "run", BOARD, "digits", *options], check=True, capture_output=True)
        ready.append(json.loads(path.read_text())["lifecycle_s"]["ready"])
    return statistics.median(ready)


def grid_sample(path: Path) -> None:
    """Save a model of one GridSample: (1, 16, 64, 64) sampled bilinearly at as many places."""
    size = 64
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)[None]
    value = helper.make_tensor_value_info
    shape = [1, 16, size, size]
    graph = helper.make_graph(
        [helper.make_node("GridSample", ["x", "grid"], ["y"], mode="bilinear")],
        path.stem,
        [value("x", TensorProto.FLOAT, shape)],
        [value("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(grid, "grid")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8), path)


def gate(model: Path, base: str, candidate: str) -> tuple[str, float]:
    """Set a candidate's release against the base's, and return the rule's line and the seconds to the verdict."""
    releases = ("--base-runtime", base, "--cand-runtime", candidate)
    begin_s = time.monotonic()
    command = [EDGESIM, "gate", *releases, GATE_BOARD, str(model), "--rule", RULE, "--json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    item = next(item for item in json.loads(done.stdout)["items"] if item["name"].startswith("latency_ms.p50"))
    return f"{item['verdict']}: {item['finding']}", time.monotonic() - begin_s


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as scratch:
        directory = Path(scratch)
        print("| release | image, cold | image, unchanged | ready, emulated |")
        print("|---|---|---|---|")
        for release in RELEASES:
            cold = seconds("build", BOARD, "--runtime", release, "--rebuild", cache=scratch)
            warm = seconds("build", BOARD, "--runtime", release, cache=scratch)
            print(f"| {release} | {cold:.1f} s | {warm:.1f} s | {ready_s(release, directory):.1f} s |", flush=True)
        model = directory / "grid_sample.onnx"
        grid_sample(model)
        print(f"\n| base, candidate (a model of one GridSample) | `{RULE}` | seconds |")
        print("|---|---|---|")
        for base, candidate in PAIRS:
            line, took = gate(model, base, candidate)
            print(f"| {base}, {candidate} | {line} | {took:.0f} |", flush=True)
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
