"""How often the gate is wrong, what change it measures, and how long it takes, on models with a known amount of work.

Each gate is `edgesim.jobs.paired.run_pair` with a rule of `latency_ms.p50`, most often the default +5 %, and fresh
servers in every round; gates share nothing. docs/evidence/gate.csv keeps the verdicts. The benchmark adds gates until
each cell of the table has its target, or for EDGESIM_GATE_SECONDS (0 adds none), and prints the table of all of them.
EDGESIM_GATE_ENGINES limits the new gates to some engines.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from scipy.stats import beta

from benchmarks import csv_rows
from edgesim.gates import Rules, paired_statistics
from edgesim.gates.result_metrics import per_container
from edgesim.gates.rules import DEFAULT_RULES
from edgesim.jobs.paired import run_pair
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import EngineName

VERDICTS = Path(__file__).parents[1] / "docs" / "evidence" / "gate.csv"
# Raise this when a change of the gate may change its verdicts; rows with another number are not counted.
PROTOCOL = 2
LAYERS, ROWS, WIDTH = 120, 16, 128
SLOWER = (5, 10, 20, 50)
SCALED_BOARD = "jetson-nano"
# One thread, so that the load generator has the other core.
BOARD = "name: gate-bench\nextends: x86-gateway\ncpu: {cores: 1}\n"
# Ends when the benchmark ends, even if the benchmark is killed.
_SPIN = "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"


class Cell(NamedTuple):
    """One row of the table.

    Attributes:
        neighbour: another program keeps the board's core busy.
        slower_percent: how much longer a request of the candidate takes, by the layers that are added.
        limit_percent: the bound of the rule.
        scaled: the board is scaled; otherwise native, or a process of this host.
    """

    engine: EngineName
    neighbour: bool
    slower_percent: int
    limit_percent: int = 5
    scaled: bool = False

    @property
    def engine_text(self) -> str:
        return f"{self.engine}, scaled" if self.scaled else self.engine

    @property
    def rule(self) -> str:
        return f"latency_ms.p50: +{self.limit_percent} %"


# How many gates each cell gets.
TARGETS: Mapping[Cell, int] = {
    Cell("local", False, 0): 300,
    Cell("local", True, 0): 300,
    Cell("local", False, 5): 20,
    Cell("local", False, 5, limit_percent=2): 20,
    Cell("local", False, 10): 100,
    Cell("local", False, 20): 50,
    Cell("local", False, 50): 50,
    **{Cell("docker", False, percent): 20 for percent in (0, *SLOWER)},
    **{Cell("docker", False, percent, scaled=True): 3 for percent in (0, 10)},
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One gate.

    Attributes:
        change_percent, scatter_percent: the measured change, and the scatter between rounds.
        host_load: the host's load average (1 minute) before the gate.
        ratios: candidate over base in each round, separated by spaces.
    """

    protocol: int
    when: str
    engine: str
    neighbour: bool
    slower_percent: int
    verdict: str
    rounds: int
    seconds: float
    change_percent: float
    scatter_percent: float
    host_load: float
    ratios: str
    limit_percent: int
    scaled: bool

    @property
    def cell(self) -> Cell:
        engine: EngineName = "docker" if self.engine == "docker" else "local"
        return Cell(engine, self.neighbour, self.slower_percent, self.limit_percent, self.scaled)


def chain(path: Path, layers: int) -> Model:
    """Write a model that is a chain of matrix products, each followed by a hyperbolic tangent."""
    generator = np.random.default_rng(0)
    names = [f"h{i}" for i in range(layers)] + ["y"]
    nodes = []
    for i in range(layers):
        nodes.append(helper.make_node("MatMul", ["x" if i == 0 else names[i], f"w{i % 4}"], [f"m{i}"]))
        nodes.append(helper.make_node("Tanh", [f"m{i}"], [names[i + 1]]))
    weights = [
        numpy_helper.from_array((generator.standard_normal((WIDTH, WIDTH)) / WIDTH**0.5).astype(np.float32), f"w{i}")
        for i in range(4)
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [ROWS, WIDTH]) for name in "xy")
    proto = helper.make_model(
        helper.make_graph(nodes, "chain", [x], [y], weights), opset_imports=[helper.make_opsetid("", 17)]
    )
    proto.ir_version = 8
    path.parent.mkdir(parents=True)
    onnx.save(proto, path)
    return repository.read(path, name="chain")


def models(scratch: Path, board: Path, engine: EngineName) -> Mapping[int, Model]:
    """Return the models by how many percent slower they are, for an engine that is not scaled.

    The time that one layer adds is measured first, by a model of twice as many layers: the protocol's share of a
    request does not grow with the layers, and is another through a container's network.
    """
    base, double = chain(scratch / "0" / "model.onnx", LAYERS), chain(scratch / "double" / "model.onnx", 2 * LAYERS)
    pair = run_pair(str(board), base, double, Rules.of(DEFAULT_RULES), engine=engine, max_rounds=8, all_rounds=True)
    layer = pair.verdict.items[-1].figures["change"] / LAYERS
    added = {percent: round(percent / 100 / layer) for percent in SLOWER}
    print(f"layers added for {engine}: {added} to {LAYERS}", file=sys.stderr)
    return {0: base} | {
        percent: chain(scratch / str(percent) / "model.onnx", LAYERS + more) for percent, more in added.items()
    }


def models_by_layers(scratch: Path) -> Mapping[int, Model]:
    """Return the same for a scaled board, whose time is predicted and so grows with the number of layers."""
    return {
        percent: chain(scratch / str(percent) / "model.onnx", LAYERS + round(LAYERS * percent / 100))
        for percent in (0, *SLOWER)
    }


@contextmanager
def neighbour(is_busy: bool) -> Iterator[None]:
    """Keep the first of the board's cores busy with another program."""
    if not is_busy:
        yield
        return
    core = sorted(os.sched_getaffinity(0))[1]
    process = subprocess.Popen([sys.executable, "-c", _SPIN], start_new_session=True)
    try:
        os.sched_setaffinity(process.pid, [core])
        yield
    finally:
        process.kill()
        process.wait()


def gate(cell: Cell, board: str, models_by_percent: Mapping[int, Model]) -> Row:
    """Run one gate."""
    base, candidate = models_by_percent[0], models_by_percent[cell.slower_percent]
    begun, load = time.monotonic(), os.getloadavg()[0]
    with neighbour(cell.neighbour):
        pair = run_pair(board, base, candidate, Rules.of([cell.rule]), engine=cell.engine)
    figures = pair.verdict.items[-1].figures
    sides = per_container(pair.base, "latency_ms.p50"), per_container(pair.candidate, "latency_ms.p50")
    ratios = " ".join(
        f"{candidate_ms / base_ms:.4f}"
        for base_ms, candidate_ms in zip(*sides, strict=True)
        if base_ms and candidate_ms
    )
    return Row(
        protocol=PROTOCOL,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        engine=cell.engine,
        neighbour=cell.neighbour,
        slower_percent=cell.slower_percent,
        verdict=pair.verdict.word,
        rounds=int(figures.get("rounds", 0)),
        seconds=round(time.monotonic() - begun, 2),
        change_percent=round(100 * figures.get("change", float("nan")), 2),
        scatter_percent=round(100 * figures.get("scatter", float("nan")), 2),
        host_load=round(load, 2),
        ratios=ratios,
        limit_percent=cell.limit_percent,
        scaled=cell.scaled,
    )


def rows_so_far() -> list[Row]:
    """Return the gates of this `PROTOCOL` that have run so far."""
    return [row for row in csv_rows.read(VERDICTS, Row) if row.protocol == PROTOCOL]


def next_cell(rows: list[Row], engines: list[str]) -> Cell | None:
    """Return the cell that has reached the smallest part of its target, or None; slow cells come after the others."""
    reached = {cell: sum(row.cell == cell for row in rows) / target for cell, target in TARGETS.items()}
    order = {
        cell: part * (3 if cell.engine == "docker" or cell.slower_percent == 5 else 1)
        for cell, part in reached.items()
        if part < 1 and cell.engine in engines
    }
    return min(order, key=lambda cell: order[cell]) if order else None


def run(seconds: float, engines: list[str]) -> None:
    """Run gates until every cell has its target, or for some seconds."""
    rows, until = rows_so_far(), time.monotonic() + seconds
    if next_cell(rows, engines) is None or seconds <= 0:
        return
    with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as scratch:
        board = Path(scratch) / "board.yaml"
        board.write_text(BOARD)
        made: dict[str, Mapping[int, Model]] = {}
        while (cell := next_cell(rows, engines)) is not None and time.monotonic() < until:
            name = cell.engine_text
            if name not in made:
                directory = Path(scratch) / name
                made[name] = models_by_layers(directory) if cell.scaled else models(directory, board, cell.engine)
            rows.append(gate(cell, SCALED_BOARD if cell.scaled else str(board), made[name]))
            csv_rows.append(VERDICTS, rows[-1])
            print(rows[-1], file=sys.stderr)


def at_most(count: int, of: int) -> float:
    """Return the upper 95 % confidence bound of a share (Clopper and Pearson 1934), in percent."""
    return 100.0 if count == of else float(100 * beta.ppf(0.95, count + 1, of - count))


def table(rows: list[Row]) -> Iterator[str]:
    """Yield the lines of the table of all cells, and a sentence about false FAILs."""
    yield "| engine | busy neighbour | work added | rule | gates | PASS | FAIL | undecided | found | rounds | seconds |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for cell, target in TARGETS.items():
        own = [row for row in rows if row.cell == cell]
        busy = "yes" if cell.neighbour else "no"
        begin = f"| {cell.engine_text} | {busy} | {cell.slower_percent} % | +{cell.limit_percent} %"
        begin += f" | {len(own)} of {target}"
        if not own:
            yield f"{begin} | | | | | | |"
            continue
        verdicts = [row.verdict for row in own]
        passed, failed = verdicts.count("PASS"), verdicts.count("FAIL")
        took, rounds = sorted(row.seconds for row in own), sorted(row.rounds for row in own)
        nine = int(0.9 * (len(own) - 1))
        change = statistics.median(row.change_percent for row in own)
        yield (
            f"{begin} | {passed} | {failed} | {len(own) - passed - failed} | {change:+.1f} % |"
            f" {statistics.median(rounds):g} ({rounds[nine]}) | {statistics.median(took):.1f} ({took[nine]:.1f}) |"
        )
    same = [row for row in rows if row.slower_percent == 0]
    if same:
        false = sum(row.verdict == "FAIL" for row in same)
        loads = sorted(row.host_load for row in rows)
        yield ""
        yield (
            f"False FAIL: {false} of {len(same)} gates of a model against itself; with 95 % confidence fewer than"
            f" {at_most(false, len(same)):.2g} %. The rules are of `latency_ms.p50`,"
            f" {paired_statistics.MOST_ROUNDS} rounds at most; found, rounds and seconds are medians, in brackets what"
            " nine gates in ten kept within. Other programs kept this host busy meanwhile:"
            f" a load of {loads[0]:.1f} to {loads[-1]:.1f}, median"
            f" {statistics.median(loads):.1f}, its own included."
        )


def main() -> None:
    engines = os.environ.get("EDGESIM_GATE_ENGINES", "local,docker").split(",")
    run(float(os.environ.get("EDGESIM_GATE_SECONDS", "inf")), engines)
    for line in table(rows_so_far()):
        print(line)


if __name__ == "__main__":
    main()
