"""Predicted beside published times of TensorRT: how good predictions for GPU targets are for held-out figures.

``python -m benchmarks.accelerators`` prints the tables, draws docs/evidence/accelerators.svg, and lists every figure in
docs/evidence/accelerators.csv. `edgesim/predictions/published.csv` has the figures with their sources;
`published/kernels.csv` has the kernels of the networks' graphs, and ``--graphs DIR`` writes it from a directory of
``NAME.onnx`` (the values of their weights do not matter). `edgesim.predictions.tensorrt.fit` has the fit itself, and
writes the coefficients.
"""

import csv
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import onnx
from scipy.optimize import nnls

from edgesim.predictions import graph, published
from edgesim.predictions.band import Z80
from edgesim.predictions.tensorrt import kernels
from edgesim.predictions.tensorrt.choice import Choice, hold_out
from edgesim.predictions.tensorrt.cost import ARCHITECTURES
from edgesim.predictions.tensorrt.figures import Figure, kernels_name, read
from edgesim.predictions.tensorrt.fusions import TensorRtFusions
from edgesim.predictions.tensorrt.held_out import Group, HeldOut, by_board, by_family
from edgesim.predictions.tensorrt.kernels import KernelTable
from edgesim.predictions.tensorrt.least_squares import Fit

PUBLISHED = Path(__file__).parent / "published"
PLOT = Path(__file__).parents[1] / "docs" / "evidence" / "accelerators.svg"
EVERY_FIGURE = PLOT.with_suffix(".csv")
# Sources with enough figures to fit them alone.
FEWEST_OF_SOURCE = 30

Networks = Mapping[str, KernelTable]


def write_kernels(graphs: Path) -> None:
    """Write the kernels of all networks with figures of a GPU, read from their graphs at the sizes of the figures."""
    wanted = {
        kernels_name(row): row for row in published.figures() if row.target.startswith("gpu:tensorrt-") and row.graph
    }
    tables = {}
    for name, row in wanted.items():
        path = graphs / f"{row.graph}.onnx"
        inputs = onnx.load(path, load_external_data=False).graph.input
        sizes = (row.batch, *map(int, row.input_shape.split("x")[1:]))
        tables[name] = kernels.count(graph.read(path, shapes={inputs[0].name: sizes}, fusions=TensorRtFusions))
    kernels.write(PUBLISHED / "kernels.csv", tables)


def four_terms(figures: Sequence[Figure], networks: Networks, group: Group) -> list[float]:
    """Predict each group by a baseline of four terms that has not seen the group; seconds in the figures' order.

    The terms are arithmetic over the peak of its path, depthwise arithmetic over the plain cores' peak, bytes over the
    bandwidth, and a launch for each kernel, with three sets of factors: for GPUs without tensor cores, for Volta, and
    for later ones. An architecture without figures takes the factors of all.
    """
    terms = np.array([_terms(figure, networks[figure.kernels]) for figure in figures])
    seconds = np.array([figure.seconds for figure in figures])
    generations = np.array([_generation(figure) for figure in figures])
    groups = np.array([group(figure) for figure in figures])
    predicted = np.zeros(len(figures))
    for name in set(groups):
        for generation in set(generations[groups == name]):
            seen = (groups != name) & (generations == generation)
            if seen.sum() < terms.shape[1]:
                seen = groups != name
            factors, _ = nnls(terms[seen] / seconds[seen, None], np.ones(seen.sum()))
            out = (groups == name) & (generations == generation)
            predicted[out] = terms[out] @ factors
    return predicted.tolist()


def _generation(figure: Figure) -> str:
    if figure.facts.old:
        return "without tensor cores"
    return "volta" if ARCHITECTURES[int(figure.facts.architecture)] == "volta" else "later"


def _terms(figure: Figure, network: KernelTable) -> list[float]:
    facts, count = figure.facts, network.count
    depthwise = network.is_kind("depthwise")
    elements = count * (network.activations + network.weights)
    return [
        float((count * network.flops * ~depthwise).sum() / facts.flops_per_s),
        float((count * network.flops * depthwise).sum() / facts.depthwise_flops_per_s),
        float(elements.sum() * facts.element_bytes / facts.bytes_per_s),
        float(count.sum()) * 1e-6,
    ]


def mean_error(held_out: Sequence[HeldOut]) -> float:
    """Return the mean absolute error over figures, in percent."""
    return 100 * float(np.mean([abs(item.error) for item in held_out]))


def error_of_networks(held_out: Sequence[HeldOut]) -> float:
    """Return the mean absolute error in percent where each network on each board counts as much."""
    errors: dict[tuple[str, str], list[float]] = {}
    for item in held_out:
        errors.setdefault((item.figure.published.model, item.figure.board), []).append(abs(item.error))
    return 100 * float(np.mean([np.mean(values) for values in errors.values()]))


def in_turn(
    figures: Sequence[Figure], networks: Networks, group: Group, start: Fit, *, conditions: bool = False
) -> list[HeldOut]:
    """Hold each group out in turn; in the figures' order."""
    groups = np.array([group(figure) for figure in figures])
    predicted: dict[int, HeldOut] = {}
    for name in np.unique(groups):
        out = groups == name
        predicted |= zip(
            np.flatnonzero(out).tolist(), hold_out(figures, networks, out, start, conditions=conditions), strict=True
        )
    return [predicted[index] for index in range(len(figures))]


def row(name: str, held_out: Sequence[HeldOut], baseline: Sequence[float] | None) -> str:
    """Return one row of the table of errors."""
    seconds = [item.figure.seconds for item in held_out]
    by_terms = "–"
    if baseline is not None:
        by_terms = f"{100 * np.mean(np.abs(np.array(baseline) / seconds - 1)):.1f} %"
    bias = 100 * np.mean([item.error for item in held_out])
    in_band = 100 * np.mean([item.in_band() for item in held_out])
    return (
        f"| {name} | {len(held_out)} | {mean_error(held_out):.1f} % | {error_of_networks(held_out):.1f} % "
        f"| {bias:+.1f} % | {by_terms} | {in_band:.0f} % |"
    )


def table(title: str, held_out: Sequence[HeldOut], baseline: Sequence[float], group: Group) -> None:
    """Print the errors of all figures, and of each group."""
    _heads(title)
    print(row("all", held_out, baseline))
    for name in sorted({group(item.figure) for item in held_out}):
        chosen = [i for i, item in enumerate(held_out) if group(item.figure) == name]
        print(row(name, [held_out[i] for i in chosen], [baseline[i] for i in chosen]))


def _heads(title: str) -> None:
    heads = ("held out", "figures", "mean absolute error", "each network", "bias", "four terms", "in the 80 % band")
    print(f"\n### {title}\n\n| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))


def pairs(figures: Sequence[Figure], networks: Networks, start: Fit) -> None:
    """Print the errors where every two GPUs are held out together: all, and the best and the worst pair."""
    groups = np.array([by_board(figure) for figure in figures])
    splits = {
        f"{one} and {other}": hold_out(figures, networks, (groups == one) | (groups == other), start)
        for one, other in combinations(sorted(set(groups)), 2)
    }
    by_error = sorted(splits, key=lambda name: mean_error(splits[name]))
    _heads("Two GPUs held out, every pair in turn")
    print(row("all pairs", [item for items in splits.values() for item in items], None))
    for title, name in (("best", by_error[0]), ("middle", by_error[len(by_error) // 2]), ("worst", by_error[-1])):
        print(row(f"{title}: {name}", splits[name], None))


def single_sources(figures: Sequence[Figure], networks: Networks, start: Fit) -> None:
    """Print the errors where one source alone is fitted and held out by family, and by board."""
    heads = ("source", "held out", "figures", "mean absolute error", "in the 80 % band")
    print("\n### One source alone\n\n| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for source in sorted({figure.repository for figure in figures}):
        own = [figure for figure in figures if figure.repository == source]
        for name, group in (("family", by_family), ("board", by_board)):
            if len(own) < FEWEST_OF_SOURCE or len({group(figure) for figure in own}) == 1:
                continue
            held_out = in_turn(own, networks, group, start, conditions=True)
            in_band = 100 * np.mean([item.in_band() for item in held_out])
            print(f"| {source} | {name} | {len(own)} | {mean_error(held_out):.1f} % | {in_band:.0f} % |")


def write_every_figure(families: Sequence[HeldOut], boards: Sequence[HeldOut]) -> None:
    """Write every figure with its two held-out predictions and their bands."""
    with EVERY_FIGURE.open("w") as file:
        writer = csv.writer(file, lineterminator="\n")
        columns = ("board", "target", "model", "input", "batch", "source", "published_ms")
        predicted = (f"{group}_held_out_{what}ms" for group in ("family", "board") for what in ("", "low_", "high_"))
        writer.writerow([*columns, *predicted])
        for of_family, of_board in zip(families, boards, strict=True):
            figure = of_family.figure
            about = figure.published
            times = [
                f"{1e3 * item.seconds * math.exp(sign * Z80 * item.deviation):.4g}"
                for item in (of_family, of_board)
                for sign in (0, -1, 1)
            ]
            writer.writerow(
                [
                    figure.board,
                    about.target,
                    about.model,
                    about.input_shape,
                    about.batch,
                    about.source,
                    f"{about.ms:.4g}",
                    *times,
                ]
            )


def draw(families: Sequence[HeldOut], boards: Sequence[HeldOut]) -> None:
    """Draw predicted beside published times, by what was held out."""
    import matplotlib as mpl
    from matplotlib import pyplot

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "edgesim"
    figure, both = pyplot.subplots(1, 2, figsize=(11, 5), sharey=True)
    limits = np.array([0.4, 600])
    for axes, held_out, title in zip(both, (families, boards), ("family held out", "GPU held out"), strict=True):
        for board in sorted({item.figure.board for item in held_out}):
            own = [item for item in held_out if item.figure.board == board]
            x, y = ([1e3 * value for value in values] for values in zip(*map(_pair, own), strict=True))
            axes.plot(x, y, ".", markersize=4, label=board)
        axes.plot(limits, limits, color="grey", linewidth=1)
        axes.set(xscale="log", yscale="log", xlim=limits, ylim=limits, xlabel="published, ms", title=title)
        axes.grid(which="major", alpha=0.3)
    both[0].set_ylabel("predicted, ms")
    both[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(PLOT, metadata={"Date": None})


def _pair(item: HeldOut) -> tuple[float, float]:
    return item.figure.seconds, item.seconds


def main() -> None:
    if "--graphs" in sys.argv:
        write_kernels(Path(sys.argv[sys.argv.index("--graphs") + 1]))
    figures, networks = read(PUBLISHED)
    splits: tuple[tuple[str, Callable[[Figure], str]], ...] = (
        ("A family of networks held out", by_family),
        ("A GPU held out, with all boards that have it", by_board),
    )
    first = Fit(figures, networks)
    choice = Choice.of(first, figures)
    fit = Fit(figures, networks, choice.settings, start=first)
    held_out = [in_turn(figures, networks, group, fit) for _, group in splits]
    seen = fit.predict(figures)
    print(f"### Seen\n\nFitted to all {len(figures)} figures: mean absolute error {mean_error(seen):.1f} %.")
    for (title, group), items in zip(splits, held_out, strict=True):
        table(title, items, four_terms(figures, networks, group), group)
    pairs(figures, networks, fit)
    single_sources(figures, networks, fit)
    print("\n### Coefficients\n\n| coefficient | value | from | to (80 %) |\n|---|---|---|---|")
    for name, value, deviation in zip(fit.names, fit.values, np.sqrt(np.diag(fit.covariance)), strict=True):
        low, high = (math.exp(value + sign * Z80 * deviation) for sign in (-1, 1))
        print(f"| {name} | {math.exp(value):.3g} | {low:.3g} | {high:.3g} |")
    print("\n### Offsets of sources\n\n| source | board | longer by |\n|---|---|---|")
    for (source, board), offset in fit.offsets.items():
        print(f"| {source} | {board} | {100 * math.expm1(offset):+.0f} % |")
    write_every_figure(held_out[0], held_out[1])
    draw(held_out[0], held_out[1])


if __name__ == "__main__":
    main()
