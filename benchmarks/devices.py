"""The table of boards: for each bundled profile, probe its limits on this host, and run the digits on the board."""

import json
import subprocess
import sys
from typing import Any

from edgesim import profiles
from edgesim.host.emulator import host_architecture

COLUMNS = (
    "board",
    "limits proven here",
    "the emulated core beside the board's",
    "accuracy",
    "cold start",
    "peak memory",
    "processes' own",
)
SHORT = {
    "memory_bytes": "memory",
    "cpus": "CPU",
    "processes": "processes",
    "open_files": "open files",
    "read_bytes_per_s": "storage rate",
    "write_bytes_per_s": "storage write rate",
    "cpu_set": "CPU set",
    "network_rate_bytes_per_s": "network rate",
    "network_delay_ms": "network delay",
}


def edgesim(*arguments: str) -> Any:
    """Run a command and return its JSON; an exit code for an INVALID run does not matter here.

    Raises:
        RuntimeError: the command printed no JSON; with its error output.
    """
    command = [sys.executable, "-m", "edgesim.cli", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def row(name: str) -> list[str]:
    """Return the cells of one board."""
    findings = edgesim("doctor", "--probe", name)
    edgesim("build", name)  # the cold start then has no build in it
    # A board of this host's own architecture cannot be emulated.
    foreign = profiles.load(name).architecture != host_architecture()
    result = edgesim("run", name, "digits", *(("--execution", "emulated") if foreign else ()))
    device, lifecycle = result["device"], result["lifecycle_s"]
    proven = [SHORT[finding["name"]] for finding in findings if finding["holds"]]
    failed = [SHORT[finding["name"]] for finding in findings if finding["holds"] is False]
    differs = [f"- {' '.join(device['features_missing'])}"] if device["features_missing"] else []
    differs += [f"+ {' '.join(device['features_extra'])}"] if device["features_extra"] else []
    core = device["qemu_cpu"] or "native"
    start_s = lifecycle["create"] + lifecycle["start"] + lifecycle["ready"] + lifecycle["first_inference"]
    return [
        name,
        ", ".join(proven) + (f"; NOT {', '.join(failed)}" if failed else ""),
        f"{core}: {'; '.join(differs) or 'the same'}",
        f"{100 * result['agreement']['accuracy_device']:.2f} %",
        f"{start_s:.1f} s",
        f"{result['resources']['memory_peak_bytes'] / 2**20:.0f} MiB",
        f"{result['resources']['memory_anon_bytes'] / 2**20:.0f} MiB",
    ]


def main() -> None:
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * len(COLUMNS))
    for name in profiles.names():
        print("| " + " | ".join(row(name)) + " |", flush=True)


if __name__ == "__main__":
    main()
