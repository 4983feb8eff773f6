"""Predicted beside published times: fits the coefficients of `edgesim.predict`, and judges them on what is held out.

``python -m benchmarks.fidelity`` prints the tables, draws docs/fidelity.svg, and lists every figure of every runtime in
docs/fidelity.csv; with ``--write`` it also puts the
coefficients where edgesim reads them. `published/latencies.csv` has the figures with their sources and the boards'
facts; `published/work.csv` the work that the models' graphs make, written anew with ``--graphs DIR`` from a directory
of ``MODEL.onnx`` (their weights are of no matter).
"""

import csv
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
from scipy.optimize import least_squares, nnls

from edgesim.models import repository
from edgesim.predictions import graph
from edgesim.predictions.cost import TERMS, Coefficients, Machine, Term, amounts, unit_seconds
from edgesim.predictions.fitted import FAMILY, Fitted

PUBLISHED = Path(__file__).parent / "published"
PLOT = Path(__file__).parents[1] / "docs" / "fidelity.svg"
EVERY_FIGURE = PLOT.with_suffix(".csv")
TARGET = Path(__file__).parents[1] / "edgesim" / "predictions" / "fitted.json"

RUNTIME = "onnxruntime"
# Their coefficients are their own, the cores are the same.
OTHERS = ("TFLite", "ArmNN", "ncnn", "pytorch", "torchscript", "tflite")
# The arithmetic of a core is told beside this one's.
REFERENCE_CORE = "Cortex-A72"

# Where a coefficient is looked for: its logarithm's mean and standard deviation. Wide, but for what the figures cannot
# tell apart: a product reaches most of the peak, a depthwise convolution a fifth of it, moving is once in and once out.
PRIORS: Mapping[str, tuple[float, float]] = {
    "products": (math.log(1.4), 0.5),
    "depthwise": (math.log(5), 0.7),
    "functions": (math.log(1.5), 0.5),
    "product traffic": (math.log(0.5), 0.7),
    "other traffic": (0.0, 0.5),
    "nodes": (math.log(20_000), 1.0),
    "scaling": (math.log(0.85), 0.1),
    "memory_share": (math.log(0.5), 0.3),
    "core": (0.0, 0.25),
    "runtime family": (0.0, 0.2),
}
# As the profiles name them; those of which ONNX Runtime has figures.
SOC = {"Raspberry Pi 4B": "BCM2711", "Raspberry Pi 5": "BCM2712", "Jetson AGX Orin": "Orin (T234)"}
# A figure's scatter by runtime. Of one model on one board ONNX Runtime's differ by 0.11 and 0.12 between releases (the
# deviation of their logarithms, three each); more for the others, whose algorithms (Winograd, indirect products) are
# not those that the terms describe.
SCATTER = {RUNTIME: 0.11, "TFLite": 0.15}
OTHER_SCATTER, WEAK = 0.2, 0.3
NEWEST = "Ultralytics 8.4.14"
Z80 = 1.2816


@dataclass(frozen=True)
class Figure:
    """One published latency."""

    board: str
    machine: Machine
    runtime: str
    release: str
    model: str
    work: Mapping[Term, float]
    seconds: float
    weak: bool

    @property
    def flops(self) -> float:
        return self.work["products"] + self.work["depthwise"]


def read() -> list[Figure]:
    work = {}
    with (PUBLISHED / "work.csv").open() as file:
        for row in csv.DictReader(file):
            amounts = {term: float(row[term.replace(" ", "_")]) for term in TERMS}
            work[row["model"], row["input"]] = amounts
    with (PUBLISHED / "latencies.csv").open() as file:
        return [
            Figure(
                board=row["board"],
                machine=Machine(
                    soc=SOC.get(row["board"], row["board"]),
                    core=row["core"],
                    threads=int(row["threads"]),
                    clock_hz=float(row["clock_hz"]),
                    flops_per_cycle=float(row["flops_per_cycle"]),
                    copy_bytes_per_s=float(row["copy_bytes_per_s"]),
                    memory_bytes_per_s=float(row["memory_bytes_per_s"]),
                ),
                runtime=row["runtime"],
                release=row["release"],
                model=row["model"],
                work=work[row["model"], row["input"]],
                seconds=float(row["latency_ms"]) / 1e3,
                weak=bool(row["weak"]),
            )
            for row in csv.DictReader(file)
        ]


def write_work(graphs: Path) -> None:
    """Read the graphs of all models that there are figures of, at the sizes that the figures are of."""
    with (PUBLISHED / "latencies.csv").open() as file:
        wanted = sorted({(row["model"], int(row["input"])) for row in csv.DictReader(file)})
    with (PUBLISHED / "work.csv").open("w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["model", "input", *(term.replace(" ", "_") for term in TERMS)])
        for name, size in wanted:
            subject = repository.read(graphs / f"{name}.onnx", name=name)
            work: Counter[Term] = Counter()
            for node in graph.read(subject.path, shapes={subject.inputs[0].name: (1, 3, size, size)}):
                work.update(amounts(node))
            writer.writerow([name, size, *(int(work[term]) for term in TERMS)])


class Fit:
    """All coefficients of all runtimes, fitted to some figures."""

    def __init__(self, figures: Sequence[Figure]) -> None:
        cores = sorted({figure.machine.core for figure in figures})
        own = [*TERMS, "scaling"]
        self.names = [f"{runtime}:{name}" for runtime in (RUNTIME, *OTHERS) for name in own]
        self.names.append("memory_share")
        self.names += [f"core {core}" for core in cores if core != REFERENCE_CORE]
        self.names += [f"runtime family {family}" for family in dict.fromkeys(FAMILY.values())]
        kinds = [self._kind(name) for name in self.names]
        self.means = np.array([PRIORS[kind][0] for kind in kinds])
        self.deviations = np.array([PRIORS[kind][1] for kind in kinds])
        self.cores = cores
        weights = np.array([(WEAK if f.weak else 1) / SCATTER.get(f.runtime, OTHER_SCATTER) for f in figures])

        def residuals(values: np.ndarray) -> np.ndarray:
            by_name = dict(zip(self.names, values, strict=True))
            off = np.array([self._log_seconds(by_name, figure) - math.log(figure.seconds) for figure in figures])
            return np.concatenate([off * weights, (values - self.means) / self.deviations])

        found = least_squares(residuals, self.means, loss="soft_l1")
        self.values = found.x
        self.covariance = np.linalg.inv(found.jac.T @ found.jac)
        counted = [figure.machine for figure in figures if figure.runtime == RUNTIME and not figure.weak]
        self.seen = {machine.core for machine in counted}
        self.seen_socs = {machine.soc for machine in counted}
        self.board_spread = self._between_boards(figures)

    @staticmethod
    def _kind(name: str) -> str:
        bare = name.rpartition(":")[2]
        for kind in ("runtime family", "core"):
            if bare.startswith(f"{kind} "):
                return kind
        return bare

    def _log_core(self, by_name: Mapping[str, float], runtime: str, core: str) -> float:
        """How a core's arithmetic compares: by core for other runtimes, by family for ours, which has few figures."""
        if runtime != RUNTIME:
            return by_name.get(f"core {core}", 0.0)
        cores = [by_name.get(f"core {other}", 0.0) for other in self.cores if FAMILY[other] == FAMILY[core]]
        return float(np.mean(cores)) + by_name[f"runtime family {FAMILY[core]}"]

    def _log_seconds(self, by_name: Mapping[str, float], figure: Figure) -> float:
        coefficients = Coefficients(
            terms={term: math.exp(by_name[f"{figure.runtime}:{term}"]) for term in TERMS},
            core=math.exp(self._log_core(by_name, figure.runtime, figure.machine.core)),
            scaling=math.exp(by_name[f"{figure.runtime}:scaling"]),
            memory_share=math.exp(by_name["memory_share"]),
        )
        units = unit_seconds(figure.machine, coefficients)
        return math.log(sum(amount * units[term] for term, amount in figure.work.items()))

    def _between_boards(self, figures: Sequence[Figure]) -> float:
        """Scatter of boards with the same core around it, of the other runtimes, whose figures are of many boards."""
        off: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for figure in figures:
            if figure.runtime != RUNTIME:
                error = self.log_seconds(figure) - math.log(figure.seconds)
                off[figure.runtime, figure.machine.core][figure.board].append(error)
        groups = [[np.median(errors) for errors in boards.values()] for boards in off.values() if len(boards) > 2]
        return float(np.sqrt(np.mean([np.var(group, ddof=1) for group in groups])))

    def log_seconds(self, figure: Figure) -> float:
        """What is predicted of a figure."""
        return self._log_seconds(dict(zip(self.names, self.values, strict=True)), figure)

    def runtime(self, spread: float) -> Fitted:
        """What edgesim takes from it: ONNX Runtime's part, each a sum of what was fitted."""
        rows = {name: {f"{RUNTIME}:{name}": 1.0} for name in (*TERMS, "scaling")}
        rows["memory_share"] = {"memory_share": 1.0}
        within = []
        for family in dict.fromkeys(FAMILY.values()):
            members = [core for core in self.cores if FAMILY[core] == family]
            rows[family] = {f"core {core}": 1 / len(members) for core in members} | {f"runtime family {family}": 1.0}
            here = [self.values[self.names.index(f"core {core}")] for core in members if core != REFERENCE_CORE]
            here += [0.0] * (REFERENCE_CORE in members)
            within += [value - np.mean(here) for value in here] if len(here) > 1 else []
        sums = np.array([[row.get(name, 0.0) for name in self.names] for row in rows.values()])
        return Fitted(
            names=tuple(rows),
            values=sums @ self.values,
            covariance=sums @ self.covariance @ sums.T,
            spread=spread,
            core_spread=float(np.std(within)),
            board_spread=self.board_spread,
            seen=frozenset(self.seen),
            seen_socs=frozenset(self.seen_socs),
        )


@dataclass(frozen=True)
class Judged:
    """A figure, and what was predicted of it without it."""

    figure: Figure
    seconds: float
    deviation: float
    flops: float
    two_terms: float

    @property
    def error(self) -> float:
        return self.seconds / self.figure.seconds - 1

    def holds(self, spread: float) -> bool:
        off = abs(math.log(self.seconds / self.figure.seconds))
        return off <= Z80 * math.hypot(self.deviation, spread)


def held_out(figures: Sequence[Figure], groups: Iterable[Callable[[Figure], bool]]) -> list[Judged]:
    """Each group predicted by a fit that has not seen it."""
    judged = []
    for out in groups:
        kept = [figure for figure in figures if not out(figure)]
        fit = Fit(kept)
        fitted = fit.runtime(0.0)
        runtime = [figure for figure in kept if figure.runtime == RUNTIME and not figure.weak]
        for figure in filter(out, figures):
            judged.append(
                Judged(
                    figure=figure,
                    seconds=fitted.seconds(figure.machine, figure.work),
                    deviation=math.sqrt(fitted.variance(figure.machine, figure.work)),
                    flops=_flops_line(runtime, figure),
                    two_terms=_two_terms_line(runtime, figure),
                )
            )
    return judged


def _flops_line(known: Sequence[Figure], figure: Figure) -> float:
    """Baseline: operations by a constant, the board's own where it has figures, else the others' share of the peak."""
    own = [other for other in known if other.board == figure.board]

    def peak(of: Figure) -> float:
        return of.machine.flops_per_cycle * of.machine.clock_hz * of.machine.threads

    shares = [other.flops / other.seconds / peak(other) for other in own or known]
    return figure.flops / (float(np.median(shares)) * peak(figure))


def _two_terms_line(known: Sequence[Figure], figure: Figure) -> float:
    """Baseline: so much for an operation, so much for a byte that other nodes move, by the board's peak and copy."""

    def terms(of: Figure) -> list[float]:
        peak = of.machine.flops_per_cycle * of.machine.clock_hz * of.machine.threads
        return [of.flops / peak, of.work["other traffic"] / of.machine.copy_bytes_per_s]

    own = [other for other in known if other.board == figure.board]
    rows = own if len(own) > 1 else known
    matrix = np.array([np.array(terms(other)) / other.seconds for other in rows])
    found, _ = nnls(matrix, np.ones(len(rows)))
    return float(found @ terms(figure))


def errors_percent(judged: Sequence[Judged]) -> list[float]:
    """Mean absolute error of ours, and of the two baselines."""
    counted = [item for item in judged if not item.figure.weak]
    ways = ("seconds", "flops", "two_terms")
    return [100 * float(np.mean([abs(getattr(i, way) / i.figure.seconds - 1) for i in counted])) for way in ways]


def spread_of(judged: Sequence[Judged]) -> float:
    """The smallest spread with which 80 % of the held-out figures lie in their bands."""
    counted = [item for item in judged if not item.figure.weak]
    for spread in np.arange(0, 1, 0.005):
        if np.mean([item.holds(float(spread)) for item in counted]) >= 0.8:
            return float(spread)
    raise RuntimeError("no spread holds")


def table(judged: Sequence[Judged], fitted: Fitted, spread: float) -> None:
    print(
        "| board | core | model | release | published, ms | predicted without it, ms | error | 80 % band, ms | holds |"
        " predicted with it, ms |"
    )
    print("|" + "---|" * 10)
    for item in judged:
        figure, width = item.figure, math.exp(Z80 * math.hypot(item.deviation, spread))
        ms = 1e3 * item.seconds
        print(
            f"| {figure.board} | {figure.machine.core} | {figure.model} | {figure.release}"
            f"{' (weak, not counted)' if figure.weak else ''} | {1e3 * figure.seconds:.1f} | {ms:.1f} "
            f"| {100 * item.error:+.1f} % | {ms / width:.0f} to {ms * width:.0f} "
            f"| {'yes' if item.holds(spread) else 'no'} | {1e3 * fitted.seconds(figure.machine, figure.work):.1f} |"
        )


def summary(name: str, judged: Sequence[Judged], spread: float) -> str:
    errors = " | ".join(f"{error:.1f} %" for error in errors_percent(judged))
    counted = [item for item in judged if not item.figure.weak]
    held = sum(item.holds(spread) for item in counted)
    return f"| {name} | {len(counted)} | {errors} | {held} of {len(counted)} |"


def write_every_figure(figures: Sequence[Figure], fit: Fit, out: Sequence[Judged]) -> None:
    """Published and fitted, of all runtimes; what was predicted without it, of ours."""
    held = {(item.figure.board, item.figure.model, item.figure.release): item.seconds for item in out}
    with EVERY_FIGURE.open("w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            [
                "runtime",
                "board",
                "core",
                "threads",
                "model",
                "release",
                "published_ms",
                "fitted_ms",
                "board_held_out_ms",
            ]
        )
        for figure in sorted(figures, key=lambda f: (f.runtime != RUNTIME, f.runtime, f.board, f.model, f.seconds)):
            key = (figure.board, figure.model, figure.release)
            without = f"{1e3 * held[key]:.1f}" if figure.runtime == RUNTIME else ""
            writer.writerow(
                [
                    figure.runtime,
                    figure.board,
                    figure.machine.core,
                    figure.machine.threads,
                    figure.model,
                    figure.release,
                    f"{1e3 * figure.seconds:.2f}",
                    f"{1e3 * math.exp(fit.log_seconds(figure)):.2f}",
                    without,
                ]
            )


def draw(models_out: Sequence[Judged], boards_out: Sequence[Judged], spread: float) -> None:
    import matplotlib as mpl
    from matplotlib import pyplot

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "edgesim"
    figure, axes = pyplot.subplots(figsize=(7, 6))
    for judged, colour, label in (
        (models_out, "tab:blue", "model held out, board seen"),
        (boards_out, "tab:orange", "board held out"),
    ):
        counted = [item for item in judged if not item.figure.weak]
        x = np.array([1e3 * item.figure.seconds for item in counted])
        y = np.array([1e3 * item.seconds for item in counted])
        width = np.exp([Z80 * math.hypot(item.deviation, spread) for item in counted])
        axes.errorbar(
            x, y, yerr=[y - y / width, y * width - y], fmt="o", color=colour, label=label, capsize=3, alpha=0.8
        )
    limits = np.array([20, 6000])
    axes.plot(limits, limits, color="grey", linewidth=1)
    axes.set(xscale="log", yscale="log", xlim=limits, ylim=limits, xlabel="published, ms", ylabel="predicted, ms")
    axes.set_title("ONNX Runtime on boards: predicted without the figure, with its 80 % band")
    axes.legend()
    axes.grid(which="both", alpha=0.3)
    figure.savefig(PLOT, metadata={"Date": None})


def main() -> None:
    if "--graphs" in sys.argv:
        write_work(Path(sys.argv[sys.argv.index("--graphs") + 1]))
    figures = read()
    runtime = [figure for figure in figures if figure.runtime == RUNTIME]
    by_board: dict[str, set[str]] = defaultdict(set)
    for figure in runtime:
        if not figure.weak:
            by_board[figure.board].add(figure.model)
    pairs = [
        (board, model) for board, models in sorted(by_board.items()) if len(models) > 1 for model in sorted(models)
    ]
    models_out = held_out(
        figures,
        [
            lambda f, board=board, model=model: f.runtime == RUNTIME and (f.board, f.model) == (board, model)
            for board, model in pairs
        ],
    )
    boards_out = held_out(
        figures, [lambda f, board=board: f.runtime == RUNTIME and f.board == board for board in sorted(by_board)]
    )
    spread = spread_of(models_out)
    fit = Fit(figures)
    fitted = fit.runtime(spread)

    columns = (
        "what is held out",
        "figures",
        "mean absolute error",
        "operations by a constant",
        "two terms",
        "in the 80 % band",
    )
    print("### Held out\n")
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    print(summary("each model on a board with others", models_out, spread))
    newest = [item for item in models_out if item.figure.release == NEWEST]
    print(summary("… of the newest release alone", newest, spread))
    print(summary("each board, with all its figures", boards_out, spread))
    for board in sorted(by_board):
        print(summary(f"… {board}", [item for item in boards_out if item.figure.board == board], spread))
    print("\n### Every figure of ONNX Runtime, its model held out\n")
    table(models_out, fitted, spread)
    print("\n### Every figure of ONNX Runtime, its board held out\n")
    table(boards_out, fitted, spread)
    print("\n### Coefficients\n")
    print("| coefficient | value | from | to (80 %) |\n|---|---|---|---|")
    for name, value, deviation in zip(fitted.names, fitted.values, np.sqrt(np.diag(fitted.covariance)), strict=True):
        low, high = (math.exp(value + sign * Z80 * deviation) for sign in (-1, 1))
        print(f"| {name} | {math.exp(value):.3g} | {low:.3g} | {high:.3g} |")
    print(
        f"\nA figure scatters by {100 * fitted.spread:.0f} % beside what these leave open, a board without a figure by "
        f"{100 * fitted.board_spread:.0f} %, a core without one by {100 * fitted.core_spread:.0f} %."
    )
    print("\n### The other runtimes, as fitted\n")
    print("They tell how the cores compare, nothing else is taken from them.\n")
    print("| runtime | core | figures | mean error | its scatter |\n|---|---|---|---|---|")
    off = defaultdict(list)
    for figure in figures:
        if figure.runtime != RUNTIME:
            off[figure.runtime, figure.machine.core].append(fit.log_seconds(figure) - math.log(figure.seconds))
    for (name, core), values in sorted(off.items()):
        print(f"| {name} | {core} | {len(values)} | {100 * np.mean(values):+.0f} % | {100 * np.std(values):.0f} % |")
    write_every_figure(figures, fit, boards_out)
    draw(models_out, boards_out, spread)
    if "--write" in sys.argv:
        document = {
            "names": fitted.names,
            "values": [round(float(v), 5) for v in fitted.values],
            "covariance": [[round(float(v), 7) for v in row] for row in fitted.covariance],
            "spread": round(fitted.spread, 4),
            "core_spread": round(fitted.core_spread, 4),
            "board_spread": round(fitted.board_spread, 4),
            "seen": sorted(fitted.seen),
            "seen_socs": sorted(fitted.seen_socs),
        }
        TARGET.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


if __name__ == "__main__":
    main()
