"""Write edgesim/predictions/published.csv: published times of networks on boards, recognised by their graphs.

``python -m benchmarks.published_figures --accelerators CSV --graphs DIR --cpu-graphs DIR`` reads a table of published
accelerator times (one row a figure, with its source), an index of graphs in DIR (``index.csv``: ``offline_graph``,
``model``, ``input_shape`` -> ``file``), the CPU's figures in published/latencies.csv, and their graphs. The values of
weights do not matter; no graph is part of the project. Only rows of the quality "strong" on boards with a profile are
taken.
"""

import argparse
import csv
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import onnx

from edgesim.predictions import graph, published

_PROFILES = {
    "Jetson Nano": "jetson-nano",
    "Jetson Nano 2GB": "jetson-nano-2gb",
    "Jetson TX2": "jetson-tx2",
    "Jetson Xavier NX": "jetson-xavier-nx",
    "Jetson AGX Xavier": "jetson-agx-xavier",
    "Jetson Orin Nano 8GB": "jetson-orin-nano",
    "Jetson Orin NX 16GB": "jetson-orin-nx-16gb",
    "Jetson AGX Orin 32GB": "jetson-agx-orin",
    "Jetson AGX Orin 64GB": "jetson-agx-orin-64gb",
    "Jetson AGX Orin": "jetson-agx-orin jetson-agx-orin-64gb",  # the source does not say which
    "Jetson AGX Thor": "jetson-agx-thor",
}
_CPU_PROFILES = {"Raspberry Pi 4B": "raspberry-pi-4", "Raspberry Pi 5": "raspberry-pi-5"}
# The graph at hand is only like the network of the figure, or lacks what the figure has.
_ALIKE = ("approximation", "no decode in graph", "published at batch")
_COLUMNS = tuple(published.PublishedFigure.__dataclass_fields__)


def accelerator_rows(table: Path, graphs: Path) -> Iterator[Mapping[str, object]]:
    """Yield the strong figures of TensorRT on boards with a profile."""
    with (graphs / "index.csv").open() as file:
        index = {(row["offline_graph"], row["model"], row["input_shape"]): row for row in csv.DictReader(file)}
    with table.open() as file:
        for row in csv.DictReader(file):
            profiles = _PROFILES.get(row["board"])
            if row["quality"] != "strong" or profiles is None or not row["runtime"].startswith("TensorRT"):
                continue
            known = index.get((row["offline_graph"], row["model"], row["input_shape"]), {})
            name, note = known.get("file", ""), known.get("note", "")
            shape = tuple(map(int, row["input_shape"].split("x")))
            batch = int(row["batch"])
            is_alike = any(word in note for word in _ALIKE)
            yield {
                "fingerprint": _fingerprint(graphs / name, (batch, *shape[1:])) if name and not is_alike else "",
                "profiles": profiles,
                "board": ", ".join(filter(None, (row["board"], row["module_variant"]))),
                "power_mode": row["power_mode"],
                "target": f"gpu:tensorrt-{row['precision']}",
                "runtime": row["runtime"],
                "release": row["runtime_version"],
                "model": row["model"],
                "family": row["family"],
                "graph": name.removesuffix(".onnx"),
                "input_shape": row["input_shape"],
                "batch": batch,
                "ms": f"{float(row['latency_ms'] or batch * float(row['ms_per_image'])):.6g}",
                "stat": row["stat"],
                "measure": row["measure"],
                "includes_io": row["includes_io"],
                "quality": row["quality"],
                "source": row["source"],
                "note": note,
            }


def cpu_rows(graphs: Path) -> Iterator[Mapping[str, object]]:
    """Yield the figures of ONNX Runtime on the cores of boards with a profile."""
    with (Path(__file__).parent / "published" / "latencies.csv").open() as file:
        for row in csv.DictReader(file):
            profile, path = _CPU_PROFILES.get(row["board"]), graphs / f"{row['model']}.onnx"
            if row["runtime"] != "onnxruntime" or profile is None or row["weak"] or not path.is_file():
                continue
            size = int(row["input"])
            yield {
                "fingerprint": _fingerprint(path, (1, 3, size, size)),
                "profiles": profile,
                "board": row["board"],
                "power_mode": "not stated",
                "target": "cpu",
                "runtime": f"ONNX Runtime, {row['threads']} threads",
                "release": row["release"],
                "model": row["model"],
                "family": re.split(r"\d", row["model"])[0],
                "graph": row["model"],
                "input_shape": f"1x3x{size}x{size}",
                "batch": 1,
                "ms": row["latency_ms"],
                "stat": "mean",
                "measure": "inference time",
                "includes_io": "no",
                "quality": "strong",
                "source": row["source"],
                "note": "",
            }


@cache
def _fingerprint(path: Path, shape: tuple[int, ...]) -> str:
    inputs = onnx.load(path, load_external_data=False).graph.input
    return published.fingerprint(graph.read(path, shapes={inputs[0].name: shape}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accelerators", type=Path, required=True)
    parser.add_argument("--graphs", type=Path, required=True)
    parser.add_argument("--cpu-graphs", type=Path, required=True)
    arguments = parser.parse_args()
    rows = [*accelerator_rows(arguments.accelerators, arguments.graphs), *cpu_rows(arguments.cpu_graphs)]
    with published.FILE.open("w", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows)} figures, {len({row['fingerprint'] for row in rows} - {''})} networks")


if __name__ == "__main__":
    main()
