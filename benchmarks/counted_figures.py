"""Whether counted instructions predict published times better than a model's graph does.

``python -m benchmarks.counted_figures --graphs DIR`` counts one inference of each model of ``published/latencies.csv``
that has figures of ONNX Runtime, from a directory of ``MODEL.onnx`` (the values of their weights do not matter), into
``published/counts.csv``: with one thread, on the core of the Raspberry Pi 5. Models that the file already has are left
out. Without ``--graphs`` the benchmark prints how well these counts predict the figures.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from benchmarks import csv_rows
from benchmarks.fidelity import PUBLISHED, errors_percent, judge
from edgesim import profiles
from edgesim.counting import emulator
from edgesim.counting.counter import Counter, between
from edgesim.counting.counts import Counts
from edgesim.engine.docker_engine import Engine
from edgesim.images import serving_image
from edgesim.predictions import fit
from edgesim.predictions.fit import RUNTIME, Figure
from edgesim.progress import Stages

BOARD = "raspberry-pi-5"
COUNTS = PUBLISHED / "counts.csv"
FIELDS = tuple(asdict(Counts()))


@dataclass(frozen=True, kw_only=True)
class CountRow:
    """The counts of one inference (see `Counts`) of a model with a square image of `input` pixels a side."""

    model: str
    input: int
    vector: int
    vector_memory: int
    scalar_memory: int
    branches: int
    scalar: int
    loaded_bytes: int
    stored_bytes: int


# Runs in the container: a load and inferences with marks, and then waits until the marks have been read.
PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from edgesim_server.config import ModelConfig
from edgesim_server.runtimes.marked import MarkedRuntime
session = MarkedRuntime().load(Path("/model.onnx"), ModelConfig(), content=None, threads=1, files_change=False)
(name,), size = session.inputs, int(sys.argv[1])
values = {name: np.random.default_rng(0).random((1, 3, size, size), np.float32)}
for _ in range(2):
    session.infer(values, list(session.outputs))
print("done", flush=True)
sys.stdin.read()
"""


def count(path: Path, size: int, image: str) -> list[Counts]:
    """Return the counts of the first and of the second inference of a model in a container."""
    counting = emulator.find()
    with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as name:
        directory = Path(name)
        directory.chmod(0o777)
        counter = Counter(directory)
        profile = profiles.load(BOARD)
        assert profile.emulation is not None
        environment = emulator.SAME_ENVIRONMENT | {"QEMU_CPU": profile.emulation.qemu_cpu}
        program, *arguments = counting.command(("/usr/bin/python3", "-c", PROGRAM, str(size)))
        command = ["docker", "run", "--rm", "--interactive", "--network=none", f"--entrypoint={program}"]
        command += [f"--env={key}={value}" for key, value in environment.items()]
        for source, target in (
            (counting.directory, f"{emulator.MOUNT_POINT}:ro"),
            (directory, emulator.SOCKET_DIRECTORY),
            (path, "/model.onnx:ro"),
        ):
            command.append(f"--volume={source}:{target}")
        with subprocess.Popen(
            [*command, image, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "done\n", "the container failed; see its words above"
            marks = counter.marks()
            process.communicate()
    return between(marks, "inference begins", "inference ends", of_all_threads=False)


def count_all(graphs: Path, figures: Sequence[Figure]) -> None:
    """Add the counts of the models that `COUNTS` does not have, of the second inference of each; small models first."""
    stages = Stages()
    work = {figure.model: figure for figure in figures}
    for model in sorted(work, key=lambda name: work[name].flops):
        if model in read():
            continue
        image = serving_image.build(Engine(), profiles.load(BOARD), stages)
        first, second = count(graphs / f"{model}.onnx", _sizes()[model], image.reference)
        change = second.instructions / first.instructions - 1
        print(
            f"{model}: {second.instructions:,} instructions, {100 * change:+.3f} % to the first inference", flush=True
        )
        csv_rows.append(COUNTS, CountRow(model=model, input=_sizes()[model], **asdict(second)))


def _sizes() -> Mapping[str, int]:
    with (PUBLISHED / "latencies.csv").open() as file:
        return {row["model"]: int(row["input"]) for row in csv.DictReader(file) if row["runtime"] == RUNTIME}


def read() -> Mapping[str, Counts]:
    """Return the counts of `COUNTS` by model."""
    rows = csv_rows.read(COUNTS, CountRow)
    return {row.model: Counts(*(getattr(row, field) for field in FIELDS)) for row in rows}


# What is put beside the time, in the order of the columns of a fit.
TERMS: Mapping[str, Callable[[Counts], Sequence[float]]] = {
    "instructions": lambda counts: [counts.instructions],
    "vector instructions": lambda counts: [counts.vector],
    "bytes": lambda counts: [counts.loaded_bytes + counts.stored_bytes],
    "vector and other instructions": lambda counts: [counts.vector, counts.instructions - counts.vector],
    "instructions and bytes": lambda counts: [counts.instructions, counts.loaded_bytes + counts.stored_bytes],
    "vector instructions and bytes": lambda counts: [counts.vector, counts.loaded_bytes + counts.stored_bytes],
}


def predicted(
    figures: Sequence[Figure], figure: Figure, terms: Callable[[Counts], Sequence[float]], counts: Mapping[str, Counts]
) -> float:
    """Predict `figure` in seconds from counts, by a fit to figures that do not have it.

    Each term takes a number of cycles that is the same on all boards; the cycles of one board are those of its clock on
    all threads. The fit is by least squares of the relative errors, with no factor below zero.
    """

    def cycles(other: Figure) -> np.ndarray:
        return np.array(terms(counts[other.model])) / (other.machine.clock_hz * other.machine.threads)

    own = [other for other in figures if other.board == figure.board]
    rows = own or figures
    matrix = np.array([cycles(other) / other.seconds for other in rows])
    factors, _ = nnls(matrix, np.ones(len(rows)))
    return float(factors @ cycles(figure))


def table(figures: Sequence[Figure]) -> Iterator[str]:
    """Yield a row for each way to predict: mean absolute errors of figures whose model, or board, is held out."""
    splits = {
        "each model on a board with others": fit.each_model(figures),
        "each board, with all its figures": fit.each_board(figures),
    }
    known = read()
    usable = [f for f in figures if f.runtime == RUNTIME and not f.weak and f.model in known]
    rows: dict[str, list[str]] = {}
    for groups in splits.values():
        graph = errors_percent([item for item in judge(figures, groups) if item.figure.model in known])
        for name, error in zip(("graph, six terms", "graph, operations", "graph, two terms"), graph, strict=True):
            rows.setdefault(name, []).append(f"{error:.1f} %")
        for name, terms in TERMS.items():
            errors = []
            for is_out in groups:
                rest = [other for other in usable if not is_out(other)]
                errors += [
                    abs(predicted(rest, out, terms, known) / out.seconds - 1) for out in usable if is_out(out) and rest
                ]
            rows.setdefault(f"counts, {name}", []).append(f"{100 * float(np.mean(errors)):.1f} %")
    yield f"| predicted from | {' | '.join(splits)} |"
    yield "|" + "---|" * (1 + len(splits))
    for name, cells in rows.items():
        yield f"| {name} | {' | '.join(cells)} |"


def table_of_counts(figures: Sequence[Figure]) -> Iterator[str]:
    """Yield a row for each model that was counted, with the cycles of an instruction on the Raspberry Pi 5."""
    yield "| model | million instructions | vector | MB loaded and stored | cycles of four cores an instruction |"
    yield "|---|---|---|---|---|"
    for model, counts in read().items():
        own = [f for f in figures if f.model == model and f.board == "Raspberry Pi 5" and f.runtime == RUNTIME]
        rates = [f.seconds * f.machine.clock_hz * f.machine.threads / counts.instructions for f in own]
        moved = (counts.loaded_bytes + counts.stored_bytes) / 1e6
        yield (
            f"| {model} | {counts.instructions / 1e6:,.1f} | {100 * counts.vector / counts.instructions:.0f} % |"
            f" {moved:,.0f} | {', '.join(f'{rate:.2f}' for rate in sorted(rates))} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graphs", type=Path, help="count the models of this directory first")
    arguments = parser.parse_args()
    figures = fit.read(PUBLISHED)
    if arguments.graphs is not None:
        count_all(arguments.graphs, [figure for figure in figures if figure.runtime == RUNTIME and not figure.weak])
    print("\n".join(table_of_counts(figures)))
    print()
    print("\n".join(table(figures)))


if __name__ == "__main__":
    sys.exit(main())
