"""What changes between two releases of ONNX Runtime, in counted instructions by class: three models, both releases."""

import sys
import tempfile
from pathlib import Path

from benchmarks.counted_models import int8, transformer_block
from benchmarks.releases import grid_sample
from edgesim import profiles
from edgesim.errors import ExitCode
from edgesim.gates import Rules
from edgesim.jobs.paired_counts import count_pair
from edgesim.models import repository
from edgesim.options import RunOptions
from edgesim.results.run_result import RunResult

BOARD = "jetson-nano"
BASE, CANDIDATE = "1.24.4", "1.31.1"
RULE = "instructions: +1 %"
CLASSES = ("vector", "vector_memory", "scalar_memory", "branches", "scalar")


def by_class(result: RunResult) -> list[float]:
    """Return the millions of instructions of one inference, of all classes and of each of `CLASSES`."""
    assert result.instructions is not None
    count = result.instructions.inference
    assert count is not None
    return [figure / 1e6 for figure in (count.p50, *(count.by_class[name] for name in CLASSES))]


def main() -> int:
    print("| model | release | million instructions | " + " | ".join(name.replace("_", " ") for name in CLASSES) + " |")
    print("|---" * (3 + len(CLASSES)) + "|")
    words = []
    with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as scratch:
        directory = Path(scratch)
        block = transformer_block(directory / "transformer_block.onnx")
        grid_sample(directory / "grid_sample.onnx")
        sampled = repository.find(str(directory / "grid_sample.onnx"))
        for model in (block, int8(block, directory / "transformer_block_int8.onnx"), sampled):
            pair = count_pair(
                profiles.load(BOARD),
                model,
                model,
                Rules.of([RULE]),
                RunOptions(),
                base_runtime=BASE,
                cand_runtime=CANDIDATE,
            )
            rows = by_class(pair.base), by_class(pair.candidate)
            for release, row in zip((BASE, CANDIDATE), rows, strict=True):
                print(f"| {model.name} | {release} | " + " | ".join(f"{figure:.3f}" for figure in row) + " |")
            changes = (100 * (new / old - 1) if old else 0.0 for old, new in zip(*rows, strict=True))
            print(
                f"| {model.name} | change | " + " | ".join(f"{change:+.1f} %" for change in changes) + " |", flush=True
            )
            words.append(f"{model.name} {pair.verdict.word}")
    print(f"\nA gate with `{RULE}`: {', '.join(words)}.")
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
