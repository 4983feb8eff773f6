"""Bundles: their sizes, whether a second one has the same bytes, and what another machine makes of them.

``python -m benchmarks.bundles [--keep DIR]`` runs boards on this machine, bundles the results, with and without images,
and prints a table. With ``--keep``, the bundles with their images stay in DIR.

``PYTHON bundles.py --replay DIR``, as root on a machine that nobody else uses, takes down every network interface of
the machine, replays the bundles of DIR, and prints what edgesim prints. PYTHON is that of an environment with nothing
in it but edgesim's wheel; an engine must run (``scripts/engine``). This file needs nothing else of the project.
"""

import argparse
import filecmp
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

RUNS = (("jetson-nano", "digits", "emulated"), ("intel-n100", "mobilenet_v2", "same-architecture"))
REQUESTS = 20
# For a server that starts in an emulator within an emulator.
READY_S = 1800


def make(directory: Path) -> None:
    """Run, bundle twice with images and once without, and print a row for each run."""
    print("| board | model | model and result, KiB | with the image, MiB | a second bundle |")
    print("|---|---|---:|---:|---|")
    for board, model, execution in RUNS:
        result, path = directory / f"{board}.json", directory / f"{board}.edgesim.tar"
        again, small = directory / "again.tar", directory / "small.tar"
        load = ["--requests", str(REQUESTS), "--duration", "0", "--execution", execution]
        _edgesim("run", board, model, *load, "-o", str(result), allowed=(0, 5))
        for output, options in ((path, ["--with-image"]), (again, ["--with-image"]), (small, [])):
            _edgesim("bundle", str(result), "-o", str(output), *options)
        equal = "has the same bytes" if filecmp.cmp(path, again, shallow=False) else "DIFFERS"
        sizes = f"{small.stat().st_size / 2**10:,.0f} | {path.stat().st_size / 2**20:.1f}"
        print(f"| {board} | {model} | {sizes} | {equal} |", flush=True)
        for each in (again, small, result):
            each.unlink()


def replay(directory: Path) -> None:
    """Cut the machine off, and print the verdict on each bundle."""
    engine = _output("docker", "version", "--format", "{{.Server.Version}}")
    version = "2" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "1"
    print(f"the machine: {platform.freedesktop_os_release()['PRETTY_NAME']}, {platform.machine()},", end=" ")
    print(f"{os.cpu_count()} cores, control groups v{version}, Docker Engine {engine}")
    print(f"images in its engine before: {_output('docker', 'image', 'ls', '--quiet') or 'none'}")
    for interface in sorted(Path("/sys/class/net").iterdir()):
        if (interface / "device").exists():
            subprocess.run(["ip", "link", "set", interface.name, "down"], check=True)
    print(f"its routes: {_output('ip', 'route', 'show', 'default') or 'none leads out of it'}")
    for path in sorted(directory.glob("*.edgesim.tar"), reverse=True):
        begun = time.monotonic()
        words = ("replay", path.name, "--ready-timeout", str(READY_S))
        done = _edgesim(*words, allowed=(0, 1, 5, 6), where=directory)
        print(f"\n$ edgesim {' '.join(words)}\n\n{done.stdout.strip()}")
        print(f"\nexit code {done.returncode}, {time.monotonic() - begun:.0f} s", flush=True)


def _output(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def _edgesim(*words: str, allowed: Sequence[int] = (0,), where: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "edgesim.cli", *words], cwd=where, capture_output=True, text=True, check=False
    )
    if done.returncode not in allowed:
        raise SystemExit(f"edgesim {' '.join(words)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the bundles here")
    parser.add_argument("--replay", type=Path, metavar="DIR", help="replay these bundles, without network")
    arguments = parser.parse_args()
    if arguments.replay is not None:
        replay(arguments.replay)
        return
    with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as scratch:
        make(arguments.keep if arguments.keep is not None else Path(scratch))


if __name__ == "__main__":
    main()
