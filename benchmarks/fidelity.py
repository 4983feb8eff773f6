"""Predicted beside published times: how good the predictions of `edgesim.predict` are for held-out figures.

``python -m benchmarks.fidelity`` prints the tables, draws docs/evidence/fidelity.svg, and lists every figure of every
runtime in docs/evidence/fidelity.csv. `published/latencies.csv` has the figures with their sources and the facts of
their boards; `published/work.csv` has the work of the models' graphs, and ``--graphs DIR`` writes it from a directory
of ``MODEL.onnx`` (the values of their weights do not matter). `edgesim.predictions.fit` has the fit itself, and writes
the coefficients.
"""

import csv
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import nnls
from scipy.stats import f as f_distribution

from edgesim.models import repository
from edgesim.predictions import fit, graph
from edgesim.predictions.band import Z80
from edgesim.predictions.cost import TERMS, Term, amounts
from edgesim.predictions.fit import RUNTIME, Figure, Fit, HeldOut
from edgesim.predictions.fitted import FittedCoefficients

PUBLISHED = Path(__file__).parent / "published"
PLOT = Path(__file__).parents[1] / "docs" / "evidence" / "fidelity.svg"
EVERY_FIGURE = PLOT.with_suffix(".csv")
NEWEST = "Ultralytics 8.4.14"


def write_work(graphs: Path) -> None:
    """Write the work of all models with figures, read from their graphs at the sizes of the figures."""
    with (PUBLISHED / "latencies.csv").open() as file:
        sizes = sorted({(row["model"], int(row["input"])) for row in csv.DictReader(file)})
    with (PUBLISHED / "work.csv").open("w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["model", "input", *(term.replace(" ", "_") for term in TERMS)])
        for name, size in sizes:
            model = repository.read(graphs / f"{name}.onnx", name=name)
            work: Counter[Term] = Counter()
            for node in graph.read(model.path, shapes={model.inputs[0].name: (1, 3, size, size)}):
                work.update(amounts(node))
            writer.writerow([name, size, *(int(work[term]) for term in TERMS)])


@dataclass(frozen=True, kw_only=True)
class Judged(HeldOut):
    """A held-out figure with its prediction and two baselines.

    Attributes:
        flops, two_terms: predicted seconds of the baselines.
    """

    flops: float
    two_terms: float


def judge(figures: Sequence[Figure], groups: Iterable[Callable[[Figure], bool]]) -> list[Judged]:
    """Predict each group by a fit, and by baselines, that have not seen the group."""
    judged = []
    for is_out in groups:
        runtime = [f for f in figures if not is_out(f) and f.runtime == RUNTIME and not f.weak]
        judged += [
            Judged(
                **vars(item),
                flops=_flops_line(runtime, item.figure),
                two_terms=_two_terms_line(runtime, item.figure),
            )
            for item in fit.hold_out(figures, is_out)
        ]
    return judged


def _flops_line(figures: Sequence[Figure], figure: Figure) -> float:
    """Predict `figure` by its arithmetic alone, in seconds: a baseline.

    The share of the peak that is reached is the median over the board's figures, or over all if the board has none.
    """
    own = [other for other in figures if other.board == figure.board]

    def peak(other: Figure) -> float:
        return other.machine.flops_per_cycle * other.machine.clock_hz * other.machine.threads

    shares = [other.flops / other.seconds / peak(other) for other in own or figures]
    return figure.flops / (float(np.median(shares)) * peak(figure))


def _two_terms_line(figures: Sequence[Figure], figure: Figure) -> float:
    """Predict `figure` in seconds by two terms: a baseline.

    One factor is for the arithmetic at the board's peak, one for the other nodes' bytes at its copy rate.
    """

    def terms(other: Figure) -> list[float]:
        peak = other.machine.flops_per_cycle * other.machine.clock_hz * other.machine.threads
        return [other.flops / peak, other.work["other traffic"] / other.machine.copy_bytes_per_s]

    own = [other for other in figures if other.board == figure.board]
    rows = own if len(own) > 1 else figures
    matrix = np.array([np.array(terms(other)) / other.seconds for other in rows])
    factors, _ = nnls(matrix, np.ones(len(rows)))
    return float(factors @ terms(figure))


def errors_percent(judged: Sequence[Judged]) -> list[float]:
    """Return the mean absolute errors of edgesim and of the two baselines, in percent."""
    counted = [item for item in judged if not item.figure.weak]
    predicted = ("seconds", "flops", "two_terms")
    return [
        100 * float(np.mean([abs(getattr(item, name) / item.figure.seconds - 1) for item in counted]))
        for name in predicted
    ]


def table(judged: Sequence[Judged], fitted: FittedCoefficients, spread: float) -> None:
    """Print a row for each held-out figure.

    Args:
        judged: the figures, predicted without themselves.
        fitted: coefficients of the fit to all figures, for the last column.
        spread: of `edgesim.predictions.fit.spread_of`.
    """
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
            f"| {'yes' if item.in_band(spread) else 'no'} | {1e3 * fitted.seconds(figure.machine, figure.work):.1f} |"
        )


def summary(name: str, judged: Sequence[Judged], spread: float) -> str:
    """Return one row of the table of errors: all figures that count."""
    errors = " | ".join(f"{error:.1f} %" for error in errors_percent(judged))
    counted = [item for item in judged if not item.figure.weak]
    in_band = sum(item.in_band(spread) for item in counted)
    return f"| {name} | {len(counted)} | {errors} | {in_band} of {len(counted)} |"


def write_every_figure(figures: Sequence[Figure], fit_to_all: Fit, held_out: Sequence[Judged]) -> None:
    """Write published and fitted times of all runtimes, and for ONNX Runtime times predicted without the board."""
    predicted = {(item.figure.board, item.figure.model, item.figure.release): item.seconds for item in held_out}
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
            without = f"{1e3 * predicted[key]:.1f}" if figure.runtime == RUNTIME else ""
            writer.writerow(
                [
                    figure.runtime,
                    figure.board,
                    figure.machine.core,
                    figure.machine.threads,
                    figure.model,
                    figure.release,
                    f"{1e3 * figure.seconds:.2f}",
                    f"{1e3 * math.exp(fit_to_all.log_seconds(figure)):.2f}",
                    without,
                ]
            )


def draw(models_out: Sequence[Judged], boards_out: Sequence[Judged], spread: float) -> None:
    """Draw predicted beside published times, with their bands."""
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


def release_effect(figures: Sequence[Figure]) -> str:
    """Return, in a row of a table, whether a factor for each release lowers the scatter of the figures of one board.

    Of models with figures of the same releases, the scatter is that of the logarithms around each model's mean, without
    and with a term for each release that all of them share. The F test compares both.
    """
    by_model: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for figure in figures:
        if figure.runtime == RUNTIME:
            by_model[f"{figure.model} on {figure.machine.core}"][figure.release] = math.log(figure.seconds)
    most = max(map(len, by_model.values()))
    rows = {name: times for name, times in by_model.items() if len(times) == most}
    releases = sorted(next(iter(rows.values())))
    logs = np.array([[times[release] for release in releases] for times in rows.values()])
    around_models = logs - logs.mean(axis=1, keepdims=True)
    around_both = around_models - around_models.mean(axis=0, keepdims=True)
    free = (len(rows) * (most - 1), (len(rows) - 1) * (most - 1))
    sums = float((around_models**2).sum()), float((around_both**2).sum())
    without, with_factor = (math.sqrt(total / degrees) for total, degrees in zip(sums, free, strict=True))
    ratio = (sums[0] - sums[1]) / (free[0] - free[1]) / (sums[1] / free[1])
    p = f_distribution.sf(ratio, free[0] - free[1], free[1])
    return (
        f"| {', '.join(rows)} | {', '.join(releases)} | {logs.size} | {100 * without:.1f} % "
        f"| {100 * with_factor:.1f} % | {ratio:.2f} | {p:.2f} |"
    )


def main() -> None:
    if "--graphs" in sys.argv:
        write_work(Path(sys.argv[sys.argv.index("--graphs") + 1]))
    figures = fit.read(PUBLISHED)
    models_out, boards_out = judge(figures, fit.each_model(figures)), judge(figures, fit.each_board(figures))
    spread = fit.spread_of(models_out)
    fit_to_all = Fit(figures)
    fitted = fit_to_all.coefficients(spread)

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
    for board in sorted({item.figure.board for item in boards_out}):
        print(summary(f"… {board}", [item for item in boards_out if item.figure.board == board], spread))
    print("\n### Every figure of ONNX Runtime, its model held out\n")
    table(models_out, fitted, spread)
    print("\n### Every figure of ONNX Runtime, its board held out\n")
    table(boards_out, fitted, spread)
    print("\n### A factor for each release\n")
    print("| models | releases | figures | scatter without it | with it | F | p |\n|" + "---|" * 7)
    print(release_effect(figures))
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
            off[figure.runtime, figure.machine.core].append(fit_to_all.log_seconds(figure) - math.log(figure.seconds))
    for (name, core), values in sorted(off.items()):
        print(f"| {name} | {core} | {len(values)} | {100 * np.mean(values):+.0f} % | {100 * np.std(values):.0f} % |")
    write_every_figure(figures, fit_to_all, boards_out)
    draw(models_out, boards_out, spread)


if __name__ == "__main__":
    main()
