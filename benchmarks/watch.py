"""How long it takes until a model that was written into a watched repository answers, natively and emulated."""

import json
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
from onnx import helper, numpy_helper

from benchmarks.servers import save
from edgesim.boards.serving import board
from edgesim.options import EngineName

SWAPS = 20


def put(repository: Path, factor: float) -> None:
    """Write the model ``y = factor * x`` into the repository, by an atomic replacement of the file."""
    with tempfile.TemporaryDirectory() as scratch:
        weight = numpy_helper.from_array(np.array(factor, np.float32), "factor")
        nodes = [helper.make_node("Mul", ["x", "factor"], ["y"])]
        made = save(Path(scratch) / "m" / "model.onnx", nodes, ([1], [1]), weight)
        target = repository / "m" / "1" / "model.onnx"
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_suffix(".new")
        beside.write_bytes(made.read_bytes())
        beside.replace(target)


def answer(url: str) -> float:
    """Return the model's output for 1, which is its factor."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [1], "data": [1.0]}
    body = json.dumps({"inputs": [tensor]}).encode()
    with urllib.request.urlopen(f"{url}/v2/models/m/infer", body) as response:
        return float(json.load(response)["outputs"][0]["data"][0])


def seconds(engine: EngineName) -> list[float]:
    """Return the seconds from each swap of the model to the first answer of the new model."""
    with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as scratch:
        repository = Path(scratch) / "models"
        put(repository, 0)
        with board("jetson-nano", models=repository, engine=engine, watch=True) as started:
            times = []
            for factor in range(1, SWAPS + 1):
                put(repository, factor)
                begun = time.monotonic()
                while answer(started.url) != factor:
                    time.sleep(0.01)
                times.append(time.monotonic() - begun)
        return times


def main() -> None:
    engines: list[tuple[EngineName, str]] = [("local", "natively"), ("docker", "jetson-nano, emulated")]
    print(f"from the file being there to the first answer of the new model, seconds, {SWAPS} swaps")
    for engine, name in engines:
        times = seconds(engine)
        print(f"  {name:<24}median {statistics.median(times):.2f}, longest {max(times):.2f}")


if __name__ == "__main__":
    main()
