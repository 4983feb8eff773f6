"""How much counted instructions scatter, and which changes a gate on them finds.

``python -m benchmarks.instructions [--runs N] [--gates N]`` counts five models N times each, alone and beside two busy
programs; then judges pairs of models: the same one on both sides, and one with 1, 2 and 5 % more layers.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

import edgesim
from edgesim import profiles
from edgesim.errors import ExitCode
from edgesim.gates import Rules
from edgesim.jobs.paired_counts import count_pair
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import RunOptions

BOARD = "jetson-nano"
RULE = "instructions: +0.5 %"
# A hundred equal layers, so that one more is one percent.
LAYERS, MORE = 100, (0, 1, 2, 5)
NEIGHBOURS = 2


def layers(count: int, path: Path) -> Model:
    """Return a model of `count` equal convolutions, (1, 16, 16, 16) each."""
    generator = np.random.default_rng(0)
    nodes, weights, name = [], [], "x"
    for number in range(count):
        values = (generator.standard_normal((16, 16, 3, 3)) * 0.08).astype(np.float32)
        weights.append(numpy_helper.from_array(values, f"w{number}"))
        last = "y" if number == count - 1 else f"r{number}"
        nodes += [
            helper.make_node("Conv", [name, f"w{number}"], [f"c{number}"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", [f"c{number}"], [last]),
        ]
        name = last
    return _saved(nodes, weights, [1, 16, 16, 16], [1, 16, 16, 16], path)


def transformer_block(path: Path, tokens: int = 64, width: int = 128) -> Model:
    """Return one block of attention and two products, for (1, tokens, width)."""
    generator = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array((generator.standard_normal(shape) * 0.05).astype(np.float32), name)

    weights = [
        *(weight(name, width, width) for name in ("wq", "wk", "wv")),
        weight("w1", width, 4 * width),
        weight("w2", 4 * width, width),
        weight("scale", width),
        weight("bias", width),
    ]
    node = helper.make_node
    nodes = [
        node("LayerNormalization", ["x", "scale", "bias"], ["n"]),
        *(node("MatMul", ["n", f"w{each}"], [each]) for each in "qkv"),
        node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        node("MatMul", ["q", "kt"], ["scores"]),
        node("Softmax", ["scores"], ["attention"]),
        node("MatMul", ["attention", "v"], ["mixed"]),
        node("Add", ["x", "mixed"], ["r"]),
        node("MatMul", ["r", "w1"], ["h"]),
        node("Relu", ["h"], ["a"]),
        node("MatMul", ["a", "w2"], ["o"]),
        node("Add", ["r", "o"], ["y"]),
    ]
    return _saved(nodes, weights, [1, tokens, width], [1, tokens, width], path)


def _saved(
    nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto], given: list[int], gives: list[int], path: Path
) -> Model:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, path.stem, [value("x", TensorProto.FLOAT, given)], [value("y", TensorProto.FLOAT, gives)], weights
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return repository.find(str(path))


def int8(model: Model, path: Path) -> Model:
    """Return a model with its products quantized dynamically."""
    quantize_dynamic(str(model.path), str(path), weight_type=QuantType.QUInt8)
    return repository.find(str(path))


@contextmanager
def busy_neighbours() -> Iterator[None]:
    """Keep `NEIGHBOURS` programs busy while the block runs."""
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(NEIGHBOURS)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def medians(model: Model, runs: int) -> list[int]:
    """Return the median number of instructions of one inference, of each of `runs` containers."""
    found = []
    for _ in range(runs):
        section = edgesim.count(BOARD, model).instructions
        assert section is not None
        assert section.inference is not None
        found.append(section.inference.p50)
    return found


def spread(values: list[int]) -> float:
    """Return how far apart the smallest and the largest value are, in percent of the median."""
    return 100 * (max(values) - min(values)) / statistics.median(values)


def scatter(directory: Path, runs: int) -> None:
    """Print a row for each model."""
    block = transformer_block(directory / "transformer_block.onnx")
    models = [
        repository.find("digits"),
        block,
        int8(block, directory / "transformer_block_int8.onnx"),
        repository.find("mobilenet_v2"),
        repository.find("resnet18"),
    ]
    print(
        f"| model ({runs} containers each) | million instructions | apart, alone | apart, busy | median, busy / alone |"
    )
    print("|---|---|---|---|---|")
    for model in models:
        alone = medians(model, runs)
        with busy_neighbours():
            busy = medians(model, runs)
        change = 100 * (statistics.median(busy) / statistics.median(alone) - 1)
        millions = statistics.median(alone) / 1e6
        print(f"| {model.name} | {millions:.3f} | {spread(alone):.3f} % | {spread(busy):.3f} % | {change:+.3f} % |")


def gates(directory: Path, repeat: int) -> None:
    """Print a row for each number of layers that the candidate has more than the base."""
    board, base = profiles.load(BOARD), layers(LAYERS, directory / "layers.onnx")
    print(f"\n| layers more | PASS, FAIL, INCONCLUSIVE of {repeat} gates with `{RULE}` | median seconds to a verdict |")
    print("|---|---|---|")
    for more in MORE:
        candidate = layers(LAYERS + more, directory / f"layers_{more}_more.onnx")
        words, seconds = [], []
        for _ in range(repeat):
            begin_s = time.monotonic()
            words.append(count_pair(board, base, candidate, Rules.of([RULE]), RunOptions()).verdict.word)
            seconds.append(time.monotonic() - begin_s)
        tally = ", ".join(str(words.count(word)) for word in ("PASS", "FAIL", "INCONCLUSIVE"))
        print(f"| {100 * more / LAYERS:.0f} % | {tally} | {statistics.median(seconds):.0f} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--gates", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        scatter(Path(directory), arguments.runs)
        gates(Path(directory), arguments.gates)
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
