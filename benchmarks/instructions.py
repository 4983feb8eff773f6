"""How much counted instructions scatter, and which changes a gate on them finds.

``python -m benchmarks.instructions [--runs N] [--gates N] [--minutes M]`` counts five models N times each, with the
host as it is and beside two busy programs, and judges pairs of models: the same one on both sides, and one with 1, 2
and 5 % more layers. docs/evidence/counts.csv and count_gates.csv keep each count and gate: the benchmark goes on where
it was interrupted, and prints the tables of all of them. Several of it may run at once.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import edgesim
from benchmarks import csv_rows
from benchmarks.counted_models import int8, layers, transformer_block
from edgesim import profiles
from edgesim.errors import ExitCode
from edgesim.gates import Rules, judge
from edgesim.jobs.paired_counts import count_pair
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import RunOptions
from tests.support.results import counted

EVIDENCE = Path(__file__).parents[1] / "docs" / "evidence"
COUNTS, GATES = EVIDENCE / "counts.csv", EVIDENCE / "count_gates.csv"
# Raise this when a change of the counter may change its counts. Rows with a lower number are read where they hold:
# 2 has the marks inside ONNX Runtime's Python class, which is 9,000 instructions fewer for each inference.
PROTOCOL = 2
HOLDS_SINCE = {"mobilenet_v2": 1, "resnet18": 1}
GATES_HOLD_SINCE = 1
BOARD = "jetson-nano"
RULES = ("instructions: +0.5 %", "instructions: +1 %")
# A hundred equal layers, so that one more is one percent.
LAYERS, MORE = 100, (0, 1, 2, 5)
NEIGHBOURS = 2
# Gates of a model against itself: how many for each gate of other models, and how many with the resampled ones.
SAME, IN_ALL = 3, 300


@dataclass(frozen=True, kw_only=True)
class CountRow:
    """The count of one container.

    Attributes:
        busy: two programs of the benchmark kept the host's cores busy.
        p50, low, high: the median number of instructions of one inference, and its interval.
        load, start: the instructions of the model's load, and of the server's start.
        host_load: the host's load average (1 minute) after the count.
    """

    protocol: int
    when: str
    model: str
    busy: bool
    p50: int
    low: int
    high: int
    load: int
    start: int
    seconds: float
    host_load: float


@dataclass(frozen=True, kw_only=True)
class GateRow:
    """One gate: a container for each side.

    Attributes:
        more: by how many percent the candidate has more layers than the base.
        verdict, verdict_1_percent: by either of `RULES`.
    """

    protocol: int
    when: str
    more: int
    verdict: str
    verdict_1_percent: str
    base_p50: int
    base_low: int
    base_high: int
    candidate_p50: int
    candidate_low: int
    candidate_high: int
    seconds: float
    host_load: float

    @property
    def sides(self) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """The smallest, median and largest number of instructions of the base and of the candidate."""
        base = self.base_low, self.base_p50, self.base_high
        return base, (self.candidate_low, self.candidate_p50, self.candidate_high)


@contextmanager
def busy_neighbours() -> Iterator[None]:
    """Keep `NEIGHBOURS` programs busy while the block runs; they end when the benchmark is killed, too."""
    spin = "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"
    programs = [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(NEIGHBOURS)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def five_models(directory: Path) -> list[Model]:
    """Return the models that are counted, from the smallest to the largest."""
    block = transformer_block(directory / "transformer_block.onnx")
    quantized = int8(block, directory / "transformer_block_int8.onnx")
    return [repository.find("digits"), block, quantized, *map(repository.find, ("mobilenet_v2", "resnet18"))]


def _when() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def count_once(model: Model, *, busy: bool) -> CountRow:
    """Count a model in a container of its own."""
    begin_s = time.monotonic()
    with busy_neighbours() if busy else nullcontext():
        section = edgesim.count(BOARD, model).instructions
    assert section is not None
    inference, load, start = section.inference, section.load, section.start
    assert inference is not None
    assert load is not None
    assert start is not None
    return CountRow(
        protocol=PROTOCOL,
        when=_when(),
        model=model.name,
        busy=busy,
        p50=inference.p50,
        low=inference.low,
        high=inference.high,
        load=load.p50,
        start=start.p50,
        seconds=round(time.monotonic() - begin_s, 1),
        host_load=round(os.getloadavg()[0], 1),
    )


def gate_once(base: Model, candidate: Model, more: int) -> GateRow:
    """Judge two models, each counted in a container of its own."""
    begin_s = time.monotonic()
    pair = count_pair(profiles.load(BOARD), base, candidate, Rules.of(RULES), RunOptions())
    words = {item.name: item.verdict for item in pair.verdict.items}
    sides = [result.instructions.inference for result in (pair.base, pair.candidate) if result.instructions is not None]
    of_base, of_candidate = (side for side in sides if side is not None)
    return GateRow(
        protocol=PROTOCOL,
        when=_when(),
        more=more,
        verdict=words[RULES[0]],
        verdict_1_percent=words[RULES[1]],
        base_p50=of_base.p50,
        base_low=of_base.low,
        base_high=of_base.high,
        candidate_p50=of_candidate.p50,
        candidate_low=of_candidate.low,
        candidate_high=of_candidate.high,
        seconds=round(time.monotonic() - begin_s, 1),
        host_load=round(os.getloadavg()[0], 1),
    )


def counts_so_far() -> list[CountRow]:
    """Return the counts that still hold."""
    return [row for row in csv_rows.read(COUNTS, CountRow) if row.protocol >= HOLDS_SINCE.get(row.model, PROTOCOL)]


def gates_so_far() -> list[GateRow]:
    """Return the gates that still hold."""
    return [row for row in csv_rows.read(GATES, GateRow) if row.protocol >= GATES_HOLD_SINCE]


def run(runs: int, gates: int, until_s: float) -> None:
    """Add counts and gates in turns, until there are as many as asked for or the time is over."""
    with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as scratch:
        directory = Path(scratch)
        models = five_models(directory)
        chains = {more: layers(LAYERS + more, directory / f"layers_{LAYERS + more}.onnx") for more in MORE}
        todo = True
        while todo:
            counted_so_far, judged = counts_so_far(), gates_so_far()
            todo = False
            for model in models:
                for busy in (False, True):
                    own = sum((row.model, row.busy) == (model.name, busy) for row in counted_so_far)
                    if own < runs and time.monotonic() < until_s:
                        csv_rows.append(COUNTS, count_once(model, busy=busy))
                        todo = True
            for more, chain in chains.items():
                times = SAME if more == 0 else 1
                left = gates * times - sum(row.more == more for row in judged)
                for _ in range(min(left, times)):
                    if time.monotonic() < until_s:
                        csv_rows.append(GATES, gate_once(chains[0], chain, more))
                        todo = True


def apart(values: Sequence[int]) -> str:
    """Return how far apart the smallest and the largest value are, in percent of the median; of one value nothing."""
    if len(values) < 2:
        return ""
    return f"{100 * (max(values) - min(values)) / statistics.median(values):.3f} %"


def table_of_counts(rows: Sequence[CountRow]) -> Iterator[str]:
    """Yield a row for each model: how far apart the medians of its containers are."""
    yield (
        "| model | containers, busy | million instructions | medians apart | apart, busy | median, busy / not |"
        " load apart | start apart |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    by_model: dict[str, list[CountRow]] = {}
    for row in rows:
        by_model.setdefault(row.model, []).append(row)
    for model, own in sorted(by_model.items(), key=lambda entry: entry[1][0].p50):
        calm, busy = ([row.p50 for row in own if row.busy is each] for each in (False, True))
        if not calm or not busy:
            continue
        change = 100 * (statistics.median(busy) / statistics.median(calm) - 1)
        yield (
            f"| {model} | {len(calm)}, {len(busy)} | {statistics.median(calm) / 1e6:,.3f} | {apart(calm)} |"
            f" {apart(busy)} | {change:+.3f} % | {apart([row.load for row in own])} |"
            f" {apart([row.start for row in own])} |"
        )


def resampled(rows: Sequence[GateRow], number: int) -> Mapping[str, int]:
    """Judge pairs of containers that counted the same model in different gates; return the number of each verdict."""
    sides = [side for row in rows for side in row.sides]
    generator = random.Random(0)  # noqa: S311 (draws pairs)
    words = dict.fromkeys(("PASS", "FAIL", "INCONCLUSIVE"), 0)
    for _ in range(number):
        base, candidate = (counted(side) for side in generator.sample(sides, 2))
        words[judge(candidate, Rules.of(RULES[1:]), base).word] += 1
    return words


def table_of_gates(rows: Sequence[GateRow]) -> Iterator[str]:
    """Yield a row for each number of layers that the candidate has more than the base."""
    head = f"`{RULES[0]}`: PASS, FAIL, undecided | `{RULES[1]}`"
    yield f"| layers more | gates | {head} | median change | seconds to a verdict |"
    yield "|---|---|---|---|---|---|"

    def tally(words: Sequence[str]) -> str:
        return ", ".join(str(words.count(word)) for word in ("PASS", "FAIL", "INCONCLUSIVE"))

    for more in MORE:
        own = [row for row in rows if row.more == more]
        if own:
            change = statistics.median(100 * (row.candidate_p50 / row.base_p50 - 1) for row in own)
            yield (
                f"| {100 * more / LAYERS:.0f} % | {len(own)} | {tally([row.verdict for row in own])} |"
                f" {tally([row.verdict_1_percent for row in own])} | {change:+.3f} % |"
                f" {statistics.median(row.seconds for row in own):.0f} |"
            )
    same = [row for row in rows if row.more == 0]
    if len(same) > 1:
        words = resampled(same, max(IN_ALL - len(same), 0))
        yield ""
        yield (
            f"Each gate starts a container for each side. Of {sum(words.values())} more pairs, drawn from the"
            f" containers that counted the same {LAYERS} layers, `{RULES[1]}` gives {words['PASS']} PASS,"
            f" {words['FAIL']} FAIL, {words['INCONCLUSIVE']} undecided."
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="counts of each model in either condition")
    parser.add_argument("--gates", type=int, default=20, help="gates of each pair; of a model against itself, 3 times")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="add no more after this time; 0 adds none")
    arguments = parser.parse_args()
    run(arguments.runs, arguments.gates, time.monotonic() + 60 * arguments.minutes)
    counts, gates = counts_so_far(), gates_so_far()
    print("\n".join(table_of_counts(counts)))
    if gates:
        print()
        print("\n".join(table_of_gates(gates)))
    if counts:
        loads = sorted(row.host_load for row in (*counts, *gates))
        print(
            f"\nThe host's load, with other programs: {loads[0]} to {loads[-1]}, median {statistics.median(loads):.1f}."
        )
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
