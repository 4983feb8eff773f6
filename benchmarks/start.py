"""What a user waits for under emulation: process start, ready, first inference, and what is imported before ready."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from edgesim import profiles
from edgesim.engine import docker_engine, labels
from edgesim.images import serving_image
from edgesim.models import samples
from edgesim.progress import Stages

RUNS = 5
SHOWN = 12


def imports(reference: str) -> list[tuple[float, float, str]]:
    """Return the modules that the server imports before it reads its command line.

    Each module has its seconds with what it imports, its seconds alone, and its name.
    """
    emulation = profiles.load("jetson-nano").emulation
    assert emulation is not None
    command = [
        "docker",
        "run",
        "--rm",
        "--label",
        labels.LABEL,
        "--platform",
        "linux/arm64",
        "-e",
        f"QEMU_CPU={emulation.qemu_cpu}",
        "--entrypoint",
        "python3.11",
        reference,
        "-X",
        "importtime",
        "-c",
        "import edgesim_server.__main__",
    ]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()
    matches = (re.match(r"import time:\s+(\d+) \|\s+(\d+) \|(.*)", line) for line in lines)
    return [(int(match[2]) / 1e6, int(match[1]) / 1e6, match[3].strip()) for match in matches if match]


def lifecycles() -> list[dict[str, float]]:
    """Run the digits on an emulated board, several times, and return the seconds of each stage of each run."""
    edgesim = str(Path(sys.executable).parent / "edgesim")
    stages = []
    with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as scratch:
        for i in range(RUNS):
            path = Path(scratch) / f"{i}.json"
            command = [
                edgesim,
                "run",
                "jetson-nano",
                "digits",
                "--execution",
                "emulated",
                "--requests",
                "3",
                "-o",
                str(path),
            ]
            subprocess.run(command, check=True, capture_output=True)
            stages.append(json.loads(path.read_text())["lifecycle_s"])
    return stages


def main() -> None:
    samples.ensure("digits")
    reference = serving_image.build(docker_engine.Engine(), profiles.load("jetson-nano"), Stages()).reference
    runs = lifecycles()
    print(f"digits on jetson-nano, emulated, seconds: median of {RUNS} runs (least, most)")
    for stage in ("create", "ready", "model_load", "first_inference"):
        values = sorted(run[stage] for run in runs)
        print(f"  {stage:<18}{values[RUNS // 2]:>7.2f}   ({values[0]:.2f}, {values[-1]:.2f})")
    modules = sorted(imports(reference), reverse=True)
    print(f"imported before ready: {len(modules)} modules; the longest, with what they import (alone), seconds")
    for cumulative, own, name in modules[:SHOWN]:
        print(f"  {name:<48}{cumulative:>7.2f} ({own:.2f})")


if __name__ == "__main__":
    main()
